// Program: kernels and the sequence of calls of each entry point, over regions of memory.
//
// What the backends compile and the interpreter runs. Entries: init prepare forward evaluate gradient
// train_step. Printed by --stage=schedule; print only.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "ir/kernel.h"
#include "ir/result.h"

namespace netc {

// Bytes as a function of the batch: constant + per_16 * ceil(B / 16) + per_sample * B. Every buffer
// starts at a multiple of kAlignment for every B, so per_sample is a multiple of it unless the
// buffer is the last one (inputs and outputs are the caller's and have their element's alignment).
struct Bytes {
    std::int64_t constant = 0;
    std::int64_t per_16 = 0;
    std::int64_t per_sample = 0;
    std::int64_t at(std::int64_t batch) const {
        return constant + per_16 * ((batch + 15) / 16) + per_sample * batch;
    }
    friend bool operator==(const Bytes&, const Bytes&) = default;
    friend Bytes operator+(const Bytes& a, const Bytes& b) {
        return {a.constant + b.constant, a.per_16 + b.per_16, a.per_sample + b.per_sample};
    }
    friend Bytes operator*(std::int64_t factor, const Bytes& bytes) {
        return {factor * bytes.constant, factor * bytes.per_16, factor * bytes.per_sample};
    }
};
inline constexpr std::int64_t kAlignment = 64;
constexpr std::int64_t round_up(std::int64_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}
// A workspace up to this size may lie on the stack of an emitted object; a larger one of `prepare`, which has no
// argument for it, lies at the end of the prepared region.
inline constexpr std::int64_t kStackScratch = 256 * 1024;

// weights: parameters and state, canonical (row-major, fixed offsets), after a header of 64 bytes that
// holds the model's hash. prepared: what `forward` reads, header as well. optimizer: slots, header.
// workspace: the arena. input, output: the caller's arrays, one region each (`number`).
// hyper: seed (u64 as i64), step (i64), rate (f32), steps_per_epoch (i64) at the offsets of kHyper*.
enum class RegionKind : std::uint8_t {
    weights,
    prepared,
    optimizer,
    workspace,
    input,
    output,
    hyper
};
// In a loop, a buffer moves with the steps: by `bytes` for each step that was run before this one,
// counted from `first` on and modulo `modulo` unless that is 0.
struct Stride {
    std::uint32_t loop = 0;  // index into Entry::loops
    Bytes bytes;             // may be negative
    std::int64_t first = 0;
    std::int64_t modulo = 0;
    std::int64_t count(std::int64_t step) const {
        return modulo == 0 ? step + first : (step + first) % modulo;
    }
    friend bool operator==(const Stride&, const Stride&) = default;
};
struct BufferRef {
    RegionKind region = RegionKind::workspace;
    std::uint32_t number = 0;
    Bytes offset;
    std::vector<Stride> strides = {};
    // `steps`: of each loop, how many steps were run before this one.
    std::int64_t offset_at(std::int64_t batch, const std::vector<std::int64_t>& steps) const;
};
inline constexpr std::int64_t kRegionHeader = 64;
inline constexpr std::int64_t kHyperSeed = 0;
inline constexpr std::int64_t kHyperStepsPerEpoch = 8;
inline constexpr std::int64_t kHyperRate = 16;

struct Call {
    std::uint32_t kernel = 0;          // index into Program::kernels
    std::vector<BufferRef> arguments;  // one per Kernel::params
    std::string label;                 // conv_1: conv_nd+tanh+window; for reports only
    OriginId origin = 0;               // into Entry::origins
};

// The calls begin .. end-1, of which there is at least one, are run `steps` times. Loops nest; an outer one
// stands before its inner ones.
struct Loop {
    std::size_t begin = 0, end = 0;
    std::int64_t steps = 1;
};

struct EntryArgument {
    std::string name;
    DType dtype = DType::f32;
    std::vector<Extent> dims;
    std::string doc;
};

struct Entry {
    std::string name;
    std::vector<EntryArgument> inputs;   // RegionKind::input, in order
    std::vector<EntryArgument> outputs;  // RegionKind::output, in order
    std::vector<Call> calls;
    std::vector<Loop> loops;
    std::vector<Origin> origins;
    Bytes workspace;
    // Which regions the entry touches, and whether it writes them.
    bool reads_weights = false, writes_weights = false;
    bool reads_prepared = false, writes_prepared = false;
    bool reads_optimizer = false, writes_optimizer = false;
    // Integer inputs used as indices: range checked before anything is written.
    struct IndexRange {
        std::uint32_t input = 0;
        std::int64_t limit = 0;
        // One value outside passes all the same (`cross_entropy(ignore = 255)`); 0, which is inside anyway,
        // where there is none.
        std::int64_t ignored = 0;
        // Which elements are meant: those whose place along an axis lies in it, `extent` places of `inner` elements each.
        // Of ids[:, 0] they are the first of each row.
        struct Part {
            std::int64_t inner = 1, extent = 1, begin = 0, end = 1;  // as it stands: all
            bool covers(std::int64_t element) const {
                const std::int64_t place = element / inner % extent;
                return place >= begin && place < end;
            }
            friend bool operator==(const Part&, const Part&) = default;
        };
        std::array<Part, 2> parts = {};  // an element is meant that both cover

        bool is_of_all() const { return parts == std::array<Part, 2>{}; }
        bool covers(std::int64_t element) const {
            return parts[0].covers(element) && parts[1].covers(element);
        }
        bool holds(std::int64_t value) const {
            return (value >= 0 && value < limit) || value == ignored;
        }
    };
    std::vector<IndexRange> index_ranges;
    // Below which every element of an input may be an index; nothing where none is one.
    std::optional<std::int64_t> least_limit(std::uint32_t input) const {
        std::optional<std::int64_t> least;
        for (const IndexRange& range : index_ranges) {
            if (range.input == input) least = std::min(range.limit, least.value_or(range.limit));
        }
        return least;
    }
    // What `as` says of the batch, checked before anything is written.
    struct EqualExtents {
        Extent found, wanted;
        std::string text;  // f32[B, 3] as f32[4, 3]
    };
    std::vector<EqualExtents> equal_extents;
};

struct VariablePlace {
    std::string name;
    DType dtype = DType::f32;
    std::vector<std::int64_t> dims;
    std::int64_t offset = 0;  // bytes from the start of its region
    std::int64_t size = 0;    // bytes
    VariableKind kind = VariableKind::parameter;
    bool frozen = false;
};

struct Program {
    std::string name;
    std::uint64_t model_hash = 0;  // names, shapes, dtypes and kinds of parameters and state
    std::vector<Kernel> kernels;   // distinct
    std::vector<std::string> kernel_texts;  // to_text of each: identity
    std::vector<Entry> entries;
    std::vector<VariablePlace> weights;  // parameters and state
    std::vector<VariablePlace> slots;
    std::int64_t weights_size = kRegionHeader;
    std::int64_t prepared_size = kRegionHeader;
    std::int64_t optimizer_size = kRegionHeader;
    std::int64_t batch_hint = 1;

    const Entry* find(std::string_view entry) const;
};

// Whether the entry can run at this batch; an Error has status 4.
Status check_batch(const Entry& entry, std::int64_t batch);

// What running an entry gives that met such an index among the data.
Error index_out_of_range(std::string_view entry);

// How often one run of the entry makes this call.
std::int64_t times_called(const Entry& entry, std::size_t call);

// All calls in the order of execution: run(call, steps) for each, with the steps of all loops. The first
// Status that is not good ends it.
template <class Run>
Status run_calls(const Entry& entry, Run&& run) {
    std::vector<std::int64_t> steps(entry.loops.size());
    const auto range = [&](auto&& self, std::size_t begin, std::size_t end,
                           std::size_t loop) -> Status {
        for (std::size_t c = begin; c < end;) {
            while (loop < entry.loops.size() && entry.loops[loop].begin < c) ++loop;
            if (loop == entry.loops.size() || entry.loops[loop].begin > c) {
                if (Status status = run(entry.calls[c], steps); !status) return status;
                ++c;
                continue;
            }
            const Loop& inner = entry.loops[loop];
            for (std::int64_t step = 0; step < inner.steps; ++step) {
                steps[loop] = step;
                if (Status status = self(self, c, inner.end, loop + 1); !status) return status;
            }
            c = inner.end;
        }
        return {};
    };
    return range(range, 0, entry.calls.size(), 0);
}

}  // namespace netc
