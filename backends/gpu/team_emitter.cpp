// See the header. Control flow is the same for all threads of a block wherever there is a barrier: a thread whose
// point does not exist does the work of one that does, and stores nothing.
#include "backends/gpu/team_emitter.h"

#include <algorithm>

#include "backends/scalar_ops.h"

namespace netc {
namespace {

// Points of a stage that a thread works on together.
constexpr std::int64_t kPointsAtOnce = 8;
// Elements of 4 bytes that one load of a row brings; shared memory that rows may take a block to.
constexpr std::int64_t kWide = 4;
constexpr std::int64_t kMostShared = 72 * 1024;
// More values than these make a thread want more than 128 registers.
constexpr std::int64_t kManyValues = 15;

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
    slots_ = how_.threads() / how_.team;
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
        const std::int64_t parts = stage.reduction->order.kind == OrderKind::lanes
                                       ? static_cast<std::int64_t>(kLanes)
                                       : how_.team;
        most = std::max(most, parts * slots_ * 8 *
                                  static_cast<std::int64_t>(stage.reduction->states.size()));
    }
    shared_bytes_ = scratch_start_ + most;
}

// Elements from one team's to the next's where members are neighbours: those of two teams in a warp meet other banks.
std::int64_t TeamEmitter::padded(std::int64_t size) const {
    return how_.members_fastest && size >= 32 ? (size + 31) / 32 * 32 + kLanes : size;
}

// A row is brought where two reads or more walk it along memory, each by an axis of its stage.
void TeamEmitter::find_rows() {
    if (!how_.members_fastest) return;
    const auto is_outer = [&](AxisId axis) { return kernel_.axes[axis].kind == AxisKind::outer; };
    for (std::size_t number = 0; number < kernel_.reads.size(); ++number) {
        const Read& read = kernel_.reads[number];
        if (read.source.kind != Buffer::Kind::param || read.indirect >= 0 ||
            read.outside != Outside::never)
            continue;
        const Param& param = kernel_.params[read.source.index];
        if (param.direction != Direction::in || param.layout.lanes || size_of(param.dtype) != 4)
            continue;
        const std::vector<Extent> steps = strides(param);
        std::optional<std::size_t> along;
        bool fits = true;
        for (std::size_t dim = 0; dim < read.index.size(); ++dim) {
            const Index& index = read.index[dim];
            const bool inner = std::ranges::any_of(index.terms(), [&](const IndexTerm& term) {
                return term.kind != IndexTerm::Kind::axis || !is_outer(term.axis);
            });
            if (!inner) {
                fits =
                    fits && steps[dim].per_batch % kWide == 0 && steps[dim].constant % kWide == 0;
            } else if (along || steps[dim] != Extent{0, 1} || index.terms().size() != 1 ||
                       !index.is_axis(index.terms()[0].axis) ||
                       extent_of(index.terms()[0].axis) != param.dims[dim]) {
                fits = false;
            } else {
                along = dim;
            }
        }
        if (!fits || !along || !param.dims[*along].is_static()) continue;
        const std::int64_t extent = param.dims[*along].constant;
        if (extent < 64 || extent % kWide != 0) continue;
        const AxisId axis = read.index[*along].terms()[0].axis;
        const auto same = std::ranges::find_if(rows_, [&](const Row& row) {
            const Read& other = kernel_.reads[row.reads[0]];
            if (other.source != read.source) return false;
            for (std::size_t dim = 0; dim < read.index.size(); ++dim)
                if (dim != *along && !(other.index[dim] == read.index[dim])) return false;
            return other.index[*along].is_axis(row.axes[0]);
        });
        if (same == rows_.end()) {
            rows_.push_back({{number}, {axis}, extent, 0});
        } else {
            same->reads.push_back(number);
            same->axes.push_back(axis);
        }
    }
    std::erase_if(rows_, [](const Row& row) { return row.reads.size() < 2; });
    std::int64_t bytes = shared_bytes_;
    for (Row& row : rows_) {
        row.start = (bytes + 15) / 16 * 16;
        bytes = row.start + padded(row.extent) * slots_ * 4;
    }
    if (bytes > kMostShared) {
        rows_.clear();
    } else {
        shared_bytes_ = bytes;
    }
}

void TeamEmitter::bring_rows() {
    for (const Row& row : rows_) {
        const Read& read = kernel_.reads[row.reads[0]];
        llvm::Type* element = memory_type(context_, kernel_.params[read.source.index].dtype);
        auto* wide = llvm::FixedVectorType::get(element, static_cast<unsigned>(kWide));
        const auto load = [&](llvm::Value* at) {
            coordinate_[row.axes[0]] = at;
            return builder_.CreateAlignedLoad(wide, address_of(read, nullptr), llvm::Align(16));
        };
        const auto keep = [&](llvm::Value* value, llvm::Value* at) {
            ops_.store_shared(builder_, value, shared_address(row.start, row.extent, at, element),
                              llvm::Align(16));
        };
        llvm::Value* first = builder_.CreateMul(member_, number(kWide));
        const std::int64_t round = how_.team * kWide;
        const std::int64_t rounds = row.extent / round;  // that are full
        constexpr std::int64_t kAtOnce = 8;
        const auto several = [&](llvm::Value* from, std::int64_t count) {
            Values values, places;
            for (std::int64_t k = 0; k < count; ++k) {
                places.push_back(builder_.CreateAdd(from, number(k * round)));
                values.push_back(load(places.back()));
            }
            for (std::size_t k = 0; k < values.size(); ++k) keep(values[k], places[k]);
        };
        const std::int64_t groups = rounds / kAtOnce;
        loop(number(0), number(groups), number(1), [&](llvm::Value* group) {
            several(builder_.CreateAdd(first, builder_.CreateMul(group, number(kAtOnce * round))),
                    kAtOnce);
        });
        several(builder_.CreateAdd(first, number(groups * kAtOnce * round)), rounds % kAtOnce);
        llvm::Value* last = builder_.CreateAdd(first, number(rounds * round));
        if (row.extent % round != 0) {
            if_then(builder_.CreateICmpSLT(last, number(row.extent)),
                    [&] { keep(load(last), last); });
        }
        coordinate_[row.axes[0]] = nullptr;
    }
    if (!rows_.empty()) ops_.barrier(builder_);
}

llvm::Value* TeamEmitter::read_cached(std::size_t read) {
    for (const Row& row : rows_) {
        const auto found = std::ranges::find(row.reads, read);
        if (found == row.reads.end()) continue;
        const AxisId axis = row.axes[static_cast<std::size_t>(found - row.reads.begin())];
        const DType dtype = kernel_.params[kernel_.reads[read].source.index].dtype;
        llvm::Type* type = memory_type(context_, dtype);
        return ops_.load_shared(builder_, type,
                                shared_address(row.start, row.extent, coordinate_[axis], type),
                                llvm::Align(4));
    }
    return nullptr;
}

// Coordinates of the outer axes from the numbers of the block and of the thread.
void TeamEmitter::find_point() {
    llvm::Value* thread = ops_.thread(builder_);
    llvm::Value* block = ops_.block(builder_);
    member_ = number(0);
    point_ = thread;
    if (!alone()) {
        member_ =
            how_.members_fastest ? modulo(thread, how_.team, true) : divide(thread, slots_, true);
        point_ =
            how_.members_fastest ? divide(thread, how_.team, true) : modulo(thread, slots_, true);
    }
    const std::int64_t places = how_.points_per_block() / how_.vector;
    const auto keep_below = [&](llvm::Value* value, llvm::Value* limit) {
        llvm::Value* exists = builder_.CreateICmpULT(value, limit);
        active_ = both(active_, exists);
        return builder_.CreateSelect(exists, value, builder_.CreateSub(limit, number(1)));
    };
    slot_ = point_;
    if (slots_ > places) point_ = keep_below(point_, number(places));
    const std::int64_t inner_blocks =
        (how_.inner_points + how_.inner_per_block - 1) / how_.inner_per_block;
    llvm::Value* inner = modulo(block, inner_blocks, true);
    llvm::Value* outer = divide(block, inner_blocks, true);
    llvm::Value* outer_here = number(0);
    if (how_.outer_per_block > 1) {
        outer_here = divide(point_, how_.inner_per_block / how_.vector, true);
        inner = modulo(point_, how_.inner_per_block / how_.vector, true);
    } else {
        inner = builder_.CreateAdd(
            builder_.CreateMul(inner, number(how_.inner_per_block / how_.vector)), point_);
        const std::int64_t limit = how_.inner_points / how_.vector;
        if (limit % (how_.inner_per_block / how_.vector) != 0)
            inner = keep_below(inner, number(limit));
    }
    // Outer digits: the last is shared out among the points of a block.
    for (std::size_t k = how_.outer.size(); k-- > 0;) {
        const Digit& digit = how_.outer[k];
        const std::int64_t per_block = k + 1 == how_.outer.size() ? how_.outer_per_block : 1;
        llvm::Value* extent = extent_value(digit.extent);
        const std::int64_t covered = digit.scale * per_block;
        llvm::Value* count =
            builder_.CreateUDiv(builder_.CreateAdd(extent, number(covered - 1)), number(covered));
        llvm::Value* value = outer;
        if (k > 0) {
            value = builder_.CreateURem(outer, count);
            outer = builder_.CreateUDiv(outer, count);
        }
        if (per_block > 1) {
            value = builder_.CreateAdd(builder_.CreateMul(value, number(per_block)), outer_here);
            llvm::Value* limit = builder_.CreateUDiv(
                builder_.CreateAdd(extent, number(digit.scale - 1)), number(digit.scale));
            value = keep_below(value, limit);
        }
        coordinate_[digit.axis] =
            digit.scale == 1 ? value
                             : builder_.CreateMul(value, number(digit.scale), "", true, true);
    }
    for (std::size_t k = how_.inner.size(); k-- > 0;) {
        const Digit& digit = how_.inner[k];
        const bool last = k + 1 == how_.inner.size();
        const std::int64_t count = last ? digit.count / how_.vector : digit.count;
        llvm::Value* value = inner;
        if (k > 0) {
            value = modulo(inner, count, true);
            inner = divide(inner, count, true);
        }
        const std::int64_t scale = last ? std::max(digit.scale, how_.vector) : digit.scale;
        if (scale > 1) value = builder_.CreateMul(value, number(scale), "", true, true);
        if (coordinate_[digit.axis] != nullptr) {  // a sample of sixteen
            value = builder_.CreateAdd(coordinate_[digit.axis], value, "", true, true);
            value = keep_below(value, extent_value(digit.extent));
        }
        coordinate_[digit.axis] = value;
    }
}

void TeamEmitter::emit_stages() {
    if (how_.vector > 1) {
        // Elementwise: all values of the points, then all stores, so that each become one wide access.
        const Stage& stage = kernel_.stages[0];
        const AxisId axis = how_.inner.back().axis;
        llvm::Value* base = coordinate_[axis];
        Values places;
        std::vector<Values> values;
        for (std::int64_t v = 0; v < how_.vector; ++v) {
            places.push_back(v == 0 ? base : builder_.CreateAdd(base, number(v), "", true, true));
            coordinate_[axis] = places.back();
            values.emplace_back();
            for (const Store& each : stage.stores) values.back().push_back(evaluate(each.value));
        }
        for (std::size_t k = 0; k < stage.stores.size(); ++k) {
            for (std::size_t v = 0; v < places.size(); ++v) {
                coordinate_[axis] = places[v];
                store(stage.stores[k], values[v][k], nullptr, active_);
            }
        }
        return;
    }
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
    // Several points a round, all values before the first is stored: their loads are under way together.
    const auto several = [&](llvm::Value* first) {
        std::vector<Values> values;
        Values places;
        for (std::int64_t k = 0; k < kPointsAtOnce; ++k) {
            places.push_back(builder_.CreateAdd(first, number(k * how_.team)));
            go_to_point(places.back());
            values.push_back({});
            for (const Store& each : stage.stores) values.back().push_back(evaluate(each.value));
        }
        for (std::size_t k = 0; k < places.size(); ++k) {
            go_to_point(places[k]);
            for (std::size_t n = 0; n < stage.stores.size(); ++n)
                store(stage.stores[n], values[k][n], nullptr, active_);
        }
        leave_points();
    };
    // The last round that is full begins below this.
    llvm::Value* full = builder_.CreateSub(total, number((kPointsAtOnce - 1) * how_.team));
    llvm::AllocaInst* next = variable(builder_.getInt32Ty(), "next");
    builder_.CreateStore(member_, next);
    loop(member_, full, number(kPointsAtOnce * how_.team), [&](llvm::Value* first) {
        several(first);
        builder_.CreateStore(builder_.CreateAdd(first, number(kPointsAtOnce * how_.team)), next);
    });
    loop(load_variable(next), total, step, one);
}

// ---- sums that a team shares ------------------------------------------------------------------------------

llvm::Value* TeamEmitter::shared_address(std::int64_t start, std::int64_t size, llvm::Value* offset,
                                         llvm::Type* type) {
    // One team's elements lie together where its members are neighbours, else those of all teams.
    llvm::Value* place =
        how_.members_fastest
            ? builder_.CreateAdd(builder_.CreateMul(slot_, number(padded(size))), offset)
            : builder_.CreateAdd(builder_.CreateMul(offset, number(slots_)), slot_);
    llvm::Value* base = builder_.CreateConstInBoundsGEP1_64(
        builder_.getInt8Ty(), ops_.shared(builder_), static_cast<std::uint64_t>(start));
    return builder_.CreateInBoundsGEP(type, base, place);
}

llvm::Value* TeamEmitter::scratch(const Reduction& reduction, std::size_t state,
                                  llvm::Value* member) {
    const std::int64_t parts =
        reduction.order.kind == OrderKind::lanes ? static_cast<std::int64_t>(kLanes) : how_.team;
    const std::int64_t start =
        scratch_start_ + static_cast<std::int64_t>(state) * parts * slots_ * 8;
    return shared_address(start, parts, member,
                          value_type(context_, reduction.states[state].dtype));
}

void TeamEmitter::reduce_together(const Stage& stage) {
    const Reduction& reduction = *stage.reduction;
    std::vector<llvm::AllocaInst*> sums = variables(identity(reduction), "sum");
    if (reduction.order.kind == OrderKind::lanes) {
        share_lanes(reduction, sums);
    } else {
        share_leaves(reduction, sums);
    }
    if_then(builder_.CreateICmpEQ(member_, number(0)), [&] {
        set_state(values_of(sums));
        store_all(stage, active_);
    });
}

// A lane for each of sixteen members; pairs 8, 4, 2, 1 apart are merged.
void TeamEmitter::share_lanes(const Reduction& reduction, std::vector<llvm::AllocaInst*>& sums) {
    const auto set = [&](const Values& values) {
        for (std::size_t k = 0; k < sums.size(); ++k) builder_.CreateStore(values[k], sums[k]);
    };
    const auto align = [&](std::size_t k) {
        return llvm::Align(static_cast<std::uint64_t>(size_of(reduction.states[k].dtype)));
    };
    if (how_.team < kLanes) {  // too few terms for it to matter
        return if_then(builder_.CreateICmpEQ(member_, number(0)), [&] { set(reduce(reduction)); });
    }
    const auto below = [&](std::int64_t members) -> llvm::Value* {
        if (members >= how_.team) return nullptr;
        return builder_.CreateICmpULT(member_, number(members));
    };
    if_then(below(kLanes), [&] { set(reduce_lane(reduction, member_)); });
    for (std::int64_t half = kLanes / 2; half > 0; half /= 2) {
        // The upper half gives, the lower half takes.
        llvm::Value* gives = builder_.CreateAnd(builder_.CreateICmpUGE(member_, number(half)),
                                                builder_.CreateICmpULT(member_, number(2 * half)));
        if_then(gives, [&] {
            const Values values = values_of(sums);
            for (std::size_t k = 0; k < sums.size(); ++k)
                ops_.store_shared(builder_, values[k], scratch(reduction, k, member_), align(k));
        });
        ops_.barrier(builder_);
        if_then(below(half), [&] {
            Values right;
            for (std::size_t k = 0; k < sums.size(); ++k) {
                llvm::Value* other = builder_.CreateAdd(member_, number(half));
                right.push_back(ops_.load_shared(builder_, sums[k]->getAllocatedType(),
                                                 scratch(reduction, k, other), align(k)));
            }
            set(merge(reduction, values_of(sums), right));
        });
    }
    // The next that uses the scratch may come before all have read it.
    ops_.barrier(builder_);
}

// A leaf for each member, as often as needed; the first member merges them from left to right.
void TeamEmitter::share_leaves(const Reduction& reduction, std::vector<llvm::AllocaInst*>& totals) {
    const auto align = [&](std::size_t k) {
        return llvm::Align(static_cast<std::uint64_t>(size_of(reduction.states[k].dtype)));
    };
    llvm::Value* count = leaf_count(reduction);
    loop(number(0), count, number(how_.team), [&](llvm::Value* first) {
        llvm::Value* leaf = builder_.CreateAdd(first, member_);
        if_then(builder_.CreateICmpSLT(leaf, count), [&] {
            const Values part = reduce_leaf(reduction, nullptr, leaf);
            for (std::size_t k = 0; k < part.size(); ++k)
                ops_.store_shared(builder_, part[k], scratch(reduction, k, member_), align(k));
        });
        ops_.barrier(builder_);
        if_then(builder_.CreateICmpEQ(member_, number(0)), [&] {
            llvm::Value* left = builder_.CreateSub(count, first);
            llvm::Value* parts = builder_.CreateSelect(
                builder_.CreateICmpSLT(left, number(how_.team)), left, number(how_.team));
            loop(number(0), parts, number(1), [&](llvm::Value* part) {
                Values right;
                for (std::size_t k = 0; k < totals.size(); ++k)
                    right.push_back(ops_.load_shared(builder_, totals[k]->getAllocatedType(),
                                                     scratch(reduction, k, part), align(k)));
                const Values merged = merge(reduction, values_of(totals), right);
                llvm::Value* starts =
                    builder_.CreateICmpEQ(builder_.CreateAdd(first, part), number(0));
                for (std::size_t k = 0; k < totals.size(); ++k)
                    builder_.CreateStore(builder_.CreateSelect(starts, right[k], merged[k]),
                                         totals[k]);
            });
        });
        ops_.barrier(builder_);
    });
}

// ---- locals ---------------------------------------------------------------------------------------------

llvm::Value* TeamEmitter::own_local(std::uint32_t local, llvm::Value* offset) {
    const auto start = static_cast<std::int64_t>(tile_point_) * local_size(local);
    return builder_.CreateInBoundsGEP(memory_type(context_, kernel_.locals[local].dtype),
                                      own_locals_[local],
                                      builder_.CreateAdd(offset, number(start)));
}

llvm::Value* TeamEmitter::load_local(std::uint32_t local, llvm::Value* offset) {
    const DType dtype = kernel_.locals[local].dtype;
    llvm::Type* type = memory_type(context_, dtype);
    llvm::Value* value = nullptr;
    if (alone()) {
        value = builder_.CreateLoad(type, own_local(local, offset));
    } else {
        value = ops_.load_shared(
            builder_, type, shared_address(local_start_[local], local_size(local), offset, type),
            llvm::Align(static_cast<std::uint64_t>(size_of(dtype))));
    }
    return dtype == DType::b1 ? builder_.CreateTrunc(value, builder_.getInt1Ty()) : value;
}

void TeamEmitter::store_local(std::uint32_t local, llvm::Value* offset, llvm::Value* value) {
    const DType dtype = kernel_.locals[local].dtype;
    llvm::Type* type = memory_type(context_, dtype);
    if (dtype == DType::b1) value = builder_.CreateZExt(value, type);
    if (alone()) {
        builder_.CreateStore(value, own_local(local, offset));
        return;
    }
    ops_.store_shared(builder_, value,
                      shared_address(local_start_[local], local_size(local), offset, type),
                      llvm::Align(static_cast<std::uint64_t>(size_of(dtype))));
}

}  // namespace netc
