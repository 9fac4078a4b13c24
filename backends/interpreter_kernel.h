// One kernel made ready for one batch, and run on views of memory.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "backends/interpreter_tape.h"

namespace netc::interpreter {

// A reduction whose innermost loop is fma(a, b, state) or state + a over affine reads: the case that
// takes the time of networks.
struct FastLoop {
    bool is_fma = false;
    // A read of that loop, or a register that is known outside of it.
    struct Operand {
        bool is_read = false;
        std::uint32_t register_number = 0;
        std::size_t address = 0;
        std::int64_t step = 0;  // elements per iteration
    } a, b;
};

struct StageCode {
    std::vector<AxisId> own, reduced;
    const Reduction* reduction = nullptr;
    Tape step, merge, post;
    std::vector<std::vector<Guard>> guards;  // by number of reduced loops entered
    std::vector<Address> targets;
    std::vector<std::uint32_t> step_roots, merge_roots, store_roots;
    std::optional<FastLoop> fast;
    bool strict = true;  // an index outside is an error of the kernel
};

class KernelMachine {
public:
    // The kernel must outlive the machine, and have passed `verify`.
    KernelMachine(const Kernel& kernel, std::int64_t batch);
    // One view per param. Gives what is wrong with the kernel, or an empty text.
    std::string run(std::span<const View> params);
    bool fault() const { return fault_; }  // of the last run: an index among the data was bad

private:
    void compile_stage(const Stage& stage);
    void find_fast_loop(StageCode& code) const;
    std::optional<FastLoop::Operand> fast_operand(const StageCode& code, std::uint32_t place) const;

    void run_outer(std::size_t depth);
    void run_own(StageCode& code, std::size_t depth);
    void run_body(StageCode& code);
    void reduce(StageCode& code);
    void reduce_loop(StageCode& code, std::size_t depth);
    bool reduce_fast(StageCode& code);
    void step(StageCode& code);
    void merge(StageCode& code, Value* left, const Value* right);
    void merge_leaf(StageCode& code);
    bool holds(const std::vector<Guard>& guards) const;

    void execute(Tape& tape, std::size_t level, bool strict);
    Value load(const Address& address, const Tape& tape, bool strict);
    void store(StageCode& code, std::size_t number);
    bool passes_checks(const Address& address) const;
    // Nothing where it is outside of the buffer.
    std::optional<std::int64_t> offset(const Address& address, const Tape& tape);
    const View& view(Buffer buffer) const {
        return buffer.kind == Buffer::Kind::param ? params_[buffer.index] : locals_[buffer.index];
    }

    const Kernel& kernel_;
    std::int64_t batch_;
    std::vector<StageCode> stages_;
    std::vector<std::int64_t> extents_;  // by axis
    std::vector<std::int64_t> axes_;     // their values
    std::vector<std::vector<Value>> local_memory_;
    std::vector<View> locals_;
    std::span<const View> params_;
    std::vector<Value> accumulators_;  // 16 sets of states, or one, or one and the total
    Value* current_ = nullptr;         // the set in use
    bool first_leaf_ = true;
    bool fault_ = false;
    std::string wrong_;
};

}  // namespace netc::interpreter
