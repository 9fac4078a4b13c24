// See kernel_injective.h. First by mixed radices, then by trying all points where they are few.
#include "ir/kernel_injective.h"

#include <algorithm>
#include <cstdlib>
#include <set>

namespace netc {
namespace {

constexpr std::int64_t kBatch = 3;
constexpr std::int64_t kMostPoints = 4096;

// The axes that the value of one index decides: sorted by coefficient, each is above all that the
// smaller ones reach together.
std::vector<AxisId> decided_by(const Kernel& kernel, const Index& index) {
    std::vector<IndexTerm> terms = index.terms();
    for (const IndexTerm& term : terms) {
        if (term.kind != IndexTerm::Kind::axis) return {};
    }
    std::sort(terms.begin(), terms.end(), [](const IndexTerm& a, const IndexTerm& b) {
        return std::abs(a.coefficient) < std::abs(b.coefficient);
    });
    std::vector<AxisId> result;
    std::int64_t reach = 0;
    for (std::size_t k = 0; k < terms.size(); ++k) {
        const Extent extent = kernel.axes[terms[k].axis].extent;
        const std::int64_t step = std::abs(terms[k].coefficient);
        if (step <= reach || (!extent.is_static() && k + 1 < terms.size())) return {};
        reach += step * (extent.at(kBatch) - 1);
        result.push_back(terms[k].axis);
    }
    return result;
}

bool all_points_differ(const Kernel& kernel, const std::vector<Index>& index,
                       const std::vector<AxisId>& axes) {
    std::int64_t points = 1;
    for (AxisId axis : axes) {
        const std::int64_t extent = kernel.axes[axis].extent.at(kBatch);
        if (extent <= 0) return true;
        points *= extent;
        if (points > kMostPoints) return true;
    }
    std::vector<std::int64_t> at(kernel.axes.size(), 0);
    std::set<std::vector<std::int64_t>> seen;
    for (std::int64_t point = 0; point < points; ++point) {
        std::int64_t rest = point;
        for (AxisId axis : axes) {
            const std::int64_t extent = kernel.axes[axis].extent.at(kBatch);
            at[axis] = rest % extent;
            rest /= extent;
        }
        std::vector<std::int64_t> position;
        for (const Index& each : index) {
            position.push_back(each.evaluate([&](AxisId axis) { return at[axis]; }));
        }
        if (!seen.insert(std::move(position)).second) return false;
    }
    return true;
}

}  // namespace

bool is_injective(const Kernel& kernel, const std::vector<Index>& index,
                  const std::vector<AxisId>& axes) {
    std::set<AxisId> decided;
    for (const Index& each : index) {
        for (AxisId axis : decided_by(kernel, each)) decided.insert(axis);
    }
    const bool all = std::all_of(axes.begin(), axes.end(), [&](AxisId axis) {
        return decided.contains(axis) || kernel.axes[axis].extent == Extent{0, 1};
    });
    if (all) return true;
    for (AxisId axis : axes) {
        const bool occurs = std::any_of(index.begin(), index.end(), [axis](const Index& each) {
            return each.depends_on(axis);
        });
        if (!occurs && kernel.axes[axis].extent.at(kBatch) > 1) return false;
    }
    return all_points_differ(kernel, index, axes);
}

}  // namespace netc
