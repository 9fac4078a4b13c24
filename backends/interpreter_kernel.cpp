// Running a kernel: loops, reductions in their orders, reads and stores.
#include "backends/interpreter_kernel.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace netc::interpreter {

std::string KernelMachine::run(std::span<const View> params) {
    params_ = params;
    fault_ = false;
    wrong_.clear();
    run_outer(0);
    return wrong_;
}

void KernelMachine::run_outer(std::size_t depth) {
    if (depth < kernel_.outer.size()) {
        const AxisId axis = kernel_.outer[depth];
        for (std::int64_t at = 0; at < extents_[axis] && wrong_.empty(); ++at) {
            axes_[axis] = at;
            run_outer(depth + 1);
        }
        return;
    }
    for (StageCode& code : stages_) {
        if (!wrong_.empty()) return;
        execute(code.step, 0, code.strict);
        execute(code.post, 0, code.strict);
        run_own(code, 0);
    }
}

void KernelMachine::run_own(StageCode& code, std::size_t depth) {
    if (depth == code.own.size()) return run_body(code);
    const AxisId axis = code.own[depth];
    for (std::int64_t at = 0; at < extents_[axis]; ++at) {
        axes_[axis] = at;
        execute(code.step, depth + 1, code.strict);
        execute(code.post, depth + 1, code.strict);
        run_own(code, depth + 1);
    }
}

void KernelMachine::run_body(StageCode& code) {
    if (code.reduction != nullptr) {
        reduce(code);
        for (std::size_t k = 0; k < code.post.states.size(); ++k) {
            code.post.registers[code.post.states[k]] = accumulators_[k];
        }
        execute(code.post, code.own.size() + 1, code.strict);
    }
    for (std::size_t k = 0; k < code.targets.size(); ++k) store(code, k);
}

void KernelMachine::reduce(StageCode& code) {
    const std::vector<StateVariable>& states = code.reduction->states;
    const Order& order = code.reduction->order;
    // With leaves, a second set of sums for the leaf at hand.
    const std::size_t sets =
        order.kind == OrderKind::lanes ? static_cast<std::size_t>(kLanes) : std::size_t{1};
    accumulators_.resize((order.leaf > 0 ? 2 : 1) * sets * states.size());
    for (std::size_t k = 0; k < accumulators_.size(); ++k) {
        const StateVariable& state = states[k % states.size()];
        if (is_float(state.dtype)) {
            accumulators_[k].number = state.identity;
        } else {
            accumulators_[k].integer = static_cast<std::int64_t>(state.identity);
        }
    }
    current_ = accumulators_.data();
    first_leaf_ = true;
    if (holds(code.guards[0])) reduce_loop(code, 0);
    if (order.leaf > 0) merge_leaf(code);
    if (order.kind != OrderKind::lanes) return;
    for (std::size_t half = sets / 2; half > 0; half /= 2) {
        for (std::size_t lane = 0; lane < half; ++lane) {
            merge(code, &accumulators_[lane * states.size()],
                  &accumulators_[(lane + half) * states.size()]);
        }
    }
}

void KernelMachine::reduce_loop(StageCode& code, std::size_t depth) {
    if (depth == code.reduced.size()) return step(code);
    if (depth + 1 == code.reduced.size() && code.fast && reduce_fast(code)) return;
    const AxisId axis = code.reduced[depth];
    const Order& order = code.reduction->order;
    const bool is_lane = order.kind == OrderKind::lanes && axis == order.lane_axis;
    const bool is_block = order.leaf > 0 && depth == 0;
    const std::int64_t leaf = order.leaf * (is_lane ? static_cast<std::int64_t>(kLanes) : 1);
    for (std::int64_t at = 0; at < extents_[axis]; ++at) {
        axes_[axis] = at;
        if (is_block && at > 0 && at % leaf == 0) merge_leaf(code);
        if (is_lane) {
            const std::size_t set =
                static_cast<std::size_t>(at % kLanes) +
                (is_block && !first_leaf_ ? static_cast<std::size_t>(kLanes) : 0);
            current_ = accumulators_.data() + set * code.reduction->states.size();
        }
        if (!holds(code.guards[depth + 1])) continue;
        execute(code.step, code.own.size() + depth + 1, code.strict);
        reduce_loop(code, depth + 1);
    }
}

// The innermost loop at once; false where it must be run in the general way.
bool KernelMachine::reduce_fast(StageCode& code) {
    const FastLoop& fast = *code.fast;
    const AxisId axis = code.reduced.back();
    std::int64_t low = 0, high = extents_[axis];
    axes_[axis] = 0;
    for (const Guard& guard : code.guards.back()) {
        const std::int64_t start = evaluate(guard.index, axes_.data());
        const std::int64_t step = *guard.index.coefficient(axis);
        const std::int64_t limit = guard.limit.at(batch_);
        while (low < high && (start + step * low < 0 || start + step * low >= limit)) ++low;
        while (low < high &&
               (start + step * (high - 1) < 0 || start + step * (high - 1) >= limit)) {
            --high;
        }
    }
    if (low >= high) return true;
    const Value* from[2] = {};
    std::int64_t advance[2] = {};
    const FastLoop::Operand* const operands[] = {&fast.a, &fast.b};
    for (std::size_t k = 0; k < (fast.is_fma ? 2u : 1u); ++k) {
        const FastLoop::Operand& operand = *operands[k];
        if (!operand.is_read) {
            from[k] = &code.step.registers[operand.register_number];
            continue;
        }
        const Address& address = code.step.addresses[operand.address];
        const View& source = view(address.buffer);
        axes_[axis] = low;
        const std::optional<std::int64_t> first = offset(address, code.step);
        if (!first) return false;
        const std::int64_t last = *first + operand.step * (high - 1 - low);
        if (last < 0 || last >= source.count) return false;
        from[k] = source.data + *first * source.step;
        advance[k] = operand.step * source.step;
    }
    double sum = current_->number;
    if (fast.is_fma) {
        for (std::int64_t k = 0; k < high - low; ++k) {
            sum += from[0]->number * from[1]->number;
            from[0] += advance[0];
            from[1] += advance[1];
        }
    } else {
        for (std::int64_t k = 0; k < high - low; ++k, from[0] += advance[0]) sum += from[0]->number;
    }
    current_->number = sum;
    return true;
}

void KernelMachine::step(StageCode& code) {
    Tape& tape = code.step;
    for (std::size_t k = 0; k < tape.states.size(); ++k) {
        tape.registers[tape.states[k]] = current_[k];
    }
    execute(tape, tape.levels.size() - 1, code.strict);
    for (std::size_t k = 0; k < code.step_roots.size(); ++k) {
        current_[k] = tape.registers[code.step_roots[k]];
    }
}

void KernelMachine::merge(StageCode& code, Value* left, const Value* right) {
    Tape& tape = code.merge;
    for (std::size_t k = 0; k < tape.states.size(); ++k) {
        tape.registers[tape.states[k]] = left[k];
        tape.registers[tape.others[k]] = right[k];
    }
    for (std::size_t level = 0; level < tape.levels.size(); ++level) {
        execute(tape, level, code.strict);
    }
    for (std::size_t k = 0; k < code.merge_roots.size(); ++k) {
        left[k] = tape.registers[code.merge_roots[k]];
    }
}

// The leaf's states, in the second set, go into the total, in the first.
void KernelMachine::merge_leaf(StageCode& code) {
    const std::size_t states = code.reduction->states.size();
    const std::size_t sets = accumulators_.size() / states / 2;
    Value* const leaf = accumulators_.data() + sets * states;
    if (first_leaf_) {
        // The first leaf was accumulated in the total itself.
        first_leaf_ = false;
        current_ = leaf;
        return;
    }
    for (std::size_t set = 0; set < sets; ++set)
        merge(code, &accumulators_[set * states], &leaf[set * states]);
    for (std::size_t k = 0; k < sets * states; ++k) {
        const StateVariable& state = code.reduction->states[k % states];
        if (is_float(state.dtype)) {
            leaf[k].number = state.identity;
        } else {
            leaf[k].integer = static_cast<std::int64_t>(state.identity);
        }
    }
}

bool KernelMachine::holds(const std::vector<Guard>& guards) const {
    for (const Guard& guard : guards) {
        const std::int64_t position = evaluate(guard.index, axes_.data());
        if (position < 0 || position % guard.divisor != 0 ||
            position / guard.divisor >= guard.limit.at(batch_)) {
            return false;
        }
    }
    return true;
}

void KernelMachine::execute(Tape& tape, std::size_t level, bool strict) {
    if (level >= tape.levels.size()) return;
    for (const Instruction& instruction : tape.levels[level]) {
        Value& result = tape.registers[instruction.result];
        if (instruction.op == ScalarOp::read) {
            result =
                load(tape.addresses[static_cast<std::size_t>(instruction.number)], tape, strict);
        } else if (instruction.op == ScalarOp::index) {
            const auto number = static_cast<std::size_t>(instruction.number);
            const std::int64_t position = evaluate(kernel_.indices[number], axes_.data());
            if (is_float(instruction.type)) {
                result.number = static_cast<double>(position);
            } else {
                result.integer = position;
            }
        } else {
            result = compute(instruction, tape.registers.data(), kernel_);
        }
    }
}

std::optional<std::int64_t> KernelMachine::offset(const Address& address, const Tape& tape) {
    std::int64_t result = address.base;
    for (const Address::Part& part : address.parts) result += axes_[part.axis] * part.step;
    const auto add_lanes = [&result](std::int64_t at, std::int64_t step, bool lanes) {
        result += lanes ? at / kLanes * step + at % kLanes : at * step;
    };
    for (const Address::Other& other : address.others) {
        add_lanes(evaluate(other.index, axes_.data()), other.step, other.lanes);
    }
    if (address.indirect) {
        const std::int64_t at = tape.registers[address.position].integer;
        if (at < 0 || at >= address.position_extent) {
            fault_ = true;
            return std::nullopt;
        }
        add_lanes(at, address.position_step, address.position_lanes);
    }
    if (result < 0 || result >= view(address.buffer).count) return std::nullopt;
    return result;
}

bool KernelMachine::passes_checks(const Address& address) const {
    return std::ranges::all_of(address.checks, [&](const Address::Check& check) {
        const std::int64_t at = evaluate(check.index, axes_.data());
        return at >= 0 && at < check.extent;
    });
}

Value KernelMachine::load(const Address& address, const Tape& tape, bool strict) {
    Value nothing;
    nothing.integer = 0;  // 0.0 as well
    if (!passes_checks(address)) return nothing;
    const bool fault_before = fault_;
    fault_ = false;
    const std::optional<std::int64_t> where = offset(address, tape);
    const bool bad_index = fault_;
    fault_ |= fault_before;
    if (where) {
        const View& source = view(address.buffer);
        return source.data[*where * source.step];
    }
    if (!bad_index && strict) wrong_ = "a read lies outside of its buffer";
    if (address.is_float) nothing.number = std::numeric_limits<double>::quiet_NaN();
    return nothing;
}

void KernelMachine::store(StageCode& code, std::size_t number) {
    const Address& address = code.targets[number];
    if (!passes_checks(address)) return;
    const bool fault_before = fault_;
    fault_ = false;
    const std::optional<std::int64_t> where = offset(address, code.post);
    const bool bad_index = fault_;
    fault_ |= fault_before;
    if (!where) {
        if (!bad_index) wrong_ = "a store lies outside of its buffer";
        return;
    }
    const View& target = view(address.buffer);
    Value& element = target.data[*where * target.step];
    const Value value = code.post.registers[code.store_roots[number]];
    if (!address.indirect) {
        element = value;
    } else if (address.is_float) {
        element.number += value.number;
    } else {
        element.integer += value.integer;
    }
}

}  // namespace netc::interpreter
