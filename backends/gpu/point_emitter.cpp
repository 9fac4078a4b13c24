// See the header.
#include "backends/gpu/point_emitter.h"

#include <algorithm>

namespace netc {

// Coordinates of the outer axes from the numbers of the block and of the thread.
void PointEmitter::find_point() {
    llvm::Value* thread = ops_.thread(builder_);
    llvm::Value* block = ops_.block(builder_);
    member_ = number(0);
    point_ = thread;
    if (how_.team > 1) {
        member_ =
            how_.members_fastest ? modulo(thread, how_.team, true) : divide(thread, slots_, true);
        point_ =
            how_.members_fastest ? divide(thread, how_.team, true) : modulo(thread, slots_, true);
    }
    const std::int64_t places = how_.points_per_block() / how_.vector;
    const auto keep_below = [&](llvm::Value* value, llvm::Value* limit) {
        llvm::Value* exists = builder_.CreateICmpULT(value, limit);
        active_ = both(active_, exists);
        if (how_.team == 1) return value;  // it does nothing at all
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

}  // namespace netc
