// Reductions: the loops over reduced axes in the kernel's order, with all accumulators of the tile as loop
// values. What a step does to these is in emit_accumulators.cpp.
#include <algorithm>

#include "backends/cpu/kernel_emitter.h"
#include "backends/scalar_ops.h"

namespace netc {

void KernelEmitter::emit_reduction() {
    if (how_->matrix_rows) return reduce_by_matrices();
    const Reduction& reduction = *stage_->reduction;
    const bool lanes = reduction.order.kind == OrderKind::lanes;
    const bool lane_vector =
        lanes && how_->vector_axis == reduction.order.lane_axis && !schedule_.vector_axis;
    lane_copies_ = lanes && !lane_vector && !how_->lane_by_lane ? kLanes : 1;
    if (lane_vector) vector_axis_ = reduction.order.lane_axis;
    vector_states_ = vector_axis_.has_value();
    guard_resolved_.assign(reduction.guards.size(), false);

    const std::size_t count = point_count() * static_cast<std::size_t>(lane_copies_);
    states_.clear();
    for (std::size_t i = 0; i < count; ++i) {
        for (const StateVariable& state : reduction.states) {
            llvm::Value* identity =
                is_float(state.dtype) ? number_constant(context_, state.dtype, state.identity)
                                      : integer_constant(context_, state.dtype,
                                                         static_cast<std::int64_t>(state.identity));
            states_.push_back(vector_states_ ? builder_.CreateVectorSplat(kLanes, identity)
                                             : identity);
        }
    }
    resume_states();
    begin_dots();
    const auto carried_before = carried_;
    carried_ = {&states_};
    if (how_->lane_by_lane) {
        reduce_lane_by_lane();
    } else if (reduction.order.leaf > 0) {
        reduce_blocked();
    } else {
        reduce(0);
    }
    finish_dots();
    factors_.reset();
    carried_ = carried_before;
    if (error_) return;
    if (lane_vector) {
        vector_axis_.reset();
        merge_lanes();
    } else if (lane_copies_ > 1) {
        merge_lanes();
    }
    lane_copies_ = 1;
}

// The steps of the first axis from `start` on that one leaf has: elements, or by lanes sixteen of them, of which
// the last may not be full.
std::vector<KernelEmitter::Segment> KernelEmitter::segments_of_leaf(const Linear& start) {
    const Order& order = stage_->reduction->order;
    const AxisId axis = stage_->reduction->axes[0];
    const bool lanes = order.kind == OrderKind::lanes;
    const Linear extent = arithmetic_.make_value(extent_value(extent_of(axis)), {1, kUnbounded});
    const auto from_start = [&](const Linear& end) {
        return arithmetic_.add(end, arithmetic_.scale(start, -1));
    };
    // No more than `most`; not negative where `end` is at most one below `start`.
    const auto at_most = [&](const Linear& count, llvm::Value* most) {
        llvm::Value* value = arithmetic_.scalar(count);
        return builder_.CreateSelect(builder_.CreateICmpSLT(value, most), value, most);
    };
    llvm::Value* leaf = builder_.getInt64(static_cast<std::uint64_t>(order.leaf));
    Segment segment;
    segment.tile = 1;
    if (!lanes) {
        segment.start = start;
        const Linear left = from_start(extent);
        if (left.is_constant()) {
            segment.count = std::min(order.leaf, left.constant);
        } else {
            segment.dynamic_count = at_most(left, leaf);
        }
        return {segment};
    }
    const Linear units =
        arithmetic_.floor_div(arithmetic_.add(extent, arithmetic_.constant(kLanes - 1)), kLanes);
    segment.start = arithmetic_.scale(start, kLanes);
    segment.dynamic_count = at_most(from_start(units), leaf);
    if (machine_.avx512 && lane_copies_ == 1) {  // masks cost nothing
        segment.edge = true;
        return {segment};
    }
    Segment rest = segment;
    segment.dynamic_count = at_most(from_start(arithmetic_.floor_div(extent, kLanes)), leaf);
    const Linear whole = arithmetic_.make_value(segment.dynamic_count, {0, order.leaf});
    rest.start = arithmetic_.scale(arithmetic_.add(start, whole), kLanes);
    rest.dynamic_count = builder_.CreateSub(rest.dynamic_count, segment.dynamic_count);
    rest.edge = true;
    return {segment, rest};
}

// Leaves of the first axis, each from the identity, merged left to right; of each lane, where the order is by lanes.
void KernelEmitter::reduce_blocked() {
    const Reduction& reduction = *stage_->reduction;
    const AxisId axis = reduction.axes[0];
    const bool lanes = reduction.order.kind == OrderKind::lanes;
    const std::int64_t leaf = reduction.order.leaf;
    const std::int64_t unit = lanes ? kLanes : 1;
    const std::vector<llvm::Value*> identity = states_;
    std::vector<llvm::Value*> totals = states_;
    const auto extent = static_extent(axis);
    const auto one_leaf = [&](const Linear& start, bool first) {
        states_ = identity;
        if (lane_of_sum_) {
            reduce_lane(0, start, leaf);
        } else {
            reduce_segments(0, segments_of_leaf(start));
        }
        finish_dots();
        if (error_) return;
        if (first) {
            totals = states_;
        } else {
            merge_into(totals, states_);
        }
    };
    // The first leaf is the total so far: merging it with the identity could change a bit.
    one_leaf(arithmetic_.constant(0), true);
    if (error_) return;
    llvm::Value* leaves = nullptr;
    bool known = false;
    if (extent) {
        const std::int64_t count = (*extent + leaf * unit - 1) / (leaf * unit);
        if (count <= 1) {
            states_ = totals;
            return;
        }
        leaves = builder_.getInt64(static_cast<std::uint64_t>(count));
        known = true;
    } else {
        const Linear value = arithmetic_.make_value(extent_value(extent_of(axis)), {1, kUnbounded});
        leaves = arithmetic_.scalar(arithmetic_.floor_div(
            arithmetic_.add(value, arithmetic_.constant(leaf * unit - 1)), leaf * unit));
    }
    carried_ = {&totals};
    loop(builder_.getInt64(1), leaves, {1, kUnbounded}, known, [&](const Linear& counter) {
        carried_ = {&states_, &totals};
        one_leaf(arithmetic_.scale(counter, leaf), false);
        carried_ = {&totals};
    });
    states_ = totals;
}

void KernelEmitter::reduce(std::size_t level) {
    const Reduction& reduction = *stage_->reduction;
    if (error_) return;
    if (matrix_ && level + matrix_->inner.size() + 1 == reduction.axes.size()) {
        matrix_steps();
        return;
    }
    if (level == reduction.axes.size()) {
        step();
        return;
    }
    const AxisId axis = reduction.axes[level];
    const bool lane_axis =
        reduction.order.kind == OrderKind::lanes && reduction.order.lane_axis == axis;
    if (lane_axis && lane_of_sum_) return reduce_lane(level, arithmetic_.constant(0), 0);
    if (lane_axis) {
        // By quotient; the lanes are the vector, or 16 copies of every accumulator.
        reduce_segments(level, segments_of(axis, 1, true));
        return;
    }
    std::vector<std::size_t> resolved;
    llvm::Value* low = nullptr;
    llvm::Value* high = nullptr;
    if (!fully_unrolled(axis) && clip(axis, resolved, low, high)) {
        for (std::size_t guard : resolved) guard_resolved_[guard] = true;
        const std::int64_t most = static_extent(axis).value_or(kUnbounded) - 1;
        loop(low, high, {0, most}, false, [&](const Linear& counter) {
            base_[axis] = counter;
            bound_[axis] = true;
            enter();
            reduce(level + 1);
            leave();
            bound_[axis] = false;
        });
        for (std::size_t guard : resolved) guard_resolved_[guard] = false;
        return;
    }
    if (slices_.contains(axis)) {
        reduce_segments(level, segments_of_slice(axis));
        return;
    }
    std::vector<Segment> segments;
    const std::int64_t tile = schedule_tile_[axis];
    if (const auto extent = static_extent(axis)) {
        Segment segment;
        segment.tile = std::min(tile, *extent);
        segment.count = segment.tile > 0 ? *extent / segment.tile : 0;
        if (segment.count > 0) segments.push_back(segment);
        const std::int64_t rest = segment.tile > 0 ? *extent % segment.tile : 0;
        if (rest > 0) {
            segment.start = arithmetic_.constant(*extent - rest);
            segment.tile = rest;
            segment.count = 1;
            segments.push_back(segment);
        }
    } else {
        segments = segments_of(axis, tile);
    }
    reduce_segments(level, split_by_guards(axis, std::move(segments)));
}

void KernelEmitter::reduce_segments(std::size_t level, std::vector<Segment> segments) {
    const AxisId axis = stage_->reduction->axes[level];
    const bool lane_axis = stage_->reduction->order.kind == OrderKind::lanes &&
                           stage_->reduction->order.lane_axis == axis;
    // The vector's tile counts vectors: coordinates within it are not steps.
    const bool vector = vector_axis_ == axis;
    for (Segment& segment : segments) {
        const std::int64_t steps = lane_axis || vector ? 1 : segment.tile;
        const bool edge_of_copies = segment.edge && lane_copies_ > 1;
        if (edge_of_copies) segment.edge = false;
        if (lane_axis && lane_copies_ > 1) {
            // run_segments advances by tile * unit: 16 copies are 16 elements.
            segment.tile = kLanes;
        }
        run_segments(axis, {segment}, false, [&] {
            for (std::int64_t i = 0; i < steps; ++i) {
                coordinate_[axis] = i;
                reduce(level + 1);
            }
            coordinate_[axis] = 0;
        });
        if (error_) return;
    }
}

// The new range of a reduced loop where guards depend on loops alone, and on nothing further in.
bool KernelEmitter::clip(AxisId axis, std::vector<std::size_t>& resolved, llvm::Value*& low,
                         llvm::Value*& high) {
    const Reduction& reduction = *stage_->reduction;
    for (std::size_t g = 0; g < reduction.guards.size(); ++g) {
        const Guard& guard = reduction.guards[g];
        if (guard_resolved_[g] || guard.divisor != 1) continue;
        const auto coefficient = guard.index.coefficient(axis);
        if (!coefficient || *coefficient == 0) continue;
        bool same_everywhere = true;
        bool constant = true;
        for (AxisId other = 0; other < kernel_.axes.size(); ++other) {
            if (other == axis || !guard.index.depends_on(other)) continue;
            same_everywhere =
                same_everywhere && bound_[other] && count_[other] == 1 && vector_axis_ != other;
            constant = constant && base_[other].is_constant();
        }
        if (!same_everywhere || (constant && guard.limit.is_static())) continue;
        if (low == nullptr) {
            const auto slice = slices_.find(axis);
            low = slice != slices_.end() ? slice->second.low : builder_.getInt64(0);
            high = slice != slices_.end() ? slice->second.high : extent_value(extent_of(axis));
        }
        // 0 <= c * axis + rest < limit
        bound_[axis] = true;
        base_[axis] = Linear{};
        const Linear rest = linear(guard.index);
        bound_[axis] = false;
        const Linear limit =
            guard.limit.is_static()
                ? arithmetic_.constant(guard.limit.constant)
                : arithmetic_.make_value(extent_value(guard.limit), {1, kUnbounded});
        const std::int64_t c = *coefficient;
        Linear first;
        Linear end;
        if (c > 0) {
            first = arithmetic_.floor_div(
                arithmetic_.add(arithmetic_.scale(rest, -1), arithmetic_.constant(c - 1)), c);
            end = arithmetic_.floor_div(
                arithmetic_.add(arithmetic_.add(limit, arithmetic_.scale(rest, -1)),
                                arithmetic_.constant(c - 1)),
                c);
        } else {
            const std::int64_t d = -c;
            // d * axis <= rest and d * axis > rest - limit
            first = arithmetic_.add(
                arithmetic_.floor_div(arithmetic_.add(rest, arithmetic_.scale(limit, -1)), d),
                arithmetic_.constant(1));
            end = arithmetic_.add(arithmetic_.floor_div(rest, d), arithmetic_.constant(1));
        }
        llvm::Value* from = arithmetic_.scalar(first);
        llvm::Value* to = arithmetic_.scalar(end);
        low = builder_.CreateSelect(builder_.CreateICmpSGT(from, low), from, low);
        high = builder_.CreateSelect(builder_.CreateICmpSLT(to, high), to, high);
        resolved.push_back(g);
    }
    return !resolved.empty();
}

}  // namespace netc
