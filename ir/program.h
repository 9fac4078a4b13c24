// Program: kernels and the sequence of calls of each entry point, over regions of memory.
//
// What the backends compile and the interpreter runs. Entries: init prepare forward evaluate gradient
// train_step. Printed by --stage=schedule; print only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "ir/kernel.h"

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
};
inline constexpr std::int64_t kAlignment = 64;

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
struct BufferRef {
    RegionKind region = RegionKind::workspace;
    std::uint32_t number = 0;
    Bytes offset;
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
    };
    std::vector<IndexRange> index_ranges;
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

}  // namespace netc
