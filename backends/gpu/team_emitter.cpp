// See the header. Control flow is the same for all threads of a block wherever there is a barrier: a thread whose
// point does not exist does the work of one that does, and stores nothing.
#include "backends/gpu/team_emitter.h"

#include <algorithm>

#include "backends/scalar_ops.h"

namespace netc {
namespace {

// Points of a stage that a thread works on together.
constexpr std::int64_t kPointsAtOnce = 8;
constexpr std::int64_t kRun = 4;
// More values than these make a thread want more than 128 registers.
constexpr std::int64_t kManyValues = 11;

}  // namespace

Result<GpuLaunch> TeamEmitter::emit(const std::string& name) {
    begin(name, how_.threads(), values_at_once() > kManyValues);
    plan_shared();
    find_point();
    bring_rows();
    if (alone()) {
        if_then(active_, [&] {
            active_ = nullptr;
            emit_stages();
        });
    } else {
        emit_stages();
    }
    if (Status status = finish(); !status) return status.error();
    return GpuLaunch{name, how_.threads(), shared_bytes_, how_.grid()};
}

// Values that a thread holds side by side: sums of its places, or what it stores.
std::int64_t TeamEmitter::values_at_once() const {
    std::int64_t most = 0;
    for (const Stage& stage : kernel_.stages) {
        std::int64_t values = stage.reduction ? 1 : static_cast<std::int64_t>(stage.stores.size());
        if (alone() && few_own(stage))
            for (AxisId axis : stage.axes) values *= *static_extent(axis);
        most = std::max(most, values);
    }
    return most * tile_points() * how_.vector;
}

void TeamEmitter::plan_shared() {
    for (std::size_t k = 0; k < kernel_.locals.size(); ++k) {
        const Local& local = kernel_.locals[k];
        const std::int64_t size = local_size(static_cast<std::uint32_t>(k));
        if (alone()) {
            own_locals_.push_back(
                variable(memory_type(context_, local.dtype), "local", size * tile_points()));
            continue;
        }
        shared_bytes_ = (shared_bytes_ + 15) / 16 * 16;
        local_start_.push_back(shared_bytes_);
        shared_bytes_ += padded(size) * slots_ * size_of(local.dtype);
    }
    if (alone()) return;
    find_rows();
    scratch_start_ = (shared_bytes_ + 15) / 16 * 16;
    std::int64_t most = 0;
    for (const Stage& stage : kernel_.stages) {
        if (!stage.axes.empty() || !stage.reduction ||
            stage.reduction->order.kind == OrderKind::sequential)
            continue;
        const bool in_lanes = stage.reduction->order.kind == OrderKind::lanes;
        if (in_lanes && lanes_in_warp()) continue;
        const std::int64_t parts = in_lanes ? static_cast<std::int64_t>(kLanes) : how_.team;
        most = std::max(most, parts * slots_ * 8 *
                                  static_cast<std::int64_t>(stage.reduction->states.size()));
    }
    shared_bytes_ = scratch_start_ + most;
}

void TeamEmitter::emit_stages() {
    if (how_.vector > 1) return emit_vector(kernel_.stages[0]);
    for (const auto& [axis, size] : how_.tile) {
        tile_values_.emplace_back();
        for (std::int64_t k = 0; k < size; ++k)
            tile_values_.back().push_back(
                k == 0 ? coordinate_[axis]
                       : builder_.CreateAdd(coordinate_[axis], number(k), "", true, true));
    }
    for (std::size_t k = 0; k < kernel_.stages.size(); ++k) {
        if (k > 0 && !alone()) ops_.barrier(builder_);
        enter();
        emit_stage(kernel_.stages[k]);
        leave();
    }
}

// Points in a row: all values, then all stores, so that those of each become one wide access.
void TeamEmitter::emit_vector(const Stage& stage) {
    const AxisId axis = how_.inner.back().axis;
    Places places{{axis}, {}};
    for (std::int64_t k = 0; k < how_.vector; ++k)
        places.values.push_back(
            {k == 0 ? coordinate_[axis]
                    : builder_.CreateAdd(coordinate_[axis], number(k), "", true, true)});
    std::vector<Values> sums, values;
    if (stage.reduction) sums = reduce_at(*stage.reduction, places);
    for (std::size_t place = 0; place < places.values.size(); ++place) {
        go_to(places, place);
        if (stage.reduction) set_state(sums[place]);
        values.emplace_back();
        for (const Store& each : stage.stores) values.back().push_back(evaluate(each.value));
    }
    for (std::size_t k = 0; k < stage.stores.size(); ++k) {
        for (std::size_t place = 0; place < places.values.size(); ++place) {
            go_to(places, place);
            store(stage.stores[k], values[place][k], nullptr, active_);
        }
    }
}

std::int64_t TeamEmitter::tile_points() const {
    std::int64_t points = 1;
    for (const auto& [axis, size] : how_.tile) points *= size;
    return points;
}

// The places of a thread's tile, each with all values of the stage's own axes, which are few.
GpuEmitter::Places TeamEmitter::places_of(const Stage& stage) {
    Places places;
    const auto multiply = [&](AxisId axis, const Values& values) {
        places.axes.push_back(axis);
        std::vector<Values> all;
        for (const Values& before : places.values) {
            for (llvm::Value* value : values) {
                all.push_back(before);
                all.back().push_back(value);
            }
        }
        places.values = std::move(all);
    };
    for (std::size_t k = 0; k < how_.tile.size(); ++k)
        multiply(how_.tile[k].first, tile_values_[k]);
    for (AxisId axis : stage.axes) {
        Values values;
        for (std::int64_t at = 0; at < *static_extent(axis); ++at) values.push_back(number(at));
        multiply(axis, values);
    }
    places_per_point_ = places.values.size() / static_cast<std::size_t>(tile_points());
    return places;
}

void TeamEmitter::at_place(std::size_t place) { tile_point_ = place / places_per_point_; }

void TeamEmitter::run_places(const Stage& stage) {
    const Places places = places_of(stage);
    std::vector<Values> states;
    if (stage.reduction) states = reduce_at(*stage.reduction, places);
    for (std::size_t place = 0; place < places.values.size(); ++place) {
        enter();
        go_to(places, place);
        if (stage.reduction) set_state(states[place]);
        store_all(stage, active_);
        leave();
    }
    for (AxisId axis : stage.axes) coordinate_[axis] = nullptr;
    tile_point_ = 0;
    places_per_point_ = 1;
}

// Whether all values of the stage's own axes are a few that are known.
bool TeamEmitter::few_own(const Stage& stage) const {
    std::int64_t count = 1;
    for (AxisId axis : stage.axes) {
        if (!static_extent(axis)) return false;
        count *= *static_extent(axis);
        if (count > 16) return false;
    }
    return true;
}

void TeamEmitter::emit_stage(const Stage& stage) {
    if (alone() && few_own(stage)) return run_places(stage);
    if (!stage.axes.empty()) return emit_own(stage);
    if (stage.reduction && stage.reduction->order.kind != OrderKind::sequential)
        return reduce_together(stage);
    // Locals of a point that does not exist are written too: others of its team may read them.
    if_then(builder_.CreateICmpEQ(member_, number(0)), [&] { run_alone(stage); });
}

void TeamEmitter::run_alone(const Stage& stage) {
    if (stage.reduction) set_state(reduce(*stage.reduction));
    store_all(stage, active_);
}

// The stage's own points, shared out among the members.
void TeamEmitter::emit_own(const Stage& stage) {
    std::vector<AxisId> axes = stage.axes;
    // At most one extent depends on the batch; it comes first, so that no division by it is needed.
    std::ranges::stable_partition(axes, [&](AxisId axis) { return !static_extent(axis); });
    std::int64_t inner = 1;
    llvm::Value* total = nullptr;
    for (std::size_t k = 0; k < axes.size(); ++k) {
        if (const auto extent = static_extent(axes[k])) {
            inner *= *extent;
        } else if (k > 0) {
            return fail("two axes of a stage depend on the batch");
        } else {
            total = extent_value(extent_of(axes[0]));
        }
    }
    total = total == nullptr ? number(inner) : builder_.CreateMul(total, number(inner));
    const auto go_to_point = [&](llvm::Value* at) {
        for (std::size_t k = axes.size(); k-- > 0;) {
            const auto extent = static_extent(axes[k]);
            if (k == 0) {
                coordinate_[axes[k]] = at;
            } else {
                coordinate_[axes[k]] = modulo(at, *extent, true);
                at = divide(at, *extent, true);
            }
        }
    };
    const auto leave_points = [&] {
        for (AxisId axis : axes) coordinate_[axis] = nullptr;
    };
    const auto one = [&](llvm::Value* at) {
        go_to_point(at);
        run_alone(stage);
        leave_points();
    };
    llvm::Value* step = number(how_.team);
    const bool scatters =
        std::ranges::any_of(stage.stores, [](const Store& each) { return each.indirect >= 0; });
    if (stage.reduction || scatters) return loop(member_, total, step, one);
    // Several points a round, all values before the first is stored: their loads are under way together. Where the
    // members of a team are neighbours each takes four points in a row, which are one wide access where memory is.
    const bool in_runs = how_.members_fastest && static_extent(axes.back()) &&
                         *static_extent(axes.back()) % kRun == 0;
    const std::int64_t run = in_runs ? kRun : 1;
    const auto several = [&](llvm::Value* first, std::int64_t runs) {
        std::vector<Values> places, values;
        for (std::int64_t k = 0; k < runs; ++k) {
            go_to_point(builder_.CreateAdd(first, number(k * run * how_.team), "", true, true));
            llvm::Value* const begin = coordinate_[axes.back()];
            for (std::int64_t r = 0; r < run; ++r) {
                if (r > 0)
                    coordinate_[axes.back()] = builder_.CreateAdd(begin, number(r), "", true, true);
                places.push_back(coordinate_);
                values.emplace_back();
                for (const Store& each : stage.stores)
                    values.back().push_back(evaluate(each.value));
            }
        }
        for (std::size_t n = 0; n < stage.stores.size(); ++n) {
            for (std::size_t k = 0; k < places.size(); ++k) {
                coordinate_ = places[k];
                store(stage.stores[n], values[k][n], nullptr, active_);
            }
        }
        leave_points();
    };
    const std::int64_t round = run * how_.team;
    const std::int64_t rounds = kPointsAtOnce / run;
    // The last rounds that are full begin below this.
    llvm::Value* full = builder_.CreateSub(total, number((rounds - 1) * round));
    llvm::Value* begin = builder_.CreateMul(member_, number(run), "", true, true);
    llvm::AllocaInst* next = variable(builder_.getInt32Ty(), "next");
    builder_.CreateStore(begin, next);
    loop(begin, full, number(rounds * round), [&](llvm::Value* first) {
        several(first, rounds);
        builder_.CreateStore(builder_.CreateAdd(first, number(rounds * round)), next);
    });
    loop(load_variable(next), total, number(round), [&](llvm::Value* first) { several(first, 1); });
}

}  // namespace netc
