// Chooses a schedule: tries vector axes and register tiles, and takes what the model of schedule_cost.cpp says is
// fastest.
#include <array>
#include <cmath>
#include <utility>

#include "backends/cpu/schedule_chooser.h"
#include "backends/cpu/schedule_queries.h"

namespace netc {
namespace choosing {
namespace {

// What takes more than so many second-level caches comes from memory: what third-level caches hold of it is shared.
constexpr double kFromMemory = 16;
// Without what is far below the model's exactness, as the size of the code is beside a long run: of equals the first counts,
// whose tile are neighbours in memory.
double about(double cycles) {
    int exponent = 0;
    const double digits = std::frexp(cycles, &exponent);
    return std::ldexp(std::round(std::ldexp(digits, 13)), exponent - 13);
}

// Instructions of the points of a stage that are unrolled: LLVM takes seconds for a straight line of 20 sines in f64.
constexpr double kMostUnrolled = 4096;

// Rows at once that hide the latency of a sum.
constexpr std::int64_t kRows = 4;

}  // namespace

// Own and reduced axes: small ones are unrolled, `own_all` those of the main stage too.
void Chooser::fill_stages(Schedule& schedule, bool own_all, std::int64_t reduced_unroll) const {
    std::int64_t outer_points = 1;
    for (const AxisTile& tile : schedule.outer) outer_points *= tile.tile;
    for (std::size_t s = 0; s < kernel_.stages.size(); ++s) {
        const Stage& stage = kernel_.stages[s];
        StageSchedule& how = schedule.stages[s];
        const double work =
            (stages_[s].step_work + stages_[s].post_work) *
            static_cast<double>(machine_.registers_per_vector() * stages_[s].element_size / 4);
        std::int64_t points = outer_points;
        std::vector<std::int64_t> count(kernel_.axes.size(), 1);
        for (const AxisTile& tile : schedule.outer) count[tile.axis] = tile.tile;
        for (std::size_t i = how.own.size(); i-- > 0;) {
            AxisTile& tile = how.own[i];
            if (how.vector_axis == tile.axis) continue;
            tile.tile = 1;
            const Extent size = kernel_.axes[tile.axis].extent;
            const std::int64_t most = s == main_ ? 32 : 64;
            if (!size.is_static() || points * size.constant > most || scatter_) continue;
            if (s == main_ && !own_all && i + 1 < how.own.size()) continue;
            if (static_cast<double>(points * size.constant) * work > kMostUnrolled) continue;
            tile.tile = size.constant;
            points *= size.constant;
            count[tile.axis] = size.constant;
        }
        if (!stage.reduction) continue;
        const Order& order = stage.reduction->order;
        const bool copies = order.kind == OrderKind::lanes && !how.lane_by_lane &&
                            how.vector_axis != order.lane_axis;
        std::int64_t body =
            points * (copies ? kLanes : 1) *
                std::max<std::int64_t>(1, static_cast<std::int64_t>(stages_[s].step_work)) +
            static_cast<std::int64_t>(gather_code(schedule, s, count));
        for (std::size_t i = how.reduced.size(); i-- > 0;) {
            AxisTile& tile = how.reduced[i];
            tile.tile = 1;
            const bool special = (order.kind == OrderKind::lanes && order.lane_axis == tile.axis) ||
                                 (order.kind == OrderKind::blocked && i == 0);
            if (special) continue;
            const Extent size = kernel_.axes[tile.axis].extent;
            const std::int64_t limit = kMostBody / 2;
            if (size.is_static() && size.constant <= 16 && body * size.constant <= limit &&
                (s != main_ || reduced_unroll > 1)) {
                tile.tile = size.constant;
                body *= size.constant;
                continue;
            }
            // Only the innermost loop is unrolled in part.
            const bool guarded =
                std::ranges::any_of(stage.reduction->guards, [&](const Guard& guard) {
                    return guard.index.depends_on(tile.axis);
                });
            if (i + 1 == how.reduced.size() && !guarded) {
                while (tile.tile < reduced_unroll && body * 2 <= limit) {
                    tile.tile *= 2;
                    body *= 2;
                }
                if (size.is_static() && tile.tile > size.constant) tile.tile = 1;
            }
            unroll_taps(schedule, s, i);
            break;
        }
    }
}

// Around the innermost loop, an axis that decides together with a tile's axis which terms exist: unrolled, that
// is known for each point of the tile while code is made.
void Chooser::unroll_taps(Schedule& schedule, std::size_t stage, std::size_t loop) const {
    StageSchedule& how = schedule.stages[stage];
    const auto several = [&](const Index& index, const std::vector<AxisTile>& tiles) {
        return std::ranges::any_of(tiles, [&](const AxisTile& tile) {
            return tile.tile > 1 && index.depends_on(tile.axis);
        });
    };
    for (std::size_t i = 0; i < loop; ++i) {
        AxisTile& tap = how.reduced[i];
        const Extent size = kernel_.axes[tap.axis].extent;
        if (!size.is_static() || size.constant > kMostTaps) continue;
        for (const Guard& guard : kernel_.stages[stage].reduction->guards) {
            if (guard.index.depends_on(tap.axis) &&
                (several(guard.index, schedule.outer) || several(guard.index, how.own))) {
                tap.tile = size.constant;
            }
        }
    }
}

void Chooser::consider(Schedule schedule, bool thorough) {
    if (!legal(kernel_, schedule)) return;
    const double value = about(cost(schedule, !thorough));
    best_.push_back({value, std::move(schedule)});
    std::ranges::stable_sort(best_, {}, [](const auto& candidate) { return candidate.first; });
    if (best_.size() > 6) best_.pop_back();
}

// Whether something lies along the other axis and not along the vector's.
bool Chooser::transposes(AxisId vector, AxisId other) const {
    const auto lies_across = [&](const Access& access) {
        const bool along = access.lies_along(vector);
        return access.depends_on(vector) && !along && access.known[other] &&
               access.stride[other] == 1;
    };
    return std::ranges::any_of(reads_, lies_across) ||
           std::ranges::any_of(stores_[main_], lies_across);
}

// How many rows a tile may take where vectors lie along rows and sums share nothing between them. Several hide how
// long one step of a sum waits for the step before; but memory is fastest as a single stream, and stages that go
// through the same rows must find them in the first-level cache.
std::int64_t Chooser::rows_at_once(AxisId axis) const {
    std::vector<int> stages_reading(kernel_.params.size());
    for (const StageInfo& stage : stages_) {
        std::vector<bool> here(kernel_.params.size());
        const auto count = [&](std::uint32_t number) {
            const Buffer& source = kernel_.reads[number].source;
            if (reads_[number].local || !reads_[number].depends_on(axis)) return;
            if (!here[source.index]) ++stages_reading[source.index];
            here[source.index] = true;
        };
        for (std::uint32_t read : stage.step_reads) {
            if (!reads_[read].local && !reads_[read].depends_on(axis)) return extent(axis);
            count(read);
        }
        std::ranges::for_each(stage.post_reads, count);
    }
    double all = 0, again = 0;  // bytes of the kernel; of a row what is read again, with locals
    std::vector<bool> seen(kernel_.params.size());
    for (std::size_t number = 0; number < reads_.size(); ++number) {
        const Buffer& source = kernel_.reads[number].source;
        if (reads_[number].local || seen[source.index]) continue;
        seen[source.index] = true;
        double row = bytes_of(source);
        all += row;
        for (AxisId outer : kernel_.outer) {
            if (reads_[number].depends_on(outer)) row /= static_cast<double>(extent(outer));
        }
        if (stages_reading[source.index] > 1) again += row;
    }
    for (const Stage& stage : kernel_.stages) {
        for (const Store& store : stage.stores) all += bytes_of(store.target);
    }
    for (const Local& local : kernel_.locals) {
        double row = static_cast<double>(size_of(local.dtype));
        for (std::int64_t dim : local.dims) row *= static_cast<double>(dim);
        if (!local.dims.empty()) again += row;
    }
    if (all > kFromMemory * static_cast<double>(machine_.l2_bytes)) return 1;
    if (again == 0) return extent(axis);
    const double room = 2.0 / 3 * static_cast<double>(machine_.l1_bytes);
    return std::clamp(static_cast<std::int64_t>(room / again), std::int64_t{1}, kRows);
}

// Whether the main stage's terms are read once: then a tile is as many neighbours as there are registers, because memory is
// fastest in long runs.
bool Chooser::sums_columns() const {
    return kernel_.stages[main_].reduction &&
           std::ranges::all_of(stages_[main_].step_reads, [&](std::uint32_t read) {
               return std::ranges::all_of(kernel_.outer, [&](AxisId axis) {
                   return extent(axis) == 1 || reads_[read].depends_on(axis);
               });
           });
}

// Sums in lanes along none of the vectors are made lane by lane where that is faster, tile by tile; the main stage's always may.
void Chooser::choose_lane_by_lane(Schedule& schedule) const {
    for (std::size_t s = 0; s < kernel_.stages.size(); ++s) {
        StageSchedule& how = schedule.stages[s];
        Schedule by_lane = schedule;
        by_lane.stages[s].lane_by_lane = true;
        how.lane_by_lane = legal(kernel_, by_lane).ok() &&
                           (s == main_ || stage_cost(by_lane, s) < stage_cost(schedule, s));
    }
}

// Tiles for one choice of the vector axis: an outer one, or (`lane`) the main stage's lanes.
void Chooser::try_tiles(const std::optional<AxisId>& vector, bool lane) {
    Schedule base = plain_schedule(kernel_);
    if (vector && !lane) base.vector_axis = vector;
    for (std::size_t s = 0; s < kernel_.stages.size() && !base.vector_axis; ++s) {
        const Stage& stage = kernel_.stages[s];
        if (stage.reduction && stage.reduction->order.kind == OrderKind::lanes) {
            base.stages[s].vector_axis = stage.reduction->order.lane_axis;
            continue;
        }
        double best = 1e300;
        for (AxisId axis : stage.axes) {
            if (extent(axis) < 4) continue;
            Schedule tried = base;
            tried.stages[s].vector_axis = axis;
            if (!legal(kernel_, tried)) continue;
            const double value = stage_cost(tried, s);
            if (value < best && value < stage_cost(base, s)) {
                best = value;
                base.stages[s].vector_axis = axis;
            }
        }
    }
    choose_lane_by_lane(base);
    const bool reduces = kernel_.stages[main_].reduction.has_value();
    const std::int64_t registers = machine_.registers_per_vector();
    const std::int64_t most = machine_.vector_registers - (machine_.vector_registers > 16 ? 4 : 3);
    std::vector<std::int64_t> widths{1};
    if (base.vector_axis) widths = {1, 2, 3, 4};
    if (base.vector_axis && sums_columns()) widths.insert(widths.end(), {8, 16});
    constexpr std::array<std::int64_t, 14> kTiles{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 16};
    const auto set_tile = [](Schedule& schedule, AxisId axis, std::int64_t tile) {
        for (AxisTile& one : schedule.outer) {
            if (one.axis == axis) one.tile = tile;
        }
    };
    for (const std::int64_t vectors : widths) {
        const std::int64_t there =
            base.vector_axis ? (extent(*base.vector_axis) + kLanes - 1) / kLanes : 1;
        // Threads share out what is beside a wide tile.
        if (vectors > there || (vectors > 4 && 2 * vectors > there)) break;
        Schedule wide = base;
        if (base.vector_axis) set_tile(wide, *base.vector_axis, vectors);
        std::vector<AxisId> others;
        // Of equals, neighbours in memory form the tile: inner axes come first.
        for (std::size_t i = kernel_.outer.size(); i-- > 0;) {
            // Points of several phases have no terms in common.
            if (base.vector_axis != kernel_.outer[i] && !is_phase(kernel_, kernel_.outer[i]))
                others.push_back(kernel_.outer[i]);
        }
        const auto leaf = [&](Schedule tiled) {
            if (std::exchange(tiled.stages[main_].lane_by_lane, false)) {
                Schedule by_lane = tiled;
                by_lane.stages[main_].lane_by_lane = true;
                fill_stages(by_lane, true, 4);
                consider(std::move(by_lane), false);
            }
            Schedule filled = tiled;
            fill_stages(filled, true, 4);
            consider(filled, false);
            // Where both factors are vectors, what several steps share may not fit in registers.
            if (!lane || sums_columns()) return;
            Schedule rolled = tiled;
            fill_stages(rolled, true, 1);
            if (rolled.stages[main_].reduced != filled.stages[main_].reduced)
                consider(std::move(rolled), false);
        };
        leaf(wide);
        if (scatter_) continue;
        for (std::size_t i = 0; i < others.size(); ++i) {
            // Several rows at once are several streams, which only a transpose is worth.
            if (!reduces && vector && !transposes(*vector, others[i])) continue;
            const std::int64_t most_here =
                base.vector_axis ? extent(others[i]) : rows_at_once(others[i]);
            for (std::int64_t first : kTiles) {
                if (first == 1 || first > std::min(extent(others[i]), most_here)) continue;
                if (first * vectors * registers > most && (reduces || first > 16)) break;
                Schedule tiled = wide;
                set_tile(tiled, others[i], first);
                leaf(tiled);
                if (!reduces) continue;
                for (std::size_t j = 0; j < others.size(); ++j) {
                    if (j == i) continue;
                    const std::int64_t size = extent(others[j]);
                    const std::int64_t rows = base.vector_axis ? size : rows_at_once(others[j]);
                    for (std::int64_t second : {std::int64_t{2}, std::int64_t{3}, size}) {
                        if (second < 2 || second > size || second > 7) continue;
                        if (rows < size && first * second > rows) continue;
                        if (first * second * vectors * registers > most) continue;
                        Schedule both = tiled;
                        set_tile(both, others[j], second);
                        leaf(both);
                    }
                }
            }
        }
    }
}

Schedule Chooser::choose() {
    auto chosen = by_matrices();
    if (!chosen) chosen = by_vectors();
    choose_streams(*chosen);
    return *chosen;
}

Schedule Chooser::by_vectors() {
    for (AxisId axis : kernel_.outer) {
        if (is_phase(kernel_, axis)) continue;
        if (extent(axis) >= 2 || !kernel_.axes[axis].extent.is_static()) try_tiles(axis, false);
    }
    try_tiles(std::nullopt, true);
    if (best_.empty()) return plain_schedule(kernel_);
    auto candidates = std::move(best_);
    best_.clear();
    std::int64_t in_word = 1;
    for (std::uint32_t read : stages_[main_].step_reads)
        in_word = std::max(in_word, reads_[read].in_word);
    for (const auto& [value, candidate] : candidates) {
        for (const bool own_all : {true, false}) {
            // Parts of words are multiplied in as many steps at once.
            for (const std::int64_t unroll : {in_word, std::int64_t{4}}) {
                Schedule tried = candidate;
                fill_stages(tried, own_all, unroll);
                consider(std::move(tried), true);
            }
        }
        if (in_word == 1) consider(candidate, true);
    }
    Schedule chosen = best_.front().second;
    finish(chosen);
    return chosen;
}

}  // namespace choosing

Schedule schedule(const Kernel& kernel, const Machine& machine, std::int64_t batch_hint) {
    if (kernel.stages.empty() || kernel.axes.size() > 64) return plain_schedule(kernel);
    return choosing::Chooser(kernel, machine, batch_hint).choose();
}

}  // namespace netc
