// A stage within a tile: loops over its own axes, its reduction, its stores.
#include <algorithm>

#include "backends/cpu/kernel_emitter.h"
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
    for_each_point([&](std::size_t) {
        std::vector<Linear> index;
        for (const Index& one : read.index) index.push_back(linear(one));
        Linear bytes = arithmetic_.scale(offset_in(param, index), size_of(param.dtype));
        if (bytes.vector != nullptr || bytes.lane != size_of(param.dtype)) return;
        bytes.lane = 0;
        builder_.CreateIntrinsic(llvm::Intrinsic::prefetch, {builder_.getPtrTy()},
                                 {arithmetic_.address(params_[read.source.index], bytes),
                                  builder_.getInt32(0), builder_.getInt32(3),
                                  builder_.getInt32(1)});
    });
}

void KernelEmitter::emit_points() {
    states_.clear();
    matrix_sums_ = nullptr;
    if (stage_->reduction) {
        enter();
        if (!how_->matrix_rows) prefetch_for_stores();
        emit_reduction();
        leave();
        if (error_) return;
    }
    enter();
    emit_stores();
    leave();
}

// All values of the tile first, then all stores, so that what they share is computed once.
void KernelEmitter::emit_stores() {
    const std::size_t states = stage_->reduction ? stage_->reduction->states.size() : 0;
    const std::vector<llvm::Value*> finished = states_;
    const auto set_states = [&](std::size_t point) {
        state_here_.clear();
        for (std::size_t k = 0; k < states; ++k) {
            llvm::Value* value =
                matrix_sums_ != nullptr ? finished_sum(point) : finished[point * states + k];
            state_here_.push_back({value, value->getType()->isVectorTy()});
        }
    };
    // Sums that lie in memory are taken one after the other: there are more than registers.
    if (matrix_sums_ != nullptr) {
        for_each_point([&](std::size_t point) {
            const auto evaluate_and_store = [&] {
                set_states(point);
                std::vector<Element> values;
                for (const Store& store : stage_->stores)
                    values.push_back(condition_of(store).never ? Element{} : evaluate(store.value));
                for (std::size_t i = 0; i < values.size() && !error_; ++i)
                    store_to(stage_->stores[i], values[i]);
            };
            // Locals are kept of rows that are not there, too: nothing is read for them (rest_at_once).
            const bool keeps = std::ranges::all_of(stage_->stores, [](const Store& store) {
                return store.target.kind == Buffer::Kind::local;
            });
            const Condition there = row_is_there();
            if (!keeps && there.scalar != nullptr) {
                if_then(there.scalar, evaluate_and_store);
            } else {
                evaluate_and_store();
            }
        });
        state_here_.clear();
        return;
    }
    std::vector<std::vector<Element>> values(stage_->stores.size());
    for_each_point([&](std::size_t point) {
        set_states(point);
        for (std::size_t i = 0; i < stage_->stores.size(); ++i) {
            const Store& store = stage_->stores[i];
            if (store.indirect >= 0) continue;
            const bool made = !condition_of(store).never;
            values[i].push_back(made ? evaluate(store.value) : Element{});
        }
    });
    if (error_) return;
    for (std::size_t i = 0; i < stage_->stores.size(); ++i) {
        const Store& store = stage_->stores[i];
        joins_words_ = !store.clipped && store.indirect < 0;
        for_each_point([&](std::size_t point) {
            if (store.indirect >= 0) {
                set_states(point);
                emit_scatter(store);
            } else {
                store_to(store, values[i][point]);
            }
        });
        finish_word();
        joins_words_ = false;
        if (error_) return;
    }
    state_here_.clear();
}

// target[.., position, ..] += value, dropped where the position is outside.
void KernelEmitter::emit_scatter(const Store& store) {
    const Param& param = kernel_.params[store.target.index];
    const Element value = evaluate(store.value);
    const Element position = evaluate(store.position);
    if (error_) return;
    if (position.vector || store.target.kind == Buffer::Kind::local) {
        return fail("a scatter's position differs between lanes");
    }
    const auto dim = static_cast<std::size_t>(store.indirect);
    llvm::Value* wide = builder_.CreateSExtOrTrunc(position.value, builder_.getInt64Ty());
    llvm::Value* good = builder_.CreateICmpULT(wide, extent_value(param.dims[dim]));
    raise_fault(builder_.CreateNot(good));
    if_then(good, [&] {
        std::vector<Linear> index;
        for (std::size_t d = 0; d < store.index.size(); ++d) {
            index.push_back(d == dim ? arithmetic_.make_value(wide, {0, kUnbounded})
                                     : linear(store.index[d]));
        }
        const Linear bytes = arithmetic_.scale(offset_in(param, index), size_of(param.dtype));
        llvm::Value* base = params_[store.target.index];
        const Element old = load(base, bytes, param.dtype, false);
        const bool vector = old.vector;
        llvm::Value* left = old.value;
        llvm::Value* right = vector ? as_vector(value) : value.value;
        llvm::Value* sum = is_float(param.dtype) ? builder_.CreateFAdd(left, right)
                                                 : builder_.CreateAdd(left, right);
        this->store(base, bytes, param.dtype, {sum, vector}, false);
    });
}

}  // namespace netc
