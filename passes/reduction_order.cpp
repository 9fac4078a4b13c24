#include "passes/reduction_order.h"

#include <algorithm>

namespace netc {
namespace {

// From this extent on, a sum over one static axis is worth sixteen accumulators.
constexpr std::int64_t kLongAxis = 64;
// From this extent on, vectors of results are as good as vectors of terms.
constexpr std::int64_t kWideResult = 2 * kLanes;

// Of so many rows, or so long ones, it is better to add to them in memory than to compare each with each number.
constexpr std::int64_t kScattered = 256;

// A sum over a batch and more is cut into leaves of about so many terms for each lane: enough that merging costs
// nothing, so few that a device with thousands of threads has work for them.
constexpr std::int64_t kLeafTerms = 512;

Order lanes(AxisId axis, std::int64_t leaf = 0) { return {OrderKind::lanes, axis, leaf}; }

}  // namespace

std::int64_t widest_dim(const Shape& shape) {
    std::int64_t widest = 1;
    for (const Dim& dim : shape) {
        if (dim.is_static()) widest = std::max(widest, dim.value());
    }
    return widest;
}

bool is_worth_scattering(const Shape& result) { return widest_dim(result) >= kScattered; }

Order reduction_order(const ReductionShape& shape) {
    if (shape.scatter && shape.widest >= kScattered)
        return {};  // in both forms, see scatter_rows.h
    std::optional<AxisId> batch;
    std::vector<std::size_t> proper;  // axes that have more than one value
    std::int64_t rest = 1;            // terms for each value of the first axis
    for (std::size_t i = 0; i < shape.axes.size(); ++i) {
        if (shape.extents[i] == Extent{0, 1}) continue;
        if (i > 0 && shape.extents[i].is_static()) rest *= shape.extents[i].constant;
        proper.push_back(i);
        if (!shape.extents[i].is_static() && !batch) batch = shape.axes[i];
    }
    // Behind other axes, the steps of a loop, the batch is summed with them, one after the other.
    const bool outermost = batch && shape.axes[proper[0]] == *batch;
    const std::int64_t leaf = batch && proper.size() > 1 && shape.axes[0] == *batch
                                  ? std::max<std::int64_t>(1, (kLeafTerms + rest - 1) / rest)
                                  : 0;
    if (batch && shape.results && *shape.results < kLanes) return lanes(*batch, leaf);
    if (batch && proper.size() > 1 && outermost) {
        if (shape.widest < kWideResult) return lanes(*batch, leaf);
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
