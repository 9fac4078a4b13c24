// See the header.
#include "backends/gpu/team_schedule.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

#include <fmt/format.h>

#include "backends/cpu/schedule.h"
#include "backends/gpu/row_kernel.h"

namespace netc {
namespace {

// What a device of today wants at least: threads to keep its multiprocessors busy. Guides only.
constexpr std::int64_t kWantedThreads = kMultiprocessors * 512;
constexpr std::int64_t kMostThreads = 256;
constexpr std::int64_t kSharedLimit = 48 * 1024;
constexpr std::int64_t kVector = 4;
constexpr std::size_t kMostVectorStores = 8;  // of a kernel whose threads take four points
constexpr std::int64_t kSector = 8;           // elements of 4 bytes that memory gives at once
constexpr std::int64_t kMostOfBlock = 1024;
constexpr std::int64_t kRowThreads = 128;  // of a block: each has many registers
constexpr std::int64_t kMostKept = 96;     // values of rows that a thread keeps
constexpr std::int64_t kKeptByOne =
    64;  // so many that half a lane a thread leaves it fewer registers
constexpr std::int64_t kFewPlaces =
    8;  // of a row, which are worth no more threads however few points there are
// Of tiles that a thread computes: sums at most, values of a stage's own axes.
constexpr double kMostTilePoints = 32;
constexpr std::int64_t kMostOwn = 16;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::int64_t power_of_two_up(std::int64_t value) {
    return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(value)));
}

std::int64_t own_work(const Kernel& kernel, const Stage& stage, std::int64_t batch) {
    std::int64_t work = 1;
    for (AxisId axis : stage.axes) work *= kernel.axes[axis].extent.at(batch);
    return work;
}

// Threads that can work on one point side by side.
std::int64_t useful_members(const Kernel& kernel, std::int64_t batch) {
    std::int64_t most = 1;
    for (const Stage& stage : kernel.stages) {
        std::int64_t members = own_work(kernel, stage, batch);
        if (stage.axes.empty() && stage.reduction) {
            const Order& order = stage.reduction->order;
            if (order.kind == OrderKind::lanes) members = kLanes;
            if (order.kind == OrderKind::blocked)
                members =
                    ceil_div(kernel.axes[stage.reduction->axes[0]].extent.at(batch), order.leaf);
        }
        most = std::max(most, members);
    }
    return most;
}

std::int64_t terms(const Kernel& kernel, const Stage& stage, std::int64_t batch) {
    std::int64_t count = 1;
    if (stage.reduction)
        for (AxisId axis : stage.reduction->axes) count *= kernel.axes[axis].extent.at(batch);
    return count;
}

bool has_long_lanes(const Kernel& kernel, std::int64_t batch) {
    return std::ranges::any_of(kernel.stages, [&](const Stage& stage) {
        return stage.axes.empty() && stage.reduction &&
               stage.reduction->order.kind == OrderKind::lanes &&
               terms(kernel, stage, batch) >= 2 * kLanes;
    });
}

// One stage of a few terms a point, all of which exist: an elementwise kernel, or the update of a parameter with its
// gradient's sum.
bool is_elementwise(const Kernel& kernel, std::int64_t batch) {
    const Stage& stage = kernel.stages[0];
    if (kernel.stages.size() != 1 || !stage.axes.empty()) return false;
    if (stage.reduction &&
        (stage.reduction->order.kind != OrderKind::sequential || !stage.reduction->guards.empty() ||
         terms(kernel, stage, batch) > kLanes))
        return false;
    return std::ranges::none_of(stage.stores,
                                [](const Store& store) { return store.indirect >= 0; });
}

// Whether neighbours along the axis exist together: its extent is known, or all that the kernel touches lies in batch
// lanes, where what fills up the last sixteen samples is memory too.
bool exists_whole(const Kernel& kernel, AxisId axis) {
    if (kernel.axes[axis].extent.is_static()) return true;
    const auto fills = [&](const Buffer& buffer, const std::vector<Index>& index) {
        const bool depends =
            std::ranges::any_of(index, [&](const Index& each) { return each.depends_on(axis); });
        return !depends || (buffer.kind == Buffer::Kind::param &&
                            kernel.params[buffer.index].layout.lanes && index[0].is_axis(axis));
    };
    return std::ranges::all_of(kernel.reads,
                               [&](const Read& read) {
                                   return read.indirect < 0 && fills(read.source, read.index);
                               }) &&
           std::ranges::all_of(kernel.stages[0].stores, [&](const Store& store) {
               return fills(store.target, store.index);
           });
}

bool scatters(const Kernel& kernel) {
    return std::ranges::any_of(kernel.stages, [](const Stage& stage) {
        return std::ranges::any_of(stage.stores,
                                   [](const Store& store) { return store.indirect >= 0; });
    });
}

std::int64_t local_bytes(const Kernel& kernel) {
    std::int64_t bytes = 0;
    for (const Local& local : kernel.locals) {
        std::int64_t size = size_of(local.dtype);
        for (std::int64_t dim : local.dims) size *= dim;
        bytes += size;
    }
    return bytes;
}

}  // namespace

std::int64_t step_along(const Param& param, const std::vector<Index>& index, AxisId axis,
                        std::int64_t batch) {
    const auto offset = [&](std::int64_t value) {
        std::vector<std::int64_t> at;
        for (const Index& dim : index)
            at.push_back(dim.evaluate(
                [&](AxisId which) { return which == axis ? value : std::int64_t{0}; }));
        return element_offset(param, at, batch);
    };
    return offset(1) - offset(0);
}

std::vector<int> unit_steps(const Kernel& kernel, std::int64_t batch) {
    std::vector<int> counts(kernel.axes.size());
    const auto count = [&](const Buffer& buffer, const std::vector<Index>& index) {
        if (buffer.kind != Buffer::Kind::param) return;
        for (AxisId axis = 0; axis < kernel.axes.size(); ++axis)
            if (std::abs(step_along(kernel.params[buffer.index], index, axis, batch)) == 1)
                ++counts[axis];
    };
    std::vector<ScalarId> roots;
    for (const Stage& stage : kernel.stages) {
        for (const Store& store : stage.stores) {
            count(store.target, store.index);
            roots.push_back(store.value);
            if (store.indirect >= 0) roots.push_back(store.position);
        }
        if (stage.reduction)
            roots.insert(roots.end(), stage.reduction->step.begin(), stage.reduction->step.end());
    }
    for (std::uint32_t number : reads_of(kernel, roots))
        count(kernel.reads[number].source, kernel.reads[number].index);
    return counts;
}

std::optional<AxisId> fastest_of(const Kernel& kernel, const std::vector<AxisId>& axes,
                                 const std::vector<int>& units) {
    std::optional<AxisId> fastest;
    for (AxisId axis : axes)
        if (kernel.axes[axis].extent != Extent{0, 1} &&
            (!fastest || units[axis] >= units[*fastest]))
            fastest = axis;
    return fastest;
}

Numbering number_points(const Kernel& kernel, const std::vector<AxisId>& axes,
                        const std::vector<int>& units) {
    Numbering how;
    const std::optional<AxisId> fastest = fastest_of(kernel, axes, units);
    for (AxisId axis : axes) {
        const Extent extent = kernel.axes[axis].extent;
        if (axis == fastest) continue;
        if (extent.is_static()) {
            how.inner.push_back({axis, extent, 1, extent.constant});
        } else {
            how.outer.push_back({axis, extent, 1, 1});
        }
    }
    if (fastest) {
        const Extent extent = kernel.axes[*fastest].extent;
        if (extent.is_static()) {
            how.inner.push_back({*fastest, extent, 1, extent.constant});
        } else if (units[*fastest] > 0) {  // sixteen samples side by side
            how.outer.push_back({*fastest, extent, kLanes, 1});
            how.inner.push_back({*fastest, extent, 1, kLanes});
        } else {
            how.outer.push_back({*fastest, extent, 1, 1});
        }
    }
    for (const Digit& digit : how.inner) how.inner_points *= digit.count;
    return how;
}

std::int64_t Numbering::points(std::int64_t batch) const {
    std::int64_t count = inner_points;
    for (const Digit& digit : outer) count *= ceil_div(digit.extent.at(batch), digit.scale);
    return count;
}

int TeamSchedule::threads() const {
    return static_cast<int>(ceil_div(points_per_block() / vector * team, 32) * 32);
}

std::vector<GridFactor> TeamSchedule::grid() const {
    std::vector<GridFactor> factors;
    for (std::size_t k = 0; k < outer.size(); ++k) {
        const bool last = k + 1 == outer.size();
        factors.push_back({outer[k].extent, outer[k].scale * (last ? outer_per_block : 1), 1, 1});
    }
    factors.push_back({{0, inner_points}, inner_per_block, 1, 1});
    return factors;
}

namespace {

bool depends(const Kernel& kernel, const Read& read, AxisId axis) {
    if (std::ranges::any_of(read.index, [&](const Index& index) { return index.depends_on(axis); }))
        return true;
    if (read.indirect < 0) return false;
    const std::vector<std::uint32_t> reads = reads_of(kernel, {read.position});
    return std::ranges::any_of(
        reads, [&](std::uint32_t number) { return depends(kernel, kernel.reads[number], axis); });
}

// The stage with the most terms; null where none is worth a tile, or a tile is not possible.
const Stage* stage_for_tile(const Kernel& kernel, std::int64_t batch_hint) {
    const Stage* main = nullptr;
    std::int64_t most = kLanes;
    for (const Stage& stage : kernel.stages) {
        std::int64_t own = 1;
        for (AxisId axis : stage.axes) {
            if (!kernel.axes[axis].extent.is_static()) return nullptr;
            own *= kernel.axes[axis].extent.constant;
        }
        if (own > kMostOwn) return nullptr;
        if (!stage.reduction || stage.reduction->order.kind != OrderKind::sequential) continue;
        const std::int64_t work = own * terms(kernel, stage, batch_hint);
        if (work > most) {
            most = work;
            main = &stage;
        }
    }
    return main;
}

// Loads cost about four times what multiply-adds do, and what is too few threads for the device costs in proportion.
void choose_tile(const Kernel& kernel, std::optional<AxisId> fastest, std::int64_t points,
                 std::int64_t batch_hint, const GpuThresholds& thresholds, TeamSchedule& how) {
    const Stage* const stage = stage_for_tile(kernel, batch_hint);
    if (stage == nullptr) return;
    const std::vector<std::uint32_t> reads = reads_of(kernel, stage->reduction->step);
    std::vector<AxisId> axes;  // of the candidates
    std::vector<std::vector<std::int64_t>> sizes;
    for (const Digit& digit : how.inner) {
        if (digit.axis == fastest) continue;
        axes.push_back(digit.axis);
        sizes.emplace_back();
        for (std::int64_t size = 1; size <= 8; ++size)
            if (digit.count % size == 0) sizes.back().push_back(size);
    }
    std::vector<std::size_t> choice(axes.size());
    double best = 0;
    while (true) {
        double all = 1;
        for (std::size_t k = 0; k < axes.size(); ++k)
            all *= static_cast<double>(sizes[k][choice[k]]);
        double own = 1;
        for (AxisId axis : stage->axes)
            own *= static_cast<double>(kernel.axes[axis].extent.constant);
        double loads = 0;
        for (std::uint32_t number : reads) {
            double each = 1;
            for (std::size_t k = 0; k < axes.size(); ++k)
                if (depends(kernel, kernel.reads[number], axes[k]))
                    each *= static_cast<double>(sizes[k][choice[k]]);
            for (AxisId axis : stage->axes)
                if (depends(kernel, kernel.reads[number], axis))
                    each *= static_cast<double>(kernel.axes[axis].extent.constant);
            loads += each;
        }
        const double threads = static_cast<double>(points) / all;
        // A term that exists at some of the places only is chosen or not at each.
        bool chosen = false;
        for (const Guard& guard : stage->reduction->guards)
            for (std::size_t k = 0; k < axes.size(); ++k)
                if (sizes[k][choice[k]] > 1 && guard.index.depends_on(axes[k])) chosen = true;
        const double cost = ((chosen ? 0.5 : 0.25) + loads / (all * own)) *
                            std::max(1.0, static_cast<double>(thresholds.threads) / threads);
        if (all * own <= kMostTilePoints && (best == 0 || cost < 0.95 * best)) {
            best = cost;
            how.tile.clear();
            for (std::size_t k = 0; k < axes.size(); ++k)
                if (sizes[k][choice[k]] > 1) how.tile.emplace_back(axes[k], sizes[k][choice[k]]);
        }
        std::size_t k = 0;
        while (k < axes.size() && ++choice[k] == sizes[k].size()) choice[k++] = 0;
        if (k == axes.size()) break;
    }
    for (const auto& [axis, size] : how.tile) {
        for (Digit& digit : how.inner) {
            if (digit.axis != axis) continue;
            digit.count /= size;
            digit.scale = size;
            how.inner_points /= size;
        }
    }
}

}  // namespace

TeamSchedule team_schedule(const Kernel& kernel, std::int64_t batch_hint,
                           const GpuThresholds& thresholds) {
    TeamSchedule how;
    const std::vector<int> units = unit_steps(kernel, batch_hint);
    const std::optional<AxisId> fastest = fastest_of(kernel, kernel.outer, units);
    static_cast<Numbering&>(how) = number_points(kernel, kernel.outer, units);
    std::int64_t points = std::max<std::int64_t>(1, how.points(batch_hint));

    const std::int64_t members = scatters(kernel) ? 1 : useful_members(kernel, batch_hint);
    if (members > 1 && (points < kWantedThreads || has_long_lanes(kernel, batch_hint))) {
        const std::int64_t room = std::max<std::int64_t>(1, kWantedThreads / points);
        how.team = std::min({power_of_two_up(members), power_of_two_up(room), std::int64_t{512}});
        if (has_long_lanes(kernel, batch_hint)) how.team = std::max(how.team, kLanes);
    }
    if (how.team == 1 && is_elementwise(kernel, batch_hint) && fastest && units[*fastest] > 0 &&
        how.inner.back().count % kVector == 0 && exists_whole(kernel, *fastest) &&
        kernel.stages[0].stores.size() <= kMostVectorStores && points >= thresholds.vector_points) {
        how.vector = kVector;
    }
    if (how.team == 1 && how.vector == 1 && !scatters(kernel)) {
        choose_tile(kernel, fastest, points, batch_hint, thresholds, how);
        points = std::max<std::int64_t>(1, how.points(batch_hint));
    }
    int inside = 0;
    int outside = 0;
    for (AxisId axis = 0; axis < kernel.axes.size(); ++axis) {
        if (kernel.axes[axis].kind != AxisKind::outer) inside += units[axis];
    }
    if (fastest) outside = units[*fastest];
    how.members_fastest = how.team > 1 && inside >= outside;
    // Neighbouring points lie in one sector of memory: a block takes all of it.
    const std::int64_t least_teams = how.team > 1 && !how.members_fastest ? kSector : 1;
    if (least_teams > 1) how.team = std::min(how.team, kMostOfBlock / least_teams);

    if (how.members_fastest) {
        if (const auto row = row_kernel(kernel)) {
            const std::int64_t in_lane = ceil_div(row->extent, kLanes);
            const std::int64_t kept = in_lane * std::max<std::int64_t>(1, row->kept);
            const std::int64_t parts = kept <= kKeptByOne ? 1 : 2;
            const bool enough =
                in_lane <= kFewPlaces || points * kLanes * parts >= thresholds.threads;
            if (enough && ceil_div(kept, parts) <= kMostKept) {
                how.row_places = ceil_div(in_lane, parts);
                how.team = kLanes * parts;
            }
        }
    }

    // Small grids get small blocks, so that all multiprocessors have some.
    const std::int64_t threads = points / how.vector * how.team;
    std::int64_t block = how.row_places > 0 ? kRowThreads : kMostThreads;
    while (block > 64 && threads < block * kMultiprocessors * 2) block /= 2;
    block = std::max(block, how.team * std::min(least_teams, how.inner_points));
    std::int64_t teams = std::max<std::int64_t>(1, block / how.team) * how.vector;
    if (how.team > 1 && how.row_places == 0) {
        const std::int64_t bytes = local_bytes(kernel);
        while (teams > 1 && teams * bytes > kSharedLimit) teams /= 2;
    }
    if (how.inner_points >= teams) {
        const std::int64_t blocks = ceil_div(how.inner_points, teams);
        how.inner_per_block = ceil_div(ceil_div(how.inner_points, blocks), how.vector) * how.vector;
    } else {
        how.inner_per_block = how.inner_points;
        if (!how.outer.empty())
            how.outer_per_block = std::max<std::int64_t>(1, teams / how.inner_points);
    }
    return how;
}

std::string to_text(const TeamSchedule& how) {
    std::string text = fmt::format("team {} of {} threads", how.team, how.threads());
    for (const Digit& digit : how.outer)
        text += fmt::format(" a{}{}", digit.axis, digit.scale > 1 ? "/16" : "");
    for (const Digit& digit : how.inner) text += fmt::format(" a{}:{}", digit.axis, digit.count);
    for (const auto& [axis, size] : how.tile) text += fmt::format(" tile a{}:{}", axis, size);
    if (how.row_places > 0) text += fmt::format(" row {}", how.row_places);
    if (how.vector > 1) text += fmt::format(" vector {}", how.vector);
    return text + fmt::format(" block {} x {}", how.outer_per_block, how.inner_per_block);
}

}  // namespace netc
