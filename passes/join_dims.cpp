#include "passes/join_dims.h"

#include <algorithm>
#include <optional>

namespace netc {
namespace {

// Terms that are a quotient or a rest.
std::size_t parts_in(const Index& index) {
    return static_cast<std::size_t>(std::ranges::count_if(
        index.terms(), [](const IndexTerm& term) { return term.kind != IndexTerm::Kind::axis; }));
}

// Where dim + 1 lies behind dim, with nothing in between.
bool lie_side_by_side(const Param& param, std::size_t dim) {
    const std::vector<std::int32_t>& order = param.layout.order;
    const auto at = std::ranges::find(order, static_cast<std::int32_t>(dim));
    if (at == order.end() || at + 1 == order.end() || *(at + 1) != *at + 1) return false;
    if (param.layout.lanes && at == order.begin()) return false;
    const auto position = static_cast<std::size_t>(at - order.begin());
    if (param.layout.extra != 0 && position == spaced_position(param.layout)) return false;
    return param.dims[dim].is_static() && param.dims[dim + 1].is_static();
}

// The indices of all reads of the param in the joined dim, where each becomes simpler.
std::optional<std::vector<std::pair<Read*, Index>>> joined(Kernel& kernel, std::uint32_t number,
                                                           std::size_t dim) {
    const std::int64_t inner = kernel.params[number].dims[dim + 1].constant;
    const auto extent = [&](AxisId axis) -> std::optional<std::int64_t> {
        const Extent& of = kernel.axes[axis].extent;
        return of.is_static() ? std::optional(of.constant) : std::nullopt;
    };
    std::vector<std::pair<Read*, Index>> found;
    for (Read& read : kernel.reads) {
        if (read.source.kind != Buffer::Kind::param || read.source.index != number) continue;
        if (read.indirect >= 0 || read.outside != Outside::never) return std::nullopt;
        const Index one = simplify(read.index[dim] * inner + read.index[dim + 1], extent);
        if (parts_in(one) >= parts_in(read.index[dim]) + parts_in(read.index[dim + 1]))
            return std::nullopt;
        found.emplace_back(&read, one);
    }
    if (found.empty()) return std::nullopt;
    return found;
}

bool is_stored(const Kernel& kernel, std::uint32_t number) {
    return std::ranges::any_of(kernel.stages, [&](const Stage& stage) {
        return std::ranges::any_of(stage.stores, [&](const Store& store) {
            return store.target.kind == Buffer::Kind::param && store.target.index == number;
        });
    });
}

}  // namespace

void join_dims(Param& param, std::size_t dim) {
    param.dims[dim].constant *= param.dims[dim + 1].constant;
    param.dims.erase(param.dims.begin() + static_cast<std::ptrdiff_t>(dim) + 1);
    std::erase(param.layout.order, static_cast<std::int32_t>(dim) + 1);
    for (std::int32_t& each : param.layout.order) {
        if (each > static_cast<std::int32_t>(dim)) --each;
    }
}

void join_dims(Kernel& kernel) {
    for (std::uint32_t number = 0; number < kernel.params.size(); ++number) {
        if (is_stored(kernel, number)) continue;
        Param& param = kernel.params[number];
        for (std::size_t dim = param.dims.size(); dim-- > 1;) {
            if (!lie_side_by_side(param, dim - 1)) continue;
            const auto reads = joined(kernel, number, dim - 1);
            if (!reads) continue;
            for (const auto& [read, index] : *reads) {
                read->index[dim - 1] = index;
                read->index.erase(read->index.begin() + static_cast<std::ptrdiff_t>(dim));
            }
            join_dims(param, dim - 1);
        }
    }
}

}  // namespace netc
