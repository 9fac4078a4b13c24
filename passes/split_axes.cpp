#include "passes/split_phases.h"

#include <algorithm>
#include <optional>

namespace netc {
namespace {

template <class Visit>
void for_each_index(Kernel& kernel, Visit visit) {
    for (Read& read : kernel.reads) std::ranges::for_each(read.index, visit);
    std::ranges::for_each(kernel.indices, visit);
    for (Stage& stage : kernel.stages) {
        for (Store& store : stage.stores) std::ranges::for_each(store.index, visit);
        if (!stage.reduction) continue;
        for (Guard& guard : stage.reduction->guards) visit(guard.index);
    }
}

// The divisor of the guards that steps of the axis by one change, where it divides the axis.
std::optional<std::int64_t> phases_of(const Kernel& kernel, AxisId axis) {
    std::optional<std::int64_t> phases;
    for (const Stage& stage : kernel.stages) {
        if (!stage.reduction) continue;
        for (const Guard& guard : stage.reduction->guards) {
            const auto step = guard.index.coefficient(axis);
            if (!step) return std::nullopt;
            if (*step % guard.divisor == 0) continue;
            if (phases && *phases != guard.divisor) return std::nullopt;
            phases = guard.divisor;
        }
    }
    const Extent extent = kernel.axes[axis].extent;
    if (!phases || !extent.is_static() || extent.constant % *phases != 0 ||
        extent.constant == *phases)
        return std::nullopt;
    return phases;
}

void split(Kernel& kernel, AxisId axis, std::int64_t phases) {
    kernel.axes[axis].extent.constant /= phases;
    const auto phase = static_cast<AxisId>(kernel.axes.size());
    kernel.axes.push_back({kernel.axes[axis].kind, {0, phases}});
    kernel.outer.insert(std::ranges::find(kernel.outer, axis), phase);
    const auto extent = [&](AxisId id) -> std::optional<std::int64_t> {
        const Extent& of = kernel.axes[id].extent;
        return of.is_static() ? std::optional(of.constant) : std::nullopt;
    };
    for_each_index(kernel, [&](Index& index) {
        if (!index.depends_on(axis)) return;
        index = simplify(index.substitute([&](AxisId id) -> std::optional<Index> {
            if (id != axis) return std::nullopt;
            return Index::axis(axis) * phases + Index::axis(phase);
        }),
                         extent);
    });
}

}  // namespace

void split_phases(Kernel& kernel) {
    const std::vector<AxisId> outer = kernel.outer;
    for (const AxisId axis : outer) {
        if (const auto phases = phases_of(kernel, axis)) split(kernel, axis, *phases);
    }
}

}  // namespace netc
