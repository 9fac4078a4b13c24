// A loaded program with its memory: what the verbs of the command line work on.
//
//     Session session = *Session::create(program, executable);
//     session.init(seed);
//     session.run("train_step", inputs, batch);
//
// Regions are laid out as program.h says. Weights go in and out by name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backends/backend.h"
#include "ir/graph.h"
#include "ir/program.h"
#include "ir/result.h"
#include "runtime/files/safetensors.h"

namespace netc {

// Zeroed memory aligned to kAlignment; empty when there is none to be had.
class AlignedMemory {
public:
    static Result<AlignedMemory> allocate(std::int64_t bytes);
    std::byte* data() const { return data_.get(); }
    std::int64_t size() const { return size_; }

private:
    std::shared_ptr<std::byte> data_;
    std::int64_t size_ = 0;
};

class Session {
public:
    // Keeps references to both; allocates weights, prepared and optimizer regions, zeroed but for headers.
    static Result<Session> create(const Program& program, Executable& executable);

    const Program& program() const { return *program_; }

    // Initial parameters and state from the seed; the optimizer's slots become zero.
    Status init(std::uint64_t seed);
    void set_seed(std::uint64_t seed);
    void set_steps_per_epoch(std::int64_t steps);
    // NaN: what the train section says.
    void set_rate(float rate);

    // Runs an entry. `inputs` in the order of Entry::inputs, row-major; results are kept until the
    // next run, see output(). On a GPU it returns while the entry still runs; the inputs may be changed then.
    Status run(std::string_view entry, std::span<const std::byte* const> inputs,
               std::int64_t batch);
    // Waits until the last run has its outputs. Error: of that run, or of anything on a GPU since the last call of
    // run() or wait(). Reading outputs or variables waits as well; what it read is then good if this is.
    Status wait() const { return wait(0); }
    // Until no more than so many runs of one entry at one batch are under way; outputs are then those of the last that
    // ended, until the next run.
    Status wait(std::size_t may_run) const;
    // Whether runs go on while we do, on a GPU.
    bool is_asynchronous() const { return executable_->has_own_memory(); }
    // Whether a run may still be under way, on a GPU, and was not waited for.
    bool is_busy() const { return under_way_ > 0; }
    // Bytes of the i-th output of the last run, row-major, for its batch; unless wait() said which, it is waited for.
    std::span<const std::byte> output(std::size_t i) const;
    // A rank-0 f32 or f64 output as a number, by name; NaN where there is none.
    double number(std::string_view name) const;

    // Parameters, state, slots: their bytes, until the next run. Where they may be changed, it is to be at once.
    std::span<std::byte> variable(const VariablePlace& place);
    std::span<const std::byte> variable(const VariablePlace& place) const;
    const VariablePlace* find_weight(std::string_view name) const;
    // The optimizer's step counter; 0 where there is none.
    std::int64_t steps_done() const;

private:
    Status reserve_workspace(const Entry& entry, std::int64_t batch);
    Status prepare_call(std::string_view entry, std::int64_t batch);
    Status call(std::string_view entry, std::span<const std::byte* const> inputs,
                std::int64_t batch);
    Status find_not_finite() const;
    void put_hyper(std::int64_t offset, const void* value, std::size_t size);
    void settle(std::size_t may_run = 0) const;
    void keep(Status status) const;
    std::span<std::byte> memory_of(const VariablePlace& place) const;
    void catch_up(RegionKind region) const;

    const Program* program_ = nullptr;
    Executable* executable_ = nullptr;
    AlignedMemory weights_, prepared_, optimizer_, hyper_, workspace_;
    const Entry* last_ = nullptr;
    std::int64_t last_batch_ = 0;
    EntryFunction direct_ = nullptr;  // of `last_` at this batch, where it is all that running does
    std::vector<AlignedMemory> outputs_;
    std::vector<std::byte*> output_pointers_;  // of outputs_
    bool checks_finite_ = false;               // `last_` has checks of --check-finite
    // On a GPU, which has its own weights and optimizer's state and goes on while we do:
    mutable bool weights_behind_ = false, optimizer_behind_ = false;  // its are newer
    mutable std::size_t under_way_ = 0;   // runs that were not waited for
    mutable bool outputs_ended_ = false;  // outputs_ are those of a run that was waited for
    mutable Status failure_;  // of something that was read; the next wait() or run() gives it
};

// ---- weights and files --------------------------------------------------------------------------

// Views of all parameters and state (and slots), named as in the file. Error (status 4): a GPU does not give them.
Result<std::vector<TensorView>> weight_tensors(const Session& session);
Result<std::vector<TensorView>> slot_tensors(const Session& session);

// Takes the tensors of a file. Weights of another model are refused with a table of what differs,
// unless `partial`: then what matches in name, shape and dtype is taken and `report` says what was.
struct LoadReport {
    std::vector<std::string> taken, missing, unused, different;
};
Result<LoadReport> load_weights(Session& session, const Safetensors& file, const std::string& path,
                                bool partial);
// Gives the tensors of a file the names that they have in the model, by pairs of patterns in which each `*`
// stands for the same text on both sides: ("resnet_1.*", "backbone.*"). The first that matches counts; one
// that matches none, or two tensors of one name, are errors.
Status rename_tensors(Safetensors& file,
                      const std::vector<std::pair<std::string, std::string>>& map,
                      const std::string& path);
// The values of variables whose initialiser is `from_file`.
Status read_initial_files(Session& session, const std::vector<Variable>& variables);
Status load_slots(Session& session, const Safetensors& file, const std::string& path);

}  // namespace netc
