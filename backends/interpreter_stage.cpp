// Making a kernel ready to run: tapes, guards by loop, and the innermost loops that run fast.
#include <algorithm>

#include "backends/interpreter_kernel.h"

namespace netc::interpreter {
namespace {

std::size_t depth_of(const Index& index, const std::vector<AxisId>& loops) {
    for (std::size_t k = loops.size(); k > 0; --k) {
        if (index.depends_on(loops[k - 1])) return k;
    }
    return 0;
}

}  // namespace

KernelMachine::KernelMachine(const Kernel& kernel, std::int64_t batch)
    : kernel_(kernel), batch_(batch) {
    for (const Axis& axis : kernel.axes) extents_.push_back(axis.extent.at(batch));
    axes_.assign(kernel.axes.size(), 0);
    for (const Local& local : kernel.locals) {
        std::int64_t count = 1;
        for (std::int64_t dim : local.dims) count *= dim;
        local_memory_.emplace_back(static_cast<std::size_t>(count));
    }
    for (std::vector<Value>& memory : local_memory_) {
        locals_.push_back({memory.data(), 1, static_cast<std::int64_t>(memory.size())});
    }
    stages_.reserve(kernel.stages.size());
    for (const Stage& stage : kernel.stages) compile_stage(stage);
}

void KernelMachine::compile_stage(const Stage& stage) {
    StageCode code;
    code.own = stage.axes;
    Levels levels;
    levels.of_axis.assign(kernel_.axes.size(), 0);
    for (AxisId axis : code.own) levels.of_axis[axis] = levels.count++;
    Levels post_levels = levels;
    std::vector<StateVariable> states;
    if (stage.reduction) {
        const Reduction& reduction = *stage.reduction;
        code.reduction = &reduction;
        code.reduced = reduction.axes;
        states = reduction.states;
        post_levels.has_state = levels.has_state = true;
        levels.guarded = !reduction.guards.empty();
        code.strict = reduction.guards.empty();
        for (AxisId axis : code.reduced) levels.of_axis[axis] = levels.count++;
        code.guards.resize(code.reduced.size() + 1);
        for (const Guard& guard : reduction.guards) {
            code.guards[depth_of(guard.index, code.reduced)].push_back(guard);
        }
        code.step = compile(kernel_, reduction.step, states, levels, batch_);
        for (ScalarId root : reduction.step) code.step_roots.push_back(code.step.place.at(root));
        Levels merge_levels;
        merge_levels.of_axis.assign(kernel_.axes.size(), 0);
        merge_levels.has_state = true;
        code.merge = compile(kernel_, reduction.merge, states, merge_levels, batch_);
        for (ScalarId root : reduction.merge) code.merge_roots.push_back(code.merge.place.at(root));
    }
    // An empty loop leaves reads of the loops around it without a use.
    for (AxisId axis : code.own) code.strict &= extents_[axis] > 0;
    for (AxisId axis : code.reduced) code.strict &= extents_[axis] > 0;

    std::vector<ScalarId> roots;
    for (const Store& store : stage.stores) {
        roots.push_back(store.value);
        if (store.indirect >= 0) roots.push_back(store.position);
    }
    code.post = compile(kernel_, roots, states, post_levels, batch_);
    for (const Store& store : stage.stores) {
        code.store_roots.push_back(code.post.place.at(store.value));
        Address target =
            address_of(kernel_, store.target, store.index, store.indirect, store.clipped, batch_);
        if (store.indirect >= 0) target.position = code.post.place.at(store.position);
        code.targets.push_back(std::move(target));
    }
    find_fast_loop(code);
    stages_.push_back(std::move(code));
}

void KernelMachine::find_fast_loop(StageCode& code) const {
    if (code.reduction == nullptr || code.reduced.empty() || code.step_roots.size() != 1) return;
    const AxisId axis = code.reduced.back();
    const Order& order = code.reduction->order;
    if (order.kind == OrderKind::lanes && order.lane_axis == axis) return;
    if (order.kind == OrderKind::blocked && code.reduced.size() == 1) return;
    for (const Guard& guard : code.guards.back()) {
        if (guard.divisor != 1 || !guard.index.coefficient(axis)) return;
    }
    const std::vector<Instruction>& last = code.step.levels.back();
    if (last.size() != 1 || last[0].result != code.step_roots[0] || !last[0].on_floats) return;
    const std::uint32_t state = code.step.states[0];
    const Instruction& root = last[0];
    FastLoop fast;
    std::optional<FastLoop::Operand> a, b;
    if (root.op == ScalarOp::fma && root.c == state && root.a != state && root.b != state) {
        fast.is_fma = true;
        a = fast_operand(code, root.a);
        b = fast_operand(code, root.b);
    } else if (root.op == ScalarOp::add && (root.a == state) != (root.b == state)) {
        a = b = fast_operand(code, root.a == state ? root.b : root.a);
    }
    if (!a || !b) return;
    // Nothing else may be in the loop.
    const std::size_t reads = code.step.levels[code.step.levels.size() - 2].size();
    const std::size_t used =
        (a->is_read ? 1u : 0u) + (fast.is_fma && b->is_read && b->address != a->address ? 1u : 0u);
    if (reads != used) return;
    fast.a = *a;
    fast.b = *b;
    code.fast = fast;
}

std::optional<FastLoop::Operand> KernelMachine::fast_operand(const StageCode& code,
                                                             std::uint32_t place) const {
    FastLoop::Operand operand;
    for (const Instruction& instruction : code.step.levels[code.step.levels.size() - 2]) {
        if (instruction.result != place) continue;
        if (instruction.op != ScalarOp::read) return std::nullopt;
        operand.is_read = true;
        operand.address = static_cast<std::size_t>(instruction.number);
        const Address& address = code.step.addresses[operand.address];
        if (address.indirect || !address.checks.empty()) return std::nullopt;
        for (const Address::Other& other : address.others) {
            if (other.index.depends_on(code.reduced.back())) return std::nullopt;
        }
        for (const Address::Part& part : address.parts) {
            if (part.axis == code.reduced.back()) operand.step += part.step;
        }
        return operand;
    }
    operand.register_number = place;
    return operand;
}

}  // namespace netc::interpreter
