// Sums by one thread, in the order that the kernel says (ir/kernel.h): the same terms in the same order as on any
// other target, so the same bits.
#include <algorithm>

#include "backends/gpu/gpu_emitter.h"
#include "backends/scalar_ops.h"

namespace netc {
namespace {

// The innermost loop of a long sum takes so many terms at once: their loads are under way together.
constexpr unsigned kTermsAtOnce = 8;

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

llvm::Value* GpuEmitter::leaf_count(const Reduction& reduction) {
    const std::int64_t leaf = leaf_elements(reduction);
    llvm::Value* extent = extent_value(extent_of(reduction.axes[0]));
    return divide(builder_.CreateAdd(extent, number(leaf - 1)), leaf, true);
}

// Terms of the loops from `depth` on, added to the sums. With `lane` only those of one lane; with `leaf` only
// those of one leaf.
void GpuEmitter::add_terms(const Reduction& reduction, std::size_t depth,
                           const std::vector<llvm::AllocaInst*>& sums, llvm::Value* lane,
                           llvm::Value* leaf) {
    llvm::Value* condition = nullptr;
    for (const Guard& guard : reduction.guards)
        if (depth_of(guard.index, reduction.axes) == depth)
            condition = both(condition, holds(guard));
    if (depth == reduction.axes.size()) {
        // A term that does not exist is computed from what is there and not taken: loads of several terms can be
        // under way together, which they are not behind branches.
        const Values before = values_of(sums);
        set_state(before);
        enter();
        mask_ = condition;
        const Values next = evaluate_all(reduction.step);
        mask_ = nullptr;
        leave();
        for (std::size_t k = 0; k < sums.size(); ++k) {
            llvm::Value* value = condition == nullptr
                                     ? next[k]
                                     : builder_.CreateSelect(condition, next[k], before[k]);
            builder_.CreateStore(value, sums[k]);
        }
        return;
    }
    if_then(condition, [&] {
        const AxisId axis = reduction.axes[depth];
        llvm::Value* from = number(0);
        llvm::Value* to = extent_value(extent_of(axis));
        llvm::Value* step = number(1);
        if (lane != nullptr && axis == reduction.order.lane_axis) {
            from = lane;
            step = number(kLanes);
        }
        if (leaf != nullptr && depth == 0) {
            llvm::Value* begin = builder_.CreateMul(leaf, number(leaf_elements(reduction)));
            llvm::Value* end = builder_.CreateAdd(begin, number(leaf_elements(reduction)));
            from = builder_.CreateAdd(begin, from);
            to = builder_.CreateSelect(builder_.CreateICmpSLT(end, to), end, to);
        }
        const std::optional<std::int64_t> extent = static_extent(axis);
        const bool innermost = depth + 1 == reduction.axes.size();
        // Short loops are unrolled whole by LLVM.
        const unsigned unroll = innermost && (!extent || *extent > 16) ? kTermsAtOnce : 0;
        loop(
            from, to, step,
            [&](llvm::Value* at) {
                coordinate_[axis] = at;
                add_terms(reduction, depth + 1, sums, lane, leaf);
                coordinate_[axis] = nullptr;
            },
            unroll);
    });
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
    const std::vector<llvm::AllocaInst*> sums = variables(identity(reduction), "sum");
    add_terms(reduction, 0, sums, lane, leaf);
    return values_of(sums);
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
