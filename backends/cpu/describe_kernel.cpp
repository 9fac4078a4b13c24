// What the model of schedule_cost.cpp knows about a kernel: how its accesses lie in memory, what its stages compute.
#include <algorithm>
#include <optional>

#include "backends/cpu/schedule_chooser.h"

namespace netc::choosing {
namespace {

void collect_axes(const Index& index, std::uint64_t& axes) {
    for (const IndexTerm& term : index.terms()) {
        if (term.kind == IndexTerm::Kind::axis) {
            axes |= std::uint64_t{1} << term.axis;
        } else {
            collect_axes(term.inner[0], axes);
        }
    }
}

// How the index moves while the axis runs over an aligned block of 16; nothing where that differs from step to
// step. Blocks begin at multiples of 16: i // 128 stays, i % 32 moves by one.
std::optional<std::int64_t> step_in_block(const Index& index, AxisId axis) {
    std::int64_t sum = 0;
    for (const IndexTerm& term : index.terms()) {
        if (term.kind == IndexTerm::Kind::axis) {
            if (term.axis == axis) sum += term.coefficient;
            continue;
        }
        const auto inside = step_in_block(term.inner[0], axis);
        if (!inside) return std::nullopt;
        if (*inside == 0) continue;
        if (!term.inner[0].is_axis(axis) || term.divisor % kLanes != 0) return std::nullopt;
        if (term.kind == IndexTerm::Kind::mod) sum += term.coefficient;
    }
    return sum;
}

}  // namespace

Access Chooser::access_of(const Buffer& buffer, const std::vector<Index>& index,
                          bool indirect) const {
    Access access;
    access.local = buffer.kind == Buffer::Kind::local;
    access.indirect = indirect;
    access.stride.assign(kernel_.axes.size(), 0);
    access.known.assign(kernel_.axes.size(), true);
    std::vector<std::int64_t> strides(index.size(), 1);
    bool lanes = false;
    if (access.local) {
        const Local& local = kernel_.locals[buffer.index];
        std::int64_t stride = 1;
        for (std::size_t d = index.size(); d-- > 0;) {
            strides[d] = stride;
            stride *= local.dims[d];
        }
    } else {
        const Param& param = kernel_.params[buffer.index];
        lanes = param.layout.lanes;
        if (is_part_of_word(param.dtype)) access.in_word = 4 / size_of(param.dtype);
        std::ranges::transform(netc::strides(param), strides.begin(),
                               [&](const Extent& stride) { return stride.at(hint_); });
    }
    for (std::size_t d = 0; d < index.size(); ++d) {
        std::uint64_t axes = 0;
        collect_axes(index[d], axes);
        access.axes |= axes;
        access.dims.emplace_back();
        for (AxisId axis = 0; axis < kernel_.axes.size(); ++axis) {
            if (((axes >> axis) & 1) == 0) continue;
            const auto coefficient = step_in_block(index[d], axis);
            if (coefficient == 0) continue;
            access.dims.back().push_back({axis, coefficient.value_or(1)});
            if (lanes && d == 0) {
                access.stride[axis] = 1;
                access.known[axis] = index[d].is_axis(axis);
            } else {
                access.stride[axis] += coefficient.value_or(1) * strides[d];
                access.known[axis] = access.known[axis] && coefficient.has_value();
            }
        }
    }
    return access;
}

void Chooser::describe() {
    for (const Read& read : kernel_.reads)
        reads_.push_back(access_of(read.source, read.index, read.indirect >= 0));
    for (const Stage& stage : kernel_.stages) {
        stores_.emplace_back();
        StageInfo info;
        for (const Store& store : stage.stores) {
            stores_.back().push_back(access_of(store.target, store.index, store.indirect >= 0));
            stores_.back().back().stored = true;
            scatter_ = scatter_ || store.indirect >= 0;
        }
        std::vector<bool> seen;
        const auto walk = [&](ScalarId root, std::vector<std::uint32_t>& found) {
            double work = 0;
            std::vector<ScalarId> open{root};
            while (!open.empty()) {
                const ScalarId id = open.back();
                open.pop_back();
                if (id == kNoScalar || seen[id]) continue;
                seen[id] = true;
                const Scalar& scalar = kernel_.scalars[id];
                if (scalar.op == ScalarOp::read) {
                    const auto number = static_cast<std::uint32_t>(scalar.integer);
                    found.push_back(number);
                    if (kernel_.reads[number].indirect >= 0)
                        open.push_back(kernel_.reads[number].position);
                }
                if (scalar.op == ScalarOp::div || scalar.op == ScalarOp::sqrt) work += 8;
                if (scalar.op == ScalarOp::philox) work += 80;
                if (!scalar.operands.empty()) work += 1;
                open.insert(open.end(), scalar.operands.begin(), scalar.operands.end());
            }
            return work;
        };
        seen.assign(kernel_.scalars.size(), false);
        for (const Store& store : stage.stores) {
            info.post_work += walk(store.value, info.post_reads);
            if (store.indirect >= 0) info.post_work += walk(store.position, info.post_reads);
        }
        if (stage.reduction) {
            seen.assign(kernel_.scalars.size(), false);
            for (ScalarId id : stage.reduction->step) info.step_work += walk(id, info.step_reads);
            // Where parts of words are multiplied together, widening them is part of it.
            const bool pairs = std::ranges::any_of(info.step_reads, [&](std::uint32_t read) {
                return reads_[read].in_word == 2 ? machine_.bf16
                                                 : reads_[read].in_word == 4 && machine_.vnni;
            });
            if (pairs) info.step_work = 1;
            info.states = static_cast<double>(stage.reduction->states.size());
            info.element_size = size_of(stage.reduction->states[0].dtype);
        }
        double points = 1;
        for (AxisId axis : kernel_.outer) points *= static_cast<double>(extent(axis));
        for (AxisId axis : stage.axes) points *= static_cast<double>(extent(axis));
        info.work = points * (info.post_work + 1);
        if (stage.reduction) {
            for (AxisId axis : stage.reduction->axes) points *= static_cast<double>(extent(axis));
            info.work += points * (info.step_work + 0.5);
        }
        stages_.push_back(info);
        if (info.work > stages_[main_].work) main_ = stages_.size() - 1;
    }
}

}  // namespace netc::choosing
