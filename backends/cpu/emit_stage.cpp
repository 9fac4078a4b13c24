// A stage within a tile: loops over its own axes, its reduction, what becomes of its sums.
#include <algorithm>

#include "backends/cpu/kernel_emitter.h"
#include "backends/cpu/schedule_queries.h"
#include "backends/scalar_ops.h"

namespace netc {
namespace {

// Elements of a sample: what is smaller is in a cache.
constexpr std::int64_t kWorthPrefetching = 16 * 1024;

}  // namespace

void KernelEmitter::emit_stage(const Stage& stage, const StageSchedule& how) {
    stage_ = &stage;
    how_ = &how;
    vector_axis_ = schedule_.vector_axis;
    const bool lane_vector = stage.reduction && stage.reduction->order.kind == OrderKind::lanes &&
                             how.vector_axis == stage.reduction->order.lane_axis;
    if (!vector_axis_ && how.vector_axis && !lane_vector) vector_axis_ = how.vector_axis;
    point_axes_.clear();
    for (const AxisTile& tile : schedule_.outer) point_axes_.push_back(tile.axis);
    for (const AxisTile& tile : how.own) point_axes_.push_back(tile.axis);
    emit_own(0);
    vector_axis_ = schedule_.vector_axis;
    stage_ = nullptr;
    how_ = nullptr;
}

void KernelEmitter::emit_own(std::size_t level) {
    if (level == how_->own.size()) {
        emit_points();
        return;
    }
    const AxisTile& tile = how_->own[level];
    std::vector<Segment> segments = split_by_guards(tile.axis, segments_of(tile.axis, tile.tile));
    run_segments(tile.axis, std::move(segments), false, [&] { emit_own(level + 1); });
}

std::size_t KernelEmitter::point_count() const {
    std::size_t count = 1;
    for (AxisId axis : point_axes_) count *= static_cast<std::size_t>(count_[axis]);
    return count;
}

// Sets the coordinates of each point in turn; their numbers count the last axis fastest. With `vectors_fastest`
// what is loaded for a point of the other axes is used by all its vectors and then done with.
void KernelEmitter::for_each_point(llvm::function_ref<void(std::size_t)> body,
                                   bool vectors_fastest) {
    std::vector<AxisId> order = point_axes_;
    if (vectors_fastest)
        std::ranges::stable_partition(order, [&](AxisId axis) { return vector_axis_ != axis; });
    std::vector<std::size_t> stride(kernel_.axes.size());
    std::size_t count = 1;
    for (std::size_t i = point_axes_.size(); i-- > 0;) {
        stride[point_axes_[i]] = count;
        count *= static_cast<std::size_t>(count_[point_axes_[i]]);
    }
    for (std::size_t turn = 0; turn < count; ++turn) {
        std::size_t rest = turn;
        std::size_t point = 0;
        for (std::size_t i = order.size(); i-- > 0;) {
            const auto size = static_cast<std::size_t>(count_[order[i]]);
            coordinate_[order[i]] = static_cast<std::int64_t>(rest % size);
            point += rest % size * stride[order[i]];
            rest /= size;
        }
        body(point);
        if (error_) return;
    }
    for (AxisId axis : point_axes_) coordinate_[axis] = 0;
}

// Asks for what the stores read besides the sum, so that it arrives while the sum is made.
void KernelEmitter::prefetch_for_stores() {
    if (!vector_axis_ || stage_->reduction->order.kind != OrderKind::sequential) return;
    std::vector<ScalarId> stored;
    for (const Store& store : stage_->stores) stored.push_back(store.value);
    for (std::uint32_t number : reads_of(kernel_, stored)) prefetch(kernel_.reads[number]);
}

void KernelEmitter::prefetch(const Read& read) {
    if (read.source.kind == Buffer::Kind::local || read.indirect >= 0 ||
        read.outside != Outside::never) {
        return;
    }
    const Param& param = kernel_.params[read.source.index];
    if (element_count(param, batch_.value_or(1)) < kWorthPrefetching) return;
    for_each_point([&](std::size_t) { prefetch_vector(read, 0, 3); });
}

// The line of the vector that is read at this point, or so many bytes behind it; into the caches of `locality`, 3 for all.
void KernelEmitter::prefetch_vector(const Read& read, std::int64_t behind, unsigned locality) {
    const Param& param = kernel_.params[read.source.index];
    std::vector<Linear> index;
    for (const Index& one : read.index) index.push_back(linear(one));
    Linear bytes = arithmetic_.scale(offset_in(param, index), size_of(param.dtype));
    if (bytes.vector != nullptr || bytes.lane != size_of(param.dtype)) return;
    bytes.lane = 0;
    bytes.constant += behind;
    builder_.CreateIntrinsic(llvm::Intrinsic::prefetch, {builder_.getPtrTy()},
                             {arithmetic_.address(params_[read.source.index], bytes),
                              builder_.getInt32(0), builder_.getInt32(locality),
                              builder_.getInt32(1)});
}

// A line for each vector of the tile, of the row that this step reads, a tile further on. Behind the last tile that is what
// lies in memory next; asking never faults. It goes to the second-level cache, which has room until then.
void KernelEmitter::ask_ahead() {
    for (const std::uint32_t number : how_->ahead) {
        const Read& read = kernel_.reads[number];
        const std::int64_t vectors = count_[*vector_axis_];
        const std::int64_t tile =
            vectors * kLanes * size_of(kernel_.params[read.source.index].dtype);
        for (std::int64_t vector = 0; vector < vectors; ++vector) {
            coordinate_[*vector_axis_] = vector;
            prefetch_vector(read, tile, 2);
        }
        coordinate_[*vector_axis_] = 0;
    }
}

// Whether what is done to finished sums is long, for several of them and with few registers: without a loop between the two,
// LLVM finishes one sum with all that follows while the operands of the others wait in memory.
bool KernelEmitter::crowds_registers() const {
    constexpr double kLong = 16;  // operations
    if (machine_.vector_registers / machine_.registers_per_vector() > 8 || states_.size() < 2)
        return false;
    std::vector<bool> seen(kernel_.scalars.size());
    double operations = 0;
    for (const Store& store : stage_->stores)
        operations += operations_of(kernel_, store.value, seen);
    return operations >= kLong;
}

// Through memory, by accesses that keep their order: all sums are finished before the first is taken up again.
void KernelEmitter::park_sums() {
    const auto bytes = static_cast<std::int64_t>(kParkedBytes * states_.size());
    llvm::Value*& place = parking_[bytes];
    if (place == nullptr) place = allocate(bytes, "sums");
    for (std::size_t i = 0; i < states_.size(); ++i)
        builder_.CreateStore(states_[i], parked_place(place, i), true);
    parked_ = place;
}

llvm::Value* KernelEmitter::parked_place(llvm::Value* place, std::size_t number) {
    return builder_.CreateConstGEP1_64(builder_.getInt8Ty(), place, number * kParkedBytes);
}

llvm::Value* KernelEmitter::parked_sum(std::size_t number) {
    return builder_.CreateLoad(states_[number]->getType(), parked_place(parked_, number), true);
}

void KernelEmitter::emit_points() {
    states_.clear();
    parked_ = nullptr;
    matrix_sums_ = nullptr;
    if (stage_->reduction) {
        enter();
        if (!how_->matrix_rows) prefetch_for_stores();
        const llvm::BasicBlock* before = builder_.GetInsertBlock();
        emit_reduction();
        leave();
        if (error_) return;
        if (builder_.GetInsertBlock() == before && crowds_registers()) park_sums();
    }
    enter();
    emit_stores();
    leave();
}

}  // namespace netc
