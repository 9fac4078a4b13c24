// Whether a schedule keeps a kernel's meaning.
#include <algorithm>

#include "backends/cpu/matrix_sum.h"
#include "backends/cpu/schedule_queries.h"

namespace netc {
namespace {

Error illegal(const std::string& why) { return Error{kExitInternal, "illegal schedule: " + why}; }

bool is_permutation_of(const std::vector<AxisTile>& tiles, const std::vector<AxisId>& axes,
                       bool ordered) {
    std::vector<AxisId> found;
    for (const AxisTile& tile : tiles) found.push_back(tile.axis);
    std::vector<AxisId> wanted = axes;
    if (!ordered) {
        std::sort(found.begin(), found.end());
        std::sort(wanted.begin(), wanted.end());
    }
    return found == wanted;
}

// A scatter adds in the kernel's order: lanes may only run over what every address holds apart.
Status legal_scatter(const Kernel& kernel, const Schedule& schedule) {
    for (std::size_t i = 0; i < kernel.outer.size(); ++i) {
        if (schedule.outer[i].axis != kernel.outer[i] || schedule.outer[i].tile != 1) {
            return illegal("a scatter keeps the order of its axes");
        }
    }
    for (std::size_t s = 0; s < kernel.stages.size(); ++s) {
        const StageSchedule& how = schedule.stages[s];
        for (std::size_t i = 0; i < how.own.size(); ++i) {
            if (how.own[i].axis != kernel.stages[s].axes[i] || how.own[i].tile != 1) {
                return illegal("a scatter keeps the order of its axes");
            }
        }
        const auto axis = schedule.vector_axis ? schedule.vector_axis : how.vector_axis;
        if (!axis) continue;
        for (const Store& store : kernel.stages[s].stores) {
            if (store.indirect < 0) continue;
            bool apart = false;
            for (std::size_t d = 0; d < store.index.size(); ++d) {
                if (static_cast<std::int32_t>(d) != store.indirect &&
                    store.index[d].is_axis(*axis)) {
                    apart = true;
                }
            }
            std::vector<bool> seen(kernel.scalars.size(), false);
            std::vector<std::uint32_t> reads;
            collect_reads(kernel, store.position, seen, reads);
            for (std::uint32_t number : reads) {
                if (index_depends(kernel.reads[number].index, *axis)) apart = false;
            }
            for (ScalarId id = 0; id < kernel.scalars.size(); ++id) {
                if (seen[id] && kernel.scalars[id].op == ScalarOp::index) apart = false;
            }
            if (!apart) return illegal("lanes of a scatter may meet");
        }
    }
    return {};
}

Status legal_pack(const Kernel& kernel, const Schedule& schedule, const Pack& pack) {
    if (!schedule.vector_axis || pack.read >= kernel.reads.size() ||
        pack.level > schedule.outer.size()) {
        return illegal("a packed copy needs a vector axis outside");
    }
    const Read& read = kernel.reads[pack.read];
    if (read.source.kind == Buffer::Kind::local || read.indirect >= 0 ||
        read.outside != Outside::never ||
        kernel.params[read.source.index].direction != Direction::in) {
        return illegal("a packed copy is of an input");
    }
    std::int64_t bytes = kLanes * size_of(kernel.params[read.source.index].dtype);
    for (std::size_t level = 0; level < schedule.outer.size(); ++level) {
        const AxisTile& tile = schedule.outer[level];
        if (tile.axis == *schedule.vector_axis) {
            bytes *= tile.tile;
            if (level >= pack.level) return illegal("a packed copy is inside the vector axis");
        } else if (index_depends(read.index, tile.axis) &&
                   (level >= pack.level || tile.tile != 1)) {
            return illegal("a packed copy depends on an axis inside of it");
        }
    }
    std::size_t users = 0;
    for (const Stage& stage : kernel.stages) {
        std::vector<bool> seen(kernel.scalars.size(), false);
        std::vector<std::uint32_t> reads;
        for (const Store& store : stage.stores) collect_reads(kernel, store.value, seen, reads);
        std::vector<std::uint32_t> in_step;
        if (stage.reduction) {
            for (ScalarId id : stage.reduction->step) collect_reads(kernel, id, seen, in_step);
            if (!stage.reduction->guards.empty()) {
                for (std::uint32_t number : in_step) {
                    if (number == pack.read) return illegal("a packed copy has no guards");
                }
            }
            for (AxisId axis : stage.reduction->axes) {
                if (!index_depends(read.index, axis)) continue;
                if (!kernel.axes[axis].extent.is_static())
                    return illegal("a packed copy has a fixed size");
                bytes *= kernel.axes[axis].extent.constant;
            }
        }
        for (AxisId axis : stage.axes) {
            if (index_depends(read.index, axis))
                return illegal("a packed copy depends on an own axis");
        }
        if (std::count(reads.begin(), reads.end(), pack.read) > 0)
            return illegal("packed copy in a store");
        if (std::count(in_step.begin(), in_step.end(), pack.read) > 0) ++users;
    }
    if (users != 1) return illegal("a packed copy belongs to one stage");
    if (bytes > kPackLimit) return illegal("a packed copy is too large");
    return {};
}

// Between slices a sum lies where it is stored in the end: the stage stores it, and nothing else.
Status legal_slices(const Kernel& kernel, const Schedule& schedule) {
    if (kernel.stages.size() != 1 || !kernel.stages[0].reduction || !schedule.packs.empty())
        return illegal("slices of a kernel with more than one sum");
    const Stage& stage = kernel.stages[0];
    const Reduction& sum = *stage.reduction;
    if (sum.order.kind != OrderKind::sequential || sum.states.size() != 1 ||
        stage.stores.size() != 1 || !stage.axes.empty()) {
        return illegal("slices of a sum that is not plain");
    }
    const Store& store = stage.stores[0];
    const Scalar& value = kernel.scalars[store.value];
    if (value.op != ScalarOp::state || store.indirect >= 0 ||
        store.target.kind != Buffer::Kind::param ||
        kernel.params[store.target.index].direction != Direction::out ||
        kernel.params[store.target.index].dtype != sum.states[0].dtype) {
        return illegal("slices of a sum that is not stored as it is");
    }
    if (schedule.slices.size() > sum.axes.size()) return illegal("more slices than axes");
    if (schedule.slice_level > schedule.outer.size()) return illegal("slices inside of a tile");
    for (std::size_t i = 0; i < schedule.slices.size(); ++i) {
        const AxisTile& slice = schedule.slices[i];
        const Extent extent = kernel.axes[slice.axis].extent;
        const std::int64_t unrolled = schedule.stages[0].reduced[i].tile;
        if (slice.axis != sum.axes[i]) return illegal("slices keep the order of the sum");
        if (slice.tile < 1 || (i + 1 < schedule.slices.size() && slice.tile != 1))
            return illegal("the size of a slice");
        if (extent.is_static() && unrolled >= extent.constant)
            return illegal("slices of what is unrolled");
    }
    return {};
}

Status legal_matrices(const Kernel& kernel, const Schedule& schedule, std::size_t number) {
    const auto sum = matrix_sum(kernel, kernel.stages[number]);
    if (!sum) return illegal("a sum that matrix units do not make");
    const AxisId rows = *schedule.stages[number].matrix_rows;
    if (!schedule.vector_axis || std::ranges::count(sum->columns, *schedule.vector_axis) == 0)
        return illegal("columns of a matrix");
    if (std::ranges::count(sum->beside(*schedule.vector_axis).own, rows) == 0)
        return illegal("rows of a matrix");
    if (!schedule.packs.empty()) return illegal("packed copies beside matrix units");
    if (schedule.block) {
        if (schedule.block->axis != rows) return illegal("blocks of what are no rows");
        for (const StageSchedule& how : schedule.stages) {
            if (how.matrix_rows != rows) return illegal("blocks of rows of some sums");
        }
        const auto in_guard = [&](const Guard& guard) { return guard.index.depends_on(rows); };
        if (!schedule.slices.empty() || !rest_at_once(kernel, schedule) ||
            std::ranges::any_of(kernel.stages[number].reduction->guards, in_guard)) {
            return illegal("blocks of rows");
        }
    }
    for (const AxisTile& slice : schedule.slices) {
        if (sum->walks(slice.axis)) return illegal("slices of a step of matrix units");
    }
    for (const AxisTile& tile : schedule.stages[number].reduced) {
        if (sum->walks(tile.axis) && tile.tile != 1)
            return illegal("a step of matrix units is not unrolled");
    }
    return {};
}

// Blocks of an axis that threads do not share out and whose places are all alike.
Status legal_block(const Kernel& kernel, const Schedule& schedule) {
    if (!schedule.block) return {};
    if (schedule.block->tile < 1) return illegal("empty blocks");
    if (rows_axis(schedule)) return {};  // of rows: legal_matrices
    const AxisId axis = schedule.block->axis;
    const auto inside = std::ranges::find(schedule.outer, axis, &AxisTile::axis);
    if (inside == schedule.outer.end() || inside == schedule.outer.begin() ||
        schedule.vector_axis == axis || !kernel.axes[axis].extent.is_static() ||
        schedule.slice_level > 0 || has_scatter(kernel))
        return illegal("the axis of blocks");
    for (const Stage& stage : kernel.stages) {
        const auto in_guard = [&](const Guard& guard) { return guard.index.depends_on(axis); };
        if (stage.reduction && std::ranges::any_of(stage.reduction->guards, in_guard))
            return illegal("blocks of an axis with borders");
        for (const Store& store : stage.stores) {
            if (store.clipped && index_depends(store.index, axis))
                return illegal("blocks of an axis with borders");
        }
    }
    for (const Read& read : kernel.reads) {
        if (read.outside != Outside::never && index_depends(read.index, axis))
            return illegal("blocks of an axis with borders");
    }
    return {};
}

// What is written past the caches is a result, and no sums lie in it between slices.
Status legal_streams(const Kernel& kernel, const Schedule& schedule) {
    if (!schedule.streamed.empty() && !schedule.slices.empty())
        return illegal("sums that lie in a streamed result");
    for (const std::uint32_t param : schedule.streamed) {
        if (param >= kernel.params.size() || kernel.params[param].direction != Direction::out)
            return illegal("a stream is of a result");
    }
    return {};
}

// What is asked for is what a step of a sum reads as vectors, of an operand in memory.
Status legal_ahead(const Kernel& kernel, const Schedule& schedule) {
    for (std::size_t s = 0; s < kernel.stages.size(); ++s) {
        const StageSchedule& how = schedule.stages[s];
        if (how.ahead.empty()) continue;
        if (!schedule.vector_axis || !kernel.stages[s].reduction || how.matrix_rows)
            return illegal("asking ahead without vectors of a sum");
        const std::vector<std::uint32_t> read = reads_of(kernel, kernel.stages[s].reduction->step);
        for (const std::uint32_t number : how.ahead) {
            if (std::ranges::find(read, number) == read.end() ||
                kernel.reads[number].source.kind != Buffer::Kind::param ||
                kernel.reads[number].indirect >= 0)
                return illegal("asking ahead for what no step reads from memory");
        }
    }
    return {};
}

}  // namespace

Status legal(const Kernel& kernel, const Schedule& schedule) {
    if (!is_permutation_of(schedule.outer, kernel.outer, false)) return illegal("the outer axes");
    if (schedule.stages.size() != kernel.stages.size()) return illegal("the number of stages");
    std::int64_t points = 1;
    for (const AxisTile& tile : schedule.outer) {
        if (tile.tile < 1) return illegal("a tile is empty");
        points *= tile.tile;
    }
    if (schedule.vector_axis &&
        std::count(kernel.outer.begin(), kernel.outer.end(), *schedule.vector_axis) == 0) {
        return illegal("the vector axis is not an outer axis");
    }
    for (std::size_t s = 0; s < kernel.stages.size(); ++s) {
        const Stage& stage = kernel.stages[s];
        const StageSchedule& how = schedule.stages[s];
        if (!is_permutation_of(how.own, stage.axes, false)) return illegal("own axes of a stage");
        const std::vector<AxisId> reduced =
            stage.reduction ? stage.reduction->axes : std::vector<AxisId>{};
        if (!is_permutation_of(how.reduced, reduced, true))
            return illegal("reduced axes keep their order");
        std::int64_t stage_points = points;
        for (const AxisTile& tile : how.own) stage_points *= tile.tile;
        if (stage.reduction && stage.reduction->order.kind == OrderKind::lanes) {
            stage_points *= schedule.vector_axis ? kLanes : 1;
        }
        std::int64_t copies = stage_points;
        for (const AxisTile& tile : how.reduced) copies *= tile.tile;
        if (stage_points > kMostPoints || copies > 8 * kMostPoints)
            return illegal("it unrolls too much");
        for (const AxisTile& tile : how.own) {
            if (tile.tile < 1) return illegal("a tile is empty");
        }
        for (const AxisTile& tile : how.reduced) {
            if (tile.tile < 1) return illegal("a tile is empty");
            const Order& order = stage.reduction->order;
            const bool special =
                (order.kind == OrderKind::lanes && order.lane_axis == tile.axis) ||
                (order.kind == OrderKind::blocked && tile.axis == how.reduced[0].axis);
            if (special && tile.tile != 1)
                return illegal("an axis that the order names is not unrolled");
        }
        if (how.matrix_rows) {
            if (Status status = legal_matrices(kernel, schedule, s); !status) return status;
        }
        std::optional<AxisId> vector_axis = schedule.vector_axis;
        if (how.vector_axis) {
            if (vector_axis) return illegal("two vector axes");
            const bool own = std::count(stage.axes.begin(), stage.axes.end(), *how.vector_axis) > 0;
            const bool lane = stage.reduction && stage.reduction->order.kind == OrderKind::lanes &&
                              stage.reduction->order.lane_axis == *how.vector_axis;
            if (!own && !lane) return illegal("a stage's vector axis is its own or its lanes");
            if (own) vector_axis = how.vector_axis;
        }
        if (how.lane_by_lane &&
            (!stage.reduction || stage.reduction->order.kind != OrderKind::lanes ||
             (schedule.vector_axis ? schedule.vector_axis : how.vector_axis) ==
                 stage.reduction->order.lane_axis)) {
            return illegal("lane by lane without lanes beside its vectors");
        }
        for (const Store& store : stage.stores) {
            const bool local = store.target.kind == Buffer::Kind::local;
            if (!vector_axis || store.indirect >= 0 || (local && schedule.vector_axis)) continue;
            if (!index_depends(store.index, *vector_axis))
                return illegal("a store without the vector axis");
        }
    }
    std::int64_t scratch = 0;
    for (std::size_t i = 0; i < kernel.locals.size(); ++i) {
        if (local_in_registers(kernel, schedule, std::nullopt, i)) continue;
        std::int64_t bytes =
            points * size_of(kernel.locals[i].dtype) * (schedule.vector_axis ? kLanes : 1);
        for (std::int64_t dim : kernel.locals[i].dims) bytes *= dim;
        scratch += bytes;
    }
    if (scratch > kLocalLimit && (points > 1 || schedule.vector_axis))
        return illegal("too much scratch");
    if (has_scatter(kernel)) {
        if (Status status = legal_scatter(kernel, schedule); !status) return status;
    }
    for (const Pack& pack : schedule.packs) {
        if (Status status = legal_pack(kernel, schedule, pack); !status) return status;
    }
    if (Status status = legal_block(kernel, schedule); !status) return status;
    if (Status status = legal_streams(kernel, schedule); !status) return status;
    if (Status status = legal_ahead(kernel, schedule); !status) return status;
    return schedule.slices.empty() ? Status{} : legal_slices(kernel, schedule);
}

}  // namespace netc
