// Loops: which pieces an axis is walked in, and the blocks that a loop or a condition makes.
#include <algorithm>

#include "backends/cpu/kernel_emitter.h"

namespace netc {

// Whether an access along the axis may reach what is not there in a vector that is not full.
bool KernelEmitter::needs_masks(AxisId axis) const {
    for (const Read& read : kernel_.reads) {
        if (read.indirect >= 0) return true;
        if (read.source.kind == Buffer::Kind::local) continue;
        const bool depends =
            std::any_of(read.index.begin(), read.index.end(),
                        [&](const Index& index) { return index.depends_on(axis); });
        if (depends && !fills_lanes(kernel_.params[read.source.index], read.index)) return true;
    }
    for (const Stage& stage : kernel_.stages) {
        for (const Store& store : stage.stores) {
            if (store.indirect >= 0) return true;
            if (store.target.kind == Buffer::Kind::local) continue;
            if (!fills_lanes(kernel_.params[store.target.index], store.index)) return true;
        }
    }
    return false;
}

std::vector<KernelEmitter::Segment> KernelEmitter::segments_of(AxisId axis, std::int64_t tile,
                                                               bool lanes) {
    const bool vector = vector_axis_ == axis || lanes;
    const std::int64_t unit = vector ? kLanes : 1;
    const bool rows = std::ranges::any_of(
        schedule_.stages, [&](const StageSchedule& how) { return how.matrix_rows == axis; });
    if (rows && (block_start_ || (!static_extent(axis) && rest_at_once(kernel_, schedule_))))
        return segments_of_part(axis, tile, true);
    if (block_start_ && schedule_.block->axis == axis) return segments_of_part(axis, tile, false);
    std::vector<Segment> segments;
    const auto push = [&](std::int64_t start, std::int64_t count, std::int64_t size, bool edge) {
        if (count <= 0) return;
        Segment segment;
        segment.start = arithmetic_.constant(start);
        segment.count = count;
        segment.tile = size;
        segment.edge = edge;
        segments.push_back(segment);
    };
    if (const auto extent = static_extent(axis)) {
        const std::int64_t units = (*extent + unit - 1) / unit;
        const bool partial = *extent % unit != 0;
        const std::int64_t tiles = (units + tile - 1) / tile;
        if (tiles == 0) return segments;
        const std::int64_t large = (units + tiles - 1) / tiles;
        const std::int64_t of_large = units - tiles * (large - 1);
        const std::int64_t of_small = tiles - of_large;
        const std::int64_t small_start = of_large * large * unit;
        if (partial && of_small > 0) {
            push(0, of_large, large, false);
            push(small_start, of_small - 1, large - 1, false);
            push(small_start + (of_small - 1) * (large - 1) * unit, 1, large - 1, true);
        } else if (partial) {
            push(0, of_large - 1, large, false);
            push((of_large - 1) * large * unit, 1, large, true);
        } else {
            push(0, of_large, large, false);
            push(small_start, of_small, large - 1, false);
        }
        if (partial) {
            llvm::SmallVector<llvm::Constant*, 16> lanes;
            for (std::int64_t i = 0; i < kLanes; ++i)
                lanes.push_back(builder_.getInt1(i < *extent % unit));
            segments.back().edge_mask = llvm::ConstantVector::get(lanes);
        }
        return segments;
    }
    // A dynamic extent: full tiles, then one unit at a time, masked where that matters.
    const Linear extent_linear = [&] {
        Linear value;
        value.terms.push_back({batch_value_, extent_of(axis).per_batch});
        value.constant = extent_of(axis).constant;
        return value;
    }();
    const bool masked = lanes || (vector && needs_masks(axis));
    if (lanes && machine_.avx512 && lane_copies_ == 1) {
        // Masked accumulation costs nothing there: one loop for full and partial vectors.
        Segment all;
        all.dynamic_count = arithmetic_.scalar(arithmetic_.floor_div(
            arithmetic_.add(extent_linear, arithmetic_.constant(kLanes - 1)), kLanes));
        all.edge = true;
        segments.push_back(all);
        return segments;
    }
    const Linear units =
        vector && !masked
            ? arithmetic_.floor_div(
                  arithmetic_.add(extent_linear, arithmetic_.constant(kLanes - 1)), kLanes)
            : arithmetic_.floor_div(extent_linear, unit);
    const Linear tiles = arithmetic_.floor_div(units, tile);
    Segment full;
    full.dynamic_count = arithmetic_.scalar(tiles);
    full.tile = tile;
    segments.push_back(full);
    if (tile == 1 && !masked) return segments;
    Segment rest;
    rest.tile = 1;
    rest.start = arithmetic_.scale(tiles, tile * unit);
    const Linear left = arithmetic_.add(units, arithmetic_.scale(tiles, -tile));
    if (!masked) {
        rest.dynamic_count = arithmetic_.scalar(left);
    } else {
        // One more where the last vector is not full.
        const Linear remaining = arithmetic_.add(extent_linear, arithmetic_.scale(rest.start, -1));
        rest.dynamic_count = arithmetic_.scalar(arithmetic_.floor_div(
            arithmetic_.add(remaining, arithmetic_.constant(kLanes - 1)), kLanes));
        rest.edge = true;
    }
    segments.push_back(rest);
    return segments;
}

// Of the block if there are blocks, else of all: whole tiles, then what is left of the axis. Of rows of matrices that is a
// tile of which some rows may not be there; else it is known, and only the last block has it.
std::vector<KernelEmitter::Segment> KernelEmitter::segments_of_part(AxisId axis, std::int64_t tile,
                                                                    bool rows) {
    const Linear start = block_start_.value_or(arithmetic_.constant(0));
    llvm::Value* extent = extent_value(extent_of(axis));
    llvm::Value* left = builder_.CreateSub(extent, arithmetic_.scalar(start));
    if (block_start_) {
        llvm::Value* most =
            builder_.getInt64(static_cast<std::uint64_t>(tile * schedule_.block->tile));
        left = builder_.CreateSelect(builder_.CreateICmpSLT(left, most), left, most);
    }
    llvm::Value* size = builder_.getInt64(static_cast<std::uint64_t>(tile));
    Segment full;
    full.start = start;
    full.tile = tile;
    full.dynamic_count = builder_.CreateUDiv(left, size);
    Segment rest = full;
    rest.tile = rows ? tile : *static_extent(axis) % tile;
    if (rest.tile == 0) return {full};
    rest.start = arithmetic_.add(
        start,
        arithmetic_.scale(arithmetic_.make_value(full.dynamic_count, {0, kUnbounded}), tile));
    rest.dynamic_count = builder_.CreateZExt(
        builder_.CreateICmpNE(builder_.CreateURem(left, size), builder_.getInt64(0)),
        builder_.getInt64Ty());
    rest.open = rows;
    return {full, rest};
}

// Runs the body for all tiles of the axis, with the axis bound. `chunked`: only iterations from begin to
// end, counted over all segments.
void KernelEmitter::run_segments(AxisId axis, std::vector<Segment> segments, bool chunked,
                                 Body body) {
    const bool vector = vector_axis_ == axis;
    const std::int64_t unit = vector ? kLanes : 1;
    llvm::Value* first = builder_.getInt64(0);
    for (const Segment& segment : segments) {
        const auto run = [&](const Linear& counter) {
            base_[axis] =
                arithmetic_.add(segment.start, arithmetic_.scale(counter, segment.tile * unit));
            bound_[axis] = true;
            count_[axis] = segment.tile;
            coordinate_[axis] = 0;
            const bool edge_before = edge_;
            llvm::Value* mask_before = edge_mask_;
            const auto open_before = open_rows_;
            if (segment.open) open_rows_ = axis;
            if (vector) {
                edge_ = segment.edge;
                edge_coordinate_ = segment.tile - 1;
                edge_mask_ = segment.edge_mask;
                if (edge_ && edge_mask_ == nullptr) {
                    const Linear left = arithmetic_.add(
                        arithmetic_.make_value(extent_value(extent_of(axis)), {1, kUnbounded}),
                        arithmetic_.scale(base_[axis], -1));
                    Linear lanes;
                    lanes.lane = 1;
                    edge_mask_ = builder_.CreateICmpULT(
                        arithmetic_.vector(lanes),
                        builder_.CreateVectorSplat(kLanes, arithmetic_.scalar(left)));
                }
            }
            enter();
            body();
            leave();
            edge_ = edge_before;
            edge_mask_ = mask_before;
            open_rows_ = open_before;
            bound_[axis] = false;
            count_[axis] = 1;
            base_[axis] = Linear{};
        };
        llvm::Value* count = segment.dynamic_count != nullptr
                                 ? segment.dynamic_count
                                 : builder_.getInt64(static_cast<std::uint64_t>(segment.count));
        if (chunked) {
            llvm::Value* zero = builder_.getInt64(0);
            llvm::Value* from = builder_.CreateSub(begin_, first);
            from = builder_.CreateSelect(builder_.CreateICmpSLT(from, zero), zero, from);
            llvm::Value* to = builder_.CreateSub(end_, first);
            to = builder_.CreateSelect(builder_.CreateICmpSLT(to, count), to, count);
            const std::int64_t last =
                segment.dynamic_count != nullptr ? kUnbounded : segment.count - 1;
            if (last == 0) {
                if_then(builder_.CreateICmpSLT(from, to), [&] { run(arithmetic_.constant(0)); });
            } else {
                loop(from, to, {0, last}, false, run);
            }
            first = builder_.CreateAdd(first, count);
        } else if (segment.dynamic_count == nullptr) {
            if (segment.count == 1) {
                run(arithmetic_.constant(0));
            } else {
                loop(builder_.getInt64(0), count, {0, segment.count - 1}, true, run);
            }
        } else {
            loop(builder_.getInt64(0), count, {0, kUnbounded}, false, run);
        }
        if (error_) return;
    }
}

// for counter in from .. to: body, with everything in carried_ as loop values.
void KernelEmitter::loop(llvm::Value* from, llvm::Value* to, Range range, bool nonempty,
                         llvm::function_ref<void(const Linear&)> body) {
    finish_dots();
    llvm::BasicBlock* before = builder_.GetInsertBlock();
    auto* inside = llvm::BasicBlock::Create(context_, "loop", function_);
    auto* after = llvm::BasicBlock::Create(context_, "after", function_);
    llvm::Instruction* end_of_before =
        nonempty ? builder_.CreateBr(inside)
                 : builder_.CreateCondBr(builder_.CreateICmpSLT(from, to), inside, after);
    builder_.SetInsertPoint(inside);
    llvm::PHINode* counter = builder_.CreatePHI(builder_.getInt64Ty(), 2);
    counter->addIncoming(from, before);
    std::vector<llvm::Value*> initial;
    std::vector<llvm::PHINode*> phis;
    for (std::vector<llvm::Value*>* list : carried_) {
        for (llvm::Value*& value : *list) {
            llvm::PHINode* phi = builder_.CreatePHI(value->getType(), 2);
            phi->addIncoming(value, before);
            initial.push_back(value);
            phis.push_back(phi);
            value = phi;
        }
    }
    enter(end_of_before);
    body(arithmetic_.make_value(counter, range));
    finish_dots();
    leave();
    llvm::BasicBlock* latch = builder_.GetInsertBlock();
    llvm::Value* next = builder_.CreateAdd(counter, builder_.getInt64(1), "", true, true);
    counter->addIncoming(next, latch);
    builder_.CreateCondBr(builder_.CreateICmpSLT(next, to), inside, after);
    builder_.SetInsertPoint(after);
    std::size_t i = 0;
    for (std::vector<llvm::Value*>* list : carried_) {
        for (llvm::Value*& value : *list) {
            phis[i]->addIncoming(value, latch);
            if (!nonempty) {
                llvm::PHINode* merged = builder_.CreatePHI(value->getType(), 2);
                merged->addIncoming(initial[i], before);
                merged->addIncoming(value, latch);
                value = merged;
            }
            ++i;
        }
    }
}

void KernelEmitter::if_then(llvm::Value* condition, Body body) {
    finish_dots();
    llvm::BasicBlock* before = builder_.GetInsertBlock();
    auto* inside = llvm::BasicBlock::Create(context_, "then", function_);
    auto* after = llvm::BasicBlock::Create(context_, "after", function_);
    builder_.CreateCondBr(condition, inside, after);
    builder_.SetInsertPoint(inside);
    std::vector<llvm::Value*> initial;
    for (std::vector<llvm::Value*>* list : carried_)
        initial.insert(initial.end(), list->begin(), list->end());
    enter();
    body();
    finish_dots();
    leave();
    llvm::BasicBlock* end = builder_.GetInsertBlock();
    builder_.CreateBr(after);
    builder_.SetInsertPoint(after);
    std::size_t i = 0;
    for (std::vector<llvm::Value*>* list : carried_) {
        for (llvm::Value*& value : *list) {
            if (value != initial[i]) {
                llvm::PHINode* merged = builder_.CreatePHI(value->getType(), 2);
                merged->addIncoming(initial[i], before);
                merged->addIncoming(value, end);
                value = merged;
            }
            ++i;
        }
    }
}

}  // namespace netc
