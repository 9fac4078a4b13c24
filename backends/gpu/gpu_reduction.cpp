// Sums by one thread, in the order that the kernel says (ir/kernel.h): the same terms in the same order as on any
// other target, so the same bits.
#include <algorithm>
#include <set>

#include "backends/cpu/schedule.h"
#include "backends/gpu/gpu_emitter.h"
#include "backends/scalar_ops.h"

namespace netc {
namespace {

// Loads of a long sum that are under way together, about.
constexpr std::int64_t kLoadsAtOnce = 48;
// Loops of so few terms are not loops: what they read is shared between places and terms.
constexpr std::int64_t kMostUnrolled = 32;
// Steps in a row, of all places and terms.
constexpr std::int64_t kMostSteps = 512;

// How many rounds of a loop to put behind each other, where `wanted` would be right: a divisor of what is known.
std::int64_t unroll_count(std::int64_t wanted, std::int64_t extent) {
    if (wanted <= 1) return 1;
    for (std::int64_t count = wanted; count <= std::min(extent, 2 * wanted); ++count)
        if (extent % count == 0) return count;
    while (extent % wanted != 0) --wanted;
    return wanted;
}

// The deepest loop of `axes` that the guard needs; 0 in front of all.
std::size_t depth_of(const Index& index, const std::vector<AxisId>& axes) {
    for (std::size_t k = axes.size(); k > 0; --k)
        if (index.depends_on(axes[k - 1])) return k;
    return 0;
}

}  // namespace

std::int64_t GpuEmitter::leaf_elements(const Reduction& reduction) {
    const Order& order = reduction.order;
    return order.leaf * (order.kind == OrderKind::lanes ? static_cast<std::int64_t>(kLanes) : 1);
}

GpuEmitter::Values GpuEmitter::identity(const Reduction& reduction) {
    Values values;
    for (const StateVariable& state : reduction.states) {
        values.push_back(is_float(state.dtype)
                             ? number_constant(context_, state.dtype, state.identity)
                             : integer_constant(context_, state.dtype,
                                                static_cast<std::int64_t>(state.identity)));
    }
    return values;
}

GpuEmitter::Values GpuEmitter::merge(const Reduction& reduction, const Values& left,
                                     const Values& right) {
    const Values before = states_;
    set_state(left);
    others_ = right;
    enter();
    Values merged = evaluate_all(reduction.merge);
    leave();
    others_.clear();
    set_state(before);
    return merged;
}

llvm::Value* GpuEmitter::shuffle_xor(llvm::Value* value, unsigned mask) {
    llvm::Type* const type = value->getType();
    const unsigned bits = type->getScalarSizeInBits();
    llvm::Value* whole = builder_.CreateBitCast(value, builder_.getIntNTy(bits));
    llvm::Value* got = nullptr;
    for (unsigned at = 0; at < bits; at += 32) {
        llvm::Value* word =
            builder_.CreateZExtOrTrunc(builder_.CreateLShr(whole, at), builder_.getInt32Ty());
        llvm::Value* part =
            builder_.CreateZExtOrTrunc(ops_.shuffle_xor(builder_, word, mask), whole->getType());
        got = at == 0 ? part : builder_.CreateOr(got, builder_.CreateShl(part, at));
    }
    return builder_.CreateBitCast(got, type);
}

// Pairs 8, 4, 2, 1 apart; the lower one of a pair is the left, wherever it is merged.
GpuEmitter::Values GpuEmitter::merge_lanes(const Reduction& reduction, Values sums,
                                           llvm::Value* lane) {
    for (std::int64_t half = kLanes / 2; half > 0; half /= 2) {
        llvm::Value* upper =
            builder_.CreateICmpNE(builder_.CreateAnd(lane, number(half)), number(0));
        Values left, right;
        for (llvm::Value* own : sums) {
            llvm::Value* other = shuffle_xor(own, static_cast<unsigned>(half));
            left.push_back(builder_.CreateSelect(upper, other, own));
            right.push_back(builder_.CreateSelect(upper, own, other));
        }
        sums = merge(reduction, left, right);
    }
    return sums;
}

llvm::Value* GpuEmitter::leaf_count(const Reduction& reduction) {
    const std::int64_t leaf = leaf_elements(reduction);
    llvm::Value* extent = extent_value(extent_of(reduction.axes[0]));
    return divide(builder_.CreateAdd(extent, number(leaf - 1)), leaf, true);
}

void GpuEmitter::go_to(const Places& places, std::size_t place) {
    for (std::size_t k = 0; k < places.axes.size(); ++k)
        coordinate_[places.axes[k]] = places.values[place][k];
    at_place(place);
}

bool GpuEmitter::differs(const Guard& guard, const Places& places) const {
    return std::ranges::any_of(places.axes,
                               [&](AxisId axis) { return guard.index.depends_on(axis); });
}

// One term at each place. A term that does not exist is computed from what is there and not taken: loads of several
// terms can be under way together, which they are not behind branches.
void GpuEmitter::add_term(const Terms& terms) {
    const Reduction& reduction = terms.reduction;
    llvm::Value* everywhere = nullptr;
    for (const Guard& guard : reduction.guards) {
        if (!differs(guard, terms.places) &&
            depth_of(guard.index, reduction.axes) == reduction.axes.size())
            everywhere = both(everywhere, holds(guard));
    }
    enter();
    for (std::size_t place = 0; place < terms.places.values.size(); ++place) {
        go_to(terms.places, place);
        llvm::Value* condition = everywhere;
        for (const Guard& guard : reduction.guards)
            if (differs(guard, terms.places)) condition = both(condition, holds(guard));
        const Values before = values_of(terms.sums[place]);
        set_state(before);
        mask_ = condition;
        const Values next = evaluate_all(reduction.step);
        mask_ = nullptr;
        for (std::size_t k = 0; k < next.size(); ++k) {
            llvm::Value* value = condition == nullptr
                                     ? next[k]
                                     : builder_.CreateSelect(condition, next[k], before[k]);
            builder_.CreateStore(value, terms.sums[place][k]);
        }
    }
    leave();
}

// Terms of the loops from `depth` on, added to the sums.
void GpuEmitter::add_terms(const Terms& terms, std::size_t depth) {
    const Reduction& reduction = terms.reduction;
    if (depth == reduction.axes.size()) return add_term(terms);
    llvm::Value* condition = nullptr;
    for (const Guard& guard : reduction.guards) {
        if (!differs(guard, terms.places) && depth_of(guard.index, reduction.axes) == depth)
            condition = both(condition, holds(guard));
    }
    if_then(condition, [&] { loop_terms(terms, depth); });
}

void GpuEmitter::loop_terms(const Terms& terms, std::size_t depth) {
    const Reduction& reduction = terms.reduction;
    const Order& order = reduction.order;
    const AxisId axis = reduction.axes[depth];
    const auto at = [&](llvm::Value* value) {
        coordinate_[axis] = value;
        add_terms(terms, depth + 1);
        coordinate_[axis] = nullptr;
    };
    const bool by_lane = terms.lane != nullptr && axis == order.lane_axis;
    const bool by_leaf = terms.leaf != nullptr && depth == 0;
    // How many terms the loops from here on have, where it is known.
    const auto places = static_cast<std::int64_t>(terms.places.values.size());
    const auto terms_from = [&](std::size_t from) -> std::optional<std::int64_t> {
        std::int64_t count = 1;
        for (std::size_t k = from; k < reduction.axes.size(); ++k) {
            const auto extent = static_extent(reduction.axes[k]);
            if (!extent || (k == 0 && (order.leaf > 0 || by_lane))) return std::nullopt;
            count *= *extent;
        }
        return count;
    };
    const std::optional<ScalarId> chosen =
        depth + 1 == reduction.axes.size() ? chosen_by(reduction) : std::nullopt;
    if (const auto count = terms_from(depth); count && !chosen && !by_lane && !by_leaf &&
                                              *count <= kMostUnrolled &&
                                              *count * places <= kMostSteps) {
        for (std::int64_t k = 0; k < *static_extent(axis); ++k) at(number(k));
        return;
    }
    llvm::Value* from = number(0);
    llvm::Value* to = extent_value(extent_of(axis));
    llvm::Value* step = number(1);
    // Where all lanes have as many terms the loop is one of that many rounds, which LLVM can see.
    const std::optional<std::int64_t> lane_terms =
        by_lane && !by_leaf && !chosen && static_extent(axis) && *static_extent(axis) % kLanes == 0
            ? std::optional(*static_extent(axis) / kLanes)
            : std::nullopt;
    if (lane_terms) {
        to = number(*lane_terms);
    } else if (by_lane) {
        from = terms.lane;
        step = number(kLanes);
    }
    if (by_leaf) {
        llvm::Value* begin = builder_.CreateMul(terms.leaf, number(leaf_elements(reduction)));
        llvm::Value* end = builder_.CreateAdd(begin, number(leaf_elements(reduction)));
        from = builder_.CreateAdd(begin, from);
        to = builder_.CreateSelect(builder_.CreateICmpSLT(end, to), end, to);
    }
    if (chosen)
        return add_chosen_terms(terms, *chosen, from, to, by_lane ? kLanes : std::int64_t{1});
    std::int64_t rounds = 1;
    const std::optional<std::int64_t> inner = terms_from(depth + 1);
    if (inner && (depth + 1 == reduction.axes.size() || *inner <= kMostUnrolled)) {
        const std::int64_t loads = *inner * loads_of_term(terms);
        // What is left over of an unrolled loop runs a term at a time: how many there are is guessed from the hint.
        const std::int64_t trips =
            by_leaf ? order.leaf
                    : (extent_of(axis).at(batch_hint_) + (by_lane ? kLanes - 1 : 0)) /
                          (by_lane ? static_cast<std::int64_t>(kLanes) : 1);
        const std::int64_t wanted =
            std::min({kLoadsAtOnce / loads, kMostSteps / (*inner * places), trips});
        rounds = unroll_count(wanted, trips);
    }
    const auto at_lane = [&](llvm::Value* round) {
        at(builder_.CreateAdd(builder_.CreateMul(round, number(kLanes)), terms.lane));
    };
    loop(
        from, to, step, [&](llvm::Value* value) { lane_terms ? at_lane(value) : at(value); },
        rounds > 1 ? static_cast<unsigned>(rounds) : 0);
}

// Of one term at all places: what several places read at the same address counts once.
std::int64_t GpuEmitter::loads_of_term(const Terms& terms) const {
    std::set<std::vector<std::uintptr_t>> loads;
    for (const std::uint32_t number : reads_of(kernel_, terms.reduction.step)) {
        const Read& read = kernel_.reads[number];
        for (const Values& place : terms.places.values) {
            std::vector<std::uintptr_t> load{number};
            for (std::size_t k = 0; k < place.size(); ++k) {
                const AxisId axis = terms.places.axes[k];
                const bool depends = std::ranges::any_of(
                    read.index, [&](const Index& index) { return index.depends_on(axis); });
                if (depends) load.push_back(reinterpret_cast<std::uintptr_t>(place[k]));
            }
            loads.insert(std::move(load));
        }
    }
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(loads.size()));
}

std::vector<llvm::AllocaInst*> GpuEmitter::variables(const Values& start, const char* name) {
    std::vector<llvm::AllocaInst*> places;
    for (llvm::Value* value : start) {
        places.push_back(variable(value->getType(), name));
        builder_.CreateStore(value, places.back());
    }
    return places;
}

GpuEmitter::Values GpuEmitter::values_of(const std::vector<llvm::AllocaInst*>& places) {
    Values values;
    for (llvm::AllocaInst* place : places) values.push_back(load_variable(place));
    return values;
}

GpuEmitter::Values GpuEmitter::reduce_lane(const Reduction& reduction, llvm::Value* lane) {
    return reduction.order.leaf > 0 ? reduce_leaves(reduction, lane)
                                    : reduce_leaf(reduction, lane, nullptr);
}

GpuEmitter::Values GpuEmitter::reduce_leaf(const Reduction& reduction, llvm::Value* lane,
                                           llvm::Value* leaf) {
    const Sums sums{variables(identity(reduction), "sum")};
    add_terms({reduction, Places{}, sums, lane, leaf}, 0);
    return values_of(sums[0]);
}

std::vector<GpuEmitter::Values> GpuEmitter::reduce_at(const Reduction& reduction,
                                                      const Places& places) {
    std::vector<Values> results;
    if (reduction.order.kind != OrderKind::sequential) {
        for (std::size_t place = 0; place < places.values.size(); ++place) {
            go_to(places, place);
            results.push_back(reduce(reduction));
        }
        return results;
    }
    Sums sums;
    for (std::size_t place = 0; place < places.values.size(); ++place)
        sums.push_back(variables(identity(reduction), "sum"));
    add_terms({reduction, places, sums, nullptr, nullptr}, 0);
    for (const auto& each : sums) results.push_back(values_of(each));
    return results;
}

GpuEmitter::Values GpuEmitter::reduce_leaves(const Reduction& reduction, llvm::Value* lane) {
    const std::vector<llvm::AllocaInst*> totals = variables(identity(reduction), "total");
    loop(number(0), leaf_count(reduction), number(1), [&](llvm::Value* leaf) {
        const Values part = reduce_leaf(reduction, lane, leaf);
        const Values merged = merge(reduction, values_of(totals), part);
        llvm::Value* first = builder_.CreateICmpEQ(leaf, number(0));
        for (std::size_t k = 0; k < totals.size(); ++k)
            builder_.CreateStore(builder_.CreateSelect(first, part[k], merged[k]), totals[k]);
    });
    return values_of(totals);
}

GpuEmitter::Values GpuEmitter::reduce(const Reduction& reduction) {
    const Order& order = reduction.order;
    if (order.kind != OrderKind::lanes) return reduce_lane(reduction, nullptr);
    // Sixteen sums, one after the other.
    const Values start = identity(reduction);
    std::vector<llvm::AllocaInst*> arrays;
    for (llvm::Value* value : start) arrays.push_back(variable(value->getType(), "lanes", kLanes));
    const auto element = [&](std::size_t k, llvm::Value* lane) {
        return builder_.CreateInBoundsGEP(arrays[k]->getAllocatedType(), arrays[k],
                                          {number(0), lane});
    };
    loop(number(0), number(kLanes), number(1), [&](llvm::Value* lane) {
        const Values sums = reduce_lane(reduction, lane);
        for (std::size_t k = 0; k < sums.size(); ++k)
            builder_.CreateStore(sums[k], element(k, lane));
    });
    std::vector<Values> lanes;
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
        Values values;
        for (std::size_t k = 0; k < start.size(); ++k)
            values.push_back(builder_.CreateLoad(start[k]->getType(), element(k, number(lane))));
        lanes.push_back(std::move(values));
    }
    for (std::size_t half = kLanes / 2; half > 0; half /= 2)
        for (std::size_t lane = 0; lane < half; ++lane)
            lanes[lane] = merge(reduction, lanes[lane], lanes[lane + half]);
    return lanes[0];
}

}  // namespace netc
