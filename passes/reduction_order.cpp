#include "passes/reduction_order.h"

#include <algorithm>

namespace netc {
namespace {

// From this extent on, a sum over one static axis is worth sixteen accumulators.
constexpr std::int64_t kLongAxis = 64;
// From this extent on, vectors of results are as good as vectors of terms.
constexpr std::int64_t kWideResult = 2 * kLanes;

Order lanes(AxisId axis) { return {OrderKind::lanes, axis, 0}; }

}  // namespace

std::int64_t widest_dim(const Shape& shape) {
    std::int64_t widest = 1;
    for (const Dim& dim : shape) {
        if (dim.is_static()) widest = std::max(widest, dim.value());
    }
    return widest;
}

Order reduction_order(const ReductionShape& shape) {
    std::optional<AxisId> batch;
    std::vector<std::size_t> proper;  // axes that have more than one value
    for (std::size_t i = 0; i < shape.axes.size(); ++i) {
        if (shape.extents[i] == Extent{0, 1}) continue;
        proper.push_back(i);
        if (!shape.extents[i].is_static() && !batch) batch = shape.axes[i];
    }
    // Behind other axes, the steps of a loop, the batch is summed with them, one after the other.
    const bool outermost = batch && shape.axes[proper[0]] == *batch;
    if (batch && shape.results && *shape.results < kLanes) return lanes(*batch);
    if (batch && proper.size() > 1 && outermost) {
        if (shape.widest < kWideResult) return lanes(*batch);
        // Vectors of results. A long sum that is no contraction keeps its digits in one part for each sample.
        if (!shape.contraction && shape.axes[0] == *batch) return {OrderKind::blocked, 0, 1};
    }
    if (!shape.contraction && proper.size() == 1 && shape.extents[proper[0]].is_static() &&
        shape.extents[proper[0]].constant >= kLongAxis) {
        return lanes(shape.axes[proper[0]]);
    }
    return {};
}

}  // namespace netc
