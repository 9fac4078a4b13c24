// What can be said about schedules without choosing one: the plain one, legality, text, counts.
#include "backends/cpu/schedule.h"

#include <algorithm>

#include <fmt/format.h>

#include "backends/cpu/matrix_sum.h"

namespace netc {
namespace {

constexpr std::int64_t kMostPoints = 1024;  // accumulators, and copies of a body

bool index_depends(const std::vector<Index>& index, AxisId axis) {
    return std::any_of(index.begin(), index.end(),
                       [&](const Index& i) { return i.depends_on(axis); });
}

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

// The axis that rows of matrices run along, where it is an outer one.
std::optional<AxisId> rows_axis(const Schedule& schedule) {
    for (const StageSchedule& how : schedule.stages) {
        if (how.matrix_rows) return how.matrix_rows;
    }
    return std::nullopt;
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
    if (schedule.row_block > 0) {
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

}  // namespace

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
    return schedule.slices.empty() ? Status{} : legal_slices(kernel, schedule);
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
    if (schedule.row_block > 0)
        text += fmt::format("rows in blocks of {} tiles\n", schedule.row_block);
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
        text += "\n";
    }
    return text;
}

ChunkRule chunk_rule(const Kernel& kernel, const Schedule& schedule) {
    if (schedule.outer.empty() || has_scatter(kernel)) return {};
    const AxisTile& tile = schedule.outer[0];
    const auto rows = rows_axis(schedule);
    if (schedule.row_block > 0) {
        const auto of_rows = std::ranges::find(schedule.outer, *rows, &AxisTile::axis);
        return {kernel.axes[*rows].extent, 1, of_rows->tile * schedule.row_block, true};
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
        const auto nodes = [&](ScalarId root, std::vector<bool>& seen) {
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
        };
        std::vector<bool> seen(kernel.scalars.size(), false);
        double each = 1;
        for (const Store& store : stage.stores) each += nodes(store.value, seen);
        work += points * each;
        if (!stage.reduction) continue;
        double terms = points;
        for (AxisId axis : stage.reduction->axes) terms *= extent(axis);
        std::vector<bool> seen_step(kernel.scalars.size(), false);
        double term = 0;
        for (ScalarId id : stage.reduction->step) term += nodes(id, seen_step);
        work += terms * term;
    }
    return work;
}

}  // namespace netc
