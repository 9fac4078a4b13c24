// What can be said about schedules without choosing one: the plain one, text, counts. Legality is in legal_schedule.cpp.
#include "backends/cpu/schedule.h"

#include <algorithm>

#include <fmt/format.h>

#include "backends/cpu/schedule_queries.h"

namespace netc {

bool index_depends(const std::vector<Index>& index, AxisId axis) {
    return std::any_of(index.begin(), index.end(),
                       [&](const Index& i) { return i.depends_on(axis); });
}

bool has_scatter(const Kernel& kernel) {
    for (const Stage& stage : kernel.stages) {
        for (const Store& store : stage.stores) {
            if (store.indirect >= 0) return true;
        }
    }
    return false;
}

void collect_reads(const Kernel& kernel, ScalarId id, std::vector<bool>& seen,
                   std::vector<std::uint32_t>& reads) {
    if (id == kNoScalar || seen[id]) return;
    seen[id] = true;
    const Scalar& scalar = kernel.scalars[id];
    if (scalar.op == ScalarOp::read) {
        const auto number = static_cast<std::uint32_t>(scalar.integer);
        reads.push_back(number);
        if (kernel.reads[number].indirect >= 0) {
            collect_reads(kernel, kernel.reads[number].position, seen, reads);
        }
    }
    for (ScalarId operand : scalar.operands) collect_reads(kernel, operand, seen, reads);
}

bool is_phase(const Kernel& kernel, AxisId axis) {
    const Extent extent = kernel.axes[axis].extent;
    return std::ranges::any_of(kernel.stages, [&](const Stage& stage) {
        return stage.reduction &&
               std::ranges::any_of(stage.reduction->guards, [&](const Guard& guard) {
                   return guard.divisor > 1 && extent == Extent{0, guard.divisor} &&
                          guard.index.coefficient(axis).value_or(0) % guard.divisor != 0;
               });
    });
}

std::optional<AxisId> rows_axis(const Schedule& schedule) {
    for (const StageSchedule& how : schedule.stages) {
        if (how.matrix_rows) return how.matrix_rows;
    }
    return std::nullopt;
}

bool rest_at_once(const Kernel& kernel, const Schedule& schedule) {
    const auto rows = rows_axis(schedule);
    if (!rows) return false;
    for (std::size_t s = 0; s < kernel.stages.size(); ++s) {
        const Stage& stage = kernel.stages[s];
        if (schedule.stages[s].matrix_rows != rows || !stage.axes.empty()) return false;
        for (const Store& store : stage.stores) {
            if (store.indirect >= 0) return false;
            // Of rows that are not there only what needs no memory is computed.
            const auto reads_memory = [&](std::uint32_t read) {
                return kernel.reads[read].source.kind == Buffer::Kind::param;
            };
            if (store.target.kind == Buffer::Kind::local &&
                std::ranges::any_of(reads_of(kernel, {store.value}), reads_memory)) {
                return false;
            }
        }
    }
    return true;
}

std::vector<std::uint32_t> reads_of(const Kernel& kernel, const std::vector<ScalarId>& roots) {
    std::vector<bool> seen(kernel.scalars.size(), false);
    std::vector<std::uint32_t> reads;
    for (ScalarId root : roots) collect_reads(kernel, root, seen, reads);
    return reads;
}

Schedule plain_schedule(const Kernel& kernel) {
    Schedule schedule;
    for (AxisId axis : kernel.outer) schedule.outer.push_back({axis, 1});
    for (const Stage& stage : kernel.stages) {
        StageSchedule how;
        for (AxisId axis : stage.axes) how.own.push_back({axis, 1});
        if (stage.reduction) {
            for (AxisId axis : stage.reduction->axes) how.reduced.push_back({axis, 1});
        }
        schedule.stages.push_back(how);
    }
    return schedule;
}

bool local_in_registers(const Kernel& kernel, const Schedule& schedule,
                        std::optional<std::int64_t> batch, std::size_t local) {
    const auto is_local = [&](const Buffer& buffer) {
        return buffer.kind == Buffer::Kind::local && buffer.index == local;
    };
    std::int64_t elements = 1;
    for (std::int64_t dim : kernel.locals[local].dims) elements *= dim;
    for (const AxisTile& tile : schedule.outer) elements *= tile.tile;
    if (elements > kMostPoints) return false;
    std::vector<bool> fixed(kernel.axes.size(), false);
    const auto set_fixed = [&](const AxisTile& tile, bool vector) {
        const Extent extent = kernel.axes[tile.axis].extent;
        if (!extent.is_static() && !batch) return;
        const std::int64_t size = extent.is_static() ? extent.constant : extent.at(*batch);
        fixed[tile.axis] = !vector && tile.tile >= size;
    };
    for (std::size_t s = 0; s < kernel.stages.size(); ++s) {
        const StageSchedule& how = schedule.stages[s];
        for (const AxisTile& tile : how.own) set_fixed(tile, how.vector_axis == tile.axis);
        for (const AxisTile& tile : how.reduced) {
            const Order& order = kernel.stages[s].reduction->order;
            set_fixed(tile, order.kind != OrderKind::sequential);
        }
    }
    const auto all_fixed = [&](const std::vector<Index>& index) {
        for (AxisId axis = 0; axis < kernel.axes.size(); ++axis) {
            if (!fixed[axis] && index_depends(index, axis)) return false;
        }
        return true;
    };
    for (const Stage& stage : kernel.stages) {
        for (const Store& store : stage.stores) {
            if (is_local(store.target) && !all_fixed(store.index)) return false;
        }
    }
    for (const Read& read : kernel.reads) {
        if (is_local(read.source) && !all_fixed(read.index)) return false;
    }
    return true;
}

std::string to_text(const Kernel& kernel, const Schedule& schedule) {
    const auto tiles = [&](const std::vector<AxisTile>& list,
                           const std::optional<AxisId>& vector_axis) {
        std::string text;
        for (const AxisTile& tile : list) {
            const bool vector = vector_axis == tile.axis;
            const Extent extent = kernel.axes[tile.axis].extent;
            const bool all = !vector && extent.is_static() && tile.tile >= extent.constant;
            text += fmt::format(" a{}:{}{}", tile.axis, all ? "all" : std::to_string(tile.tile),
                                vector ? "v" : "");
        }
        return text.empty() ? std::string(" -") : text;
    };
    std::string text = "outer" + tiles(schedule.outer, schedule.vector_axis) + "\n";
    for (const Pack& pack : schedule.packs) {
        text += fmt::format("pack read {} at level {}\n", pack.read, pack.level);
    }
    if (!schedule.streamed.empty())
        text += fmt::format("streams p{}\n", fmt::join(schedule.streamed, ", p"));
    if (schedule.block)
        text +=
            fmt::format("a{} in blocks of {} tiles\n", schedule.block->axis, schedule.block->tile);
    if (!schedule.slices.empty()) {
        text += "slices" + tiles(schedule.slices, std::nullopt);
        if (schedule.slice_level > 0) text += fmt::format(" inside of {}", schedule.slice_level);
        text += "\n";
    }
    for (std::size_t i = 0; i < schedule.stages.size(); ++i) {
        const StageSchedule& how = schedule.stages[i];
        text += fmt::format("stage {}: own{}; reduced{}", i, tiles(how.own, how.vector_axis),
                            tiles(how.reduced, how.vector_axis));
        if (how.matrix_rows) text += fmt::format("; by matrices, rows a{}", *how.matrix_rows);
        if (how.lane_by_lane) text += "; lane by lane";
        if (!how.ahead.empty())
            text += fmt::format("; asks ahead for read {}", fmt::join(how.ahead, ", "));
        text += "\n";
    }
    return text;
}

ChunkRule chunk_rule(const Kernel& kernel, const Schedule& schedule) {
    if (schedule.outer.empty() || has_scatter(kernel)) return {};
    const AxisTile& tile = schedule.outer[0];
    const auto rows = rows_axis(schedule);
    if (schedule.block && rows) {
        const auto of_rows = std::ranges::find(schedule.outer, *rows, &AxisTile::axis);
        return {kernel.axes[*rows].extent, 1, of_rows->tile * schedule.block->tile, true};
    }
    return {kernel.axes[tile.axis].extent, schedule.vector_axis == tile.axis ? kLanes : 1,
            tile.tile, rows == tile.axis && rest_at_once(kernel, schedule)};
}

std::int64_t ChunkRule::count(std::int64_t batch) const {
    const std::int64_t size = extent.at(batch);
    const std::int64_t units = (size + unit - 1) / unit;
    if (extent.is_static() || rest_at_once) return (units + tile - 1) / tile;
    const std::int64_t full = size / (unit * tile);
    return full + (size - full * unit * tile + unit - 1) / unit;
}

double operations_of(const Kernel& kernel, ScalarId root, std::vector<bool>& seen) {
    std::vector<ScalarId> open{root};
    double count = 0;
    while (!open.empty()) {
        const ScalarId id = open.back();
        open.pop_back();
        if (id == kNoScalar || seen[id]) continue;
        seen[id] = true;
        const Scalar& scalar = kernel.scalars[id];
        if (!scalar.operands.empty()) count += scalar.op == ScalarOp::fma ? 2 : 1;
        open.insert(open.end(), scalar.operands.begin(), scalar.operands.end());
    }
    return count;
}

double work_of(const Kernel& kernel, std::int64_t batch) {
    const auto extent = [&](AxisId axis) {
        return static_cast<double>(kernel.axes[axis].extent.at(batch));
    };
    double outer = 1;
    for (AxisId axis : kernel.outer) outer *= extent(axis);
    double work = 0;
    for (const Stage& stage : kernel.stages) {
        double points = outer;
        for (AxisId axis : stage.axes) points *= extent(axis);
        std::vector<bool> seen(kernel.scalars.size(), false);
        double each = 1;
        for (const Store& store : stage.stores) each += operations_of(kernel, store.value, seen);
        work += points * each;
        if (!stage.reduction) continue;
        double terms = points;
        for (AxisId axis : stage.reduction->axes) terms *= extent(axis);
        std::vector<bool> seen_step(kernel.scalars.size(), false);
        double term = 0;
        for (ScalarId id : stage.reduction->step) term += operations_of(kernel, id, seen_step);
        work += terms * term;
    }
    return work;
}

}  // namespace netc
