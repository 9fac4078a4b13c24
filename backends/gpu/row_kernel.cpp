// See the header.
#include "backends/gpu/row_kernel.h"

#include <algorithm>
#include <map>

#include "backends/cpu/schedule.h"

namespace netc {
namespace {

bool is_row_stage(const Kernel& kernel, const Stage& stage) {
    const auto scatters = [](const Store& store) { return store.indirect >= 0; };
    if (stage.axes.size() > 1 || std::ranges::any_of(stage.stores, scatters)) return false;
    if (!stage.reduction) return true;
    const Reduction& reduction = *stage.reduction;
    const Order& order = reduction.order;
    if (!stage.axes.empty() || order.kind != OrderKind::lanes || reduction.axes.size() != 1 ||
        !reduction.guards.empty())
        return false;
    const Extent extent = kernel.axes[reduction.axes[0]].extent;
    return order.leaf == 0 || (extent.is_static() && extent.constant <= order.leaf * kLanes);
}

// A value, or a row that each stage goes through by its axis.
bool is_place_of_row(const Local& local, const std::vector<Index>& index,
                     std::optional<AxisId> axis, std::int64_t extent) {
    if (local.dims.empty()) return true;
    return local.dims.size() == 1 && local.dims[0] == extent && axis && index[0].is_axis(*axis);
}

std::vector<std::uint32_t> reads_of_stage(const Kernel& kernel, const Stage& stage) {
    std::vector<ScalarId> roots;
    for (const Store& store : stage.stores) roots.push_back(store.value);
    if (stage.reduction)
        roots.insert(roots.end(), stage.reduction->step.begin(), stage.reduction->step.end());
    return reads_of(kernel, roots);
}

// Whether two reads are the same element where the one's axis is where the other's is.
bool same_element(const Read& a, AxisId axis, const Read& b, AxisId other) {
    if (a.source != b.source) return false;
    for (std::size_t dim = 0; dim < a.index.size(); ++dim) {
        const bool both_rows = a.index[dim].is_axis(axis) && b.index[dim].is_axis(other);
        if (!both_rows && (!(a.index[dim] == b.index[dim]) || a.index[dim].depends_on(axis)))
            return false;
    }
    return true;
}

}  // namespace

std::optional<AxisId> row_axis(const Stage& stage) {
    if (stage.reduction) return stage.reduction->axes[0];
    if (!stage.axes.empty()) return stage.axes[0];
    return std::nullopt;
}

std::optional<RowKernel> row_kernel(const Kernel& kernel) {
    RowKernel row;
    bool reduces = false;
    for (const Stage& stage : kernel.stages) {
        if (!is_row_stage(kernel, stage)) return std::nullopt;
        reduces = reduces || stage.reduction;
        const std::optional<AxisId> axis = row_axis(stage);
        if (!axis) continue;
        const Extent extent = kernel.axes[*axis].extent;
        if (!extent.is_static() || (row.extent != 0 && extent.constant != row.extent))
            return std::nullopt;
        row.extent = extent.constant;
    }
    if (!reduces) return std::nullopt;

    std::vector<AxisId> axes;  // of each row's first read
    std::map<std::uint32_t, KeptRow> locals;
    for (std::size_t number = 0; number < kernel.stages.size(); ++number) {
        const Stage& stage = kernel.stages[number];
        const std::optional<AxisId> axis = row_axis(stage);
        for (const Store& store : stage.stores) {
            if (store.target.kind != Buffer::Kind::local) continue;
            const Local& local = kernel.locals[store.target.index];
            if (!is_place_of_row(local, store.index, axis, row.extent)) return std::nullopt;
            if (!local.dims.empty()) locals[store.target.index] = {{}, number, number};
        }
        for (const std::uint32_t which : reads_of_stage(kernel, stage)) {
            const Read& read = kernel.reads[which];
            if (read.source.kind == Buffer::Kind::local) {
                const Local& local = kernel.locals[read.source.index];
                if (!is_place_of_row(local, read.index, axis, row.extent)) return std::nullopt;
                if (!local.dims.empty()) locals[read.source.index].last = number;
                continue;
            }
            const bool along = axis && std::ranges::any_of(read.index, [&](const Index& index) {
                                   return index.is_axis(*axis);
                               });
            if (!along || read.indirect >= 0 || read.outside != Outside::never ||
                kernel.params[read.source.index].direction != Direction::in)
                continue;
            bool known = false;
            for (std::size_t k = 0; k < row.rows.size() && !known; ++k) {
                known = same_element(kernel.reads[row.rows[k].reads[0]], axes[k], read, *axis);
                if (!known) continue;
                row.rows[k].reads.push_back(which);
                row.rows[k].last = number;
            }
            if (known) continue;
            row.rows.push_back({{which}, number, number});
            axes.push_back(*axis);
        }
    }
    std::erase_if(row.rows, [](const KeptRow& each) { return each.first == each.last; });
    for (std::size_t number = 0; number + 1 < kernel.stages.size(); ++number) {
        const auto lives = [&](const KeptRow& each) {
            return each.first <= number && each.last > number;
        };
        std::int64_t kept = std::ranges::count_if(row.rows, lives);
        for (const auto& [local, each] : locals) kept += lives(each) ? 1 : 0;
        row.kept = std::max(row.kept, kept);
    }
    return row;
}

}  // namespace netc
