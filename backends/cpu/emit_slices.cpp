// Sums in slices: the loops around tiles, and sums that go on where the last slice left them.
#include "backends/cpu/kernel_emitter.h"
#include "backends/scalar_ops.h"

namespace netc {

void KernelEmitter::emit_slices(std::size_t level) {
    if (level == schedule_.slices.size()) {
        emit_outer(schedule_.slice_level);
        return;
    }
    const AxisTile& slice = schedule_.slices[level];
    llvm::Value* extent = extent_value(extent_of(slice.axis));
    const Linear end = arithmetic_.make_value(extent, {1, kUnbounded});
    llvm::Value* count = arithmetic_.scalar(arithmetic_.floor_div(
        arithmetic_.add(end, arithmetic_.constant(slice.tile - 1)), slice.tile));
    loop(builder_.getInt64(0), count, {0, kUnbounded}, true, [&](const Linear& counter) {
        llvm::Value* number = arithmetic_.scalar(counter);
        const Linear begin = arithmetic_.scale(counter, slice.tile);
        llvm::Value* low = arithmetic_.scalar(begin);
        llvm::Value* high =
            builder_.CreateAdd(low, builder_.getInt64(static_cast<std::uint64_t>(slice.tile)));
        high = builder_.CreateSelect(builder_.CreateICmpSLT(high, extent), high, extent);
        slices_[slice.axis] = {begin, low, high};
        llvm::Value* before = resumed_;
        llvm::Value* later = builder_.CreateICmpNE(number, builder_.getInt64(0));
        resumed_ = before == nullptr ? later : builder_.CreateOr(before, later);
        emit_slices(level + 1);
        resumed_ = before;
        slices_.erase(slice.axis);
    });
}

// The sums of the tile: those of the output, in the first slice the identity.
void KernelEmitter::resume_states() {
    if (resumed_ == nullptr) return;
    const Store& store = stage_->stores[0];
    const Param& param = kernel_.params[store.target.index];
    for_each_point([&](std::size_t point) {
        const Element old = load(params_[store.target.index], stored_bytes(store), param.dtype,
                                 fills_lanes(param, store.index));
        llvm::Value* value = vector_states_ ? as_vector(old) : old.value;
        states_[point] = builder_.CreateSelect(resumed_, value, states_[point]);
    });
}

// The values of the slice, as many at a time as are unrolled, then one by one.
std::vector<KernelEmitter::Segment> KernelEmitter::segments_of_slice(AxisId axis) {
    const SliceRange& range = slices_.at(axis);
    const std::int64_t tile = schedule_tile_[axis];
    llvm::Value* size = builder_.CreateSub(range.high, range.low);
    Segment whole;
    whole.start = range.begin;
    whole.tile = tile;
    whole.dynamic_count = size;
    if (tile == 1) return {whole};
    // Starts stay multiples of the tile that can be seen as such: parts of words need to know theirs.
    whole.dynamic_count =
        builder_.CreateUDiv(size, builder_.getInt64(static_cast<std::uint64_t>(tile)));
    const Linear done =
        arithmetic_.scale(arithmetic_.make_value(whole.dynamic_count, {0, kUnbounded}), tile);
    Segment rest;
    rest.start = arithmetic_.add(range.begin, done);
    rest.dynamic_count = builder_.CreateSub(size, arithmetic_.scalar(done));
    return {whole, rest};
}

}  // namespace netc
