#include "passes/collapse_axes.h"

#include <algorithm>
#include <map>
#include <optional>

#include "passes/join_dims.h"

namespace netc {
namespace {

// Tiles of a sum cover short rows badly (7 places by 4 and 3, where 49 are eight times 6 and 1); with long rows, it is by rows that
// loops keep what they read in the caches.
constexpr std::int64_t kShortRow = 8;

bool is_plain(const Kernel& kernel) {
    if (kernel.stages.size() != 1 || !kernel.locals.empty() || !kernel.indices.empty())
        return false;
    const Stage& stage = kernel.stages[0];
    const auto direct = [](const auto& access) { return access.indirect < 0; };
    return (!stage.reduction || stage.reduction->guards.empty()) && stage.axes.empty() &&
           std::ranges::all_of(
               stage.stores, [&](const Store& store) { return direct(store) && !store.clipped; }) &&
           std::ranges::all_of(kernel.reads, [&](const Read& read) {
               return direct(read) && read.outside == Outside::never;
           });
}

bool depends(const std::vector<Index>& index, AxisId axis) {
    return std::ranges::any_of(index, [&](const Index& one) { return one.depends_on(axis); });
}

// Two axes, the second one inside of the first, and what becomes of them.
class Pair {
public:
    Pair(Kernel& kernel, AxisId a, AxisId b) : kernel_(kernel), a_(a), b_(b) {}

    bool fits() {
        const Extent of_a = kernel_.axes[a_].extent, of_b = kernel_.axes[b_].extent;
        if (!of_a.is_static() || !of_b.is_static()) return false;
        if (kernel_.stages[0].reduction && of_b.constant > kShortRow) return false;
        for (const Store& store : kernel_.stages[0].stores) {
            if (!joins(store.target.index, store.index)) return false;
        }
        for (const Read& read : kernel_.reads) {
            if (!depends(read.index, a_) && !depends(read.index, b_)) {
                if (joined_.contains(read.source.index)) return false;
            } else if (!joins(read.source.index, read.index) && !may_split(read)) {
                return false;
            }
        }
        // One form for all accesses of a param.
        return std::ranges::all_of(kernel_.reads, [&](const Read& read) {
            return !joined_.contains(read.source.index) || dim_of(read.source.index, read.index);
        });
    }

    void apply() {
        const std::int64_t inner = kernel_.axes[b_].extent.constant;
        kernel_.axes[a_].extent.constant *= inner;
        kernel_.axes[b_].extent = {0, 1};
        std::erase(kernel_.outer, b_);
        const auto rewrite = [&](std::uint32_t param, std::vector<Index>& index) {
            if (const auto dim = joined_.find(param); dim != joined_.end()) {
                index.erase(index.begin() + static_cast<std::ptrdiff_t>(dim->second) + 1);
                return;
            }
            for (Index& one : index) {
                one = one.substitute([&](AxisId axis) -> std::optional<Index> {
                    if (axis == a_) return floor_div(Index::axis(a_), inner);
                    if (axis == b_) return floor_mod(Index::axis(a_), inner);
                    return std::nullopt;
                });
            }
        };
        for (Read& read : kernel_.reads) rewrite(read.source.index, read.index);
        for (Store& store : kernel_.stages[0].stores) rewrite(store.target.index, store.index);
        for (const auto& [param, dim] : joined_) join_dims(kernel_.params[param], dim);
    }

private:
    // The dim that the first axis runs over, where both do and lie side by side.
    std::optional<std::size_t> dim_of(std::uint32_t number, const std::vector<Index>& index) const {
        const Param& param = kernel_.params[number];
        const std::vector<std::int32_t>& order = param.layout.order;
        for (std::size_t i = 0; i + 1 < order.size(); ++i) {
            const auto d = static_cast<std::size_t>(order[i]);
            if (!index[d].is_axis(a_)) continue;
            const bool apart = param.layout.extra != 0 && i == spaced_position(param.layout);
            if (order[i + 1] != order[i] + 1 || !index[d + 1].is_axis(b_) || apart ||
                (param.layout.lanes && i == 0) || param.dims[d] != kernel_.axes[a_].extent ||
                param.dims[d + 1] != kernel_.axes[b_].extent) {
                return std::nullopt;
            }
            for (std::size_t other = 0; other < index.size(); ++other) {
                if (other == d || other == d + 1) continue;
                if (index[other].depends_on(a_) || index[other].depends_on(b_)) return std::nullopt;
            }
            return d;
        }
        return std::nullopt;
    }
    bool joins(std::uint32_t param, const std::vector<Index>& index) {
        const auto dim = dim_of(param, index);
        if (!dim) return false;
        const auto [known, fresh] = joined_.emplace(param, *dim);
        return known->second == *dim;
    }
    // Of a read in another order, the axis that is innermost in memory stays an axis. Tiles of a sum read neighbours.
    bool may_split(const Read& read) const {
        if (kernel_.stages[0].reduction) return false;
        if (!depends(read.index, a_) || !depends(read.index, b_)) return false;
        const Param& param = kernel_.params[read.source.index];
        const Index& innermost = read.index[static_cast<std::size_t>(param.layout.order.back())];
        return !innermost.depends_on(a_) && !innermost.depends_on(b_) &&
               !joined_.contains(read.source.index);
    }
    Kernel& kernel_;
    AxisId a_, b_;
    std::map<std::uint32_t, std::size_t> joined_;  // params, and their dim of the first axis
};

bool collapse_one(Kernel& kernel) {
    for (std::size_t i = kernel.outer.size(); i-- > 1;) {
        Pair pair(kernel, kernel.outer[i - 1], kernel.outer[i]);
        if (!pair.fits()) continue;
        pair.apply();
        return true;
    }
    return false;
}

}  // namespace

void collapse_axes(Kernel& kernel) {
    if (!is_plain(kernel)) return;
    while (collapse_one(kernel)) {
    }
    const auto extent = [&](AxisId axis) -> std::optional<std::int64_t> {
        const Extent& of = kernel.axes[axis].extent;
        return of.is_static() ? std::optional(of.constant) : std::nullopt;
    };
    for (Read& read : kernel.reads) {
        for (Index& index : read.index) index = simplify(index, extent);
    }
}

}  // namespace netc
