// The outside of a kernel: its function, the loops over tiles of the outer axes, packed copies.
#include <algorithm>

#include "backends/cpu/kernel_emitter.h"
#include "backends/cpu/scalar_ops.h"

namespace netc {

KernelEmitter::KernelEmitter(const Kernel& kernel, const Schedule& schedule, const Machine& machine,
                             llvm::Module& module, std::optional<std::int64_t> batch)
    : kernel_(kernel), schedule_(schedule), machine_(machine), module_(module),
      context_(module.getContext()), batch_(batch), builder_(context_), arithmetic_(builder_) {}

void KernelEmitter::fail(const std::string& message) {
    if (!error_) error_ = Error{kExitInternal, message};
}

std::optional<std::int64_t> KernelEmitter::static_extent(AxisId axis) const {
    const Extent extent = extent_of(axis);
    if (extent.is_static()) return extent.constant;
    if (batch_) return extent.at(*batch_);
    return std::nullopt;
}

llvm::Value* KernelEmitter::extent_value(Extent extent) {
    if (extent.is_static()) return builder_.getInt64(static_cast<std::uint64_t>(extent.constant));
    if (batch_) return builder_.getInt64(static_cast<std::uint64_t>(extent.at(*batch_)));
    Linear value;
    value.terms.push_back({batch_value_, extent.per_batch});
    value.constant = extent.constant;
    return arithmetic_.scalar(value);
}

bool KernelEmitter::fully_unrolled(AxisId axis) const {
    const auto extent = static_extent(axis);
    return extent && schedule_tile_[axis] >= *extent && axis != vector_axis_;
}

// Tiles, and the weights of coordinates in memo keys.
void KernelEmitter::prepare() {
    const std::size_t axes = kernel_.axes.size();
    schedule_tile_.assign(axes, 1);
    for (const AxisTile& tile : schedule_.outer) schedule_tile_[tile.axis] = tile.tile;
    for (std::size_t i = 0; i < kernel_.stages.size(); ++i) {
        const StageSchedule& how = schedule_.stages[i];
        for (const AxisTile& tile : how.own) schedule_tile_[tile.axis] = tile.tile;
        for (const AxisTile& tile : how.reduced) schedule_tile_[tile.axis] = tile.tile;
        const auto& reduction = kernel_.stages[i].reduction;
        if (reduction && reduction->order.kind == OrderKind::lanes &&
            how.vector_axis != reduction->order.lane_axis) {
            schedule_tile_[reduction->order.lane_axis] = kLanes;
        }
    }
    weight_.assign(axes, 0);
    std::uint64_t product = 1;
    for (std::size_t axis = 0; axis < axes; ++axis) {
        weight_[axis] = product;
        product *= static_cast<std::uint64_t>(std::max<std::int64_t>(1, schedule_tile_[axis]));
        if (product > (std::uint64_t{1} << 36)) return fail("a schedule unrolls too much");
    }
    base_.assign(axes, Linear{});
    bound_.assign(axes, false);
    coordinate_.assign(axes, 0);
    count_.assign(axes, 1);
    vector_axis_ = schedule_.vector_axis;
    find_dependencies();
}

llvm::Value* KernelEmitter::allocate(std::int64_t bytes, const std::string& name) {
    llvm::IRBuilderBase::InsertPointGuard guard(builder_);
    builder_.SetInsertPoint(entry_, entry_->begin());
    auto* array = llvm::ArrayType::get(builder_.getInt8Ty(), static_cast<std::uint64_t>(bytes));
    llvm::AllocaInst* place = builder_.CreateAlloca(array, nullptr, name);
    place->setAlignment(llvm::Align(64));
    return place;
}

Result<llvm::Function*> KernelEmitter::emit(const std::string& name) {
    llvm::SmallVector<llvm::Type*, 8> types(kernel_.params.size(), builder_.getPtrTy());
    types.insert(types.end(), {builder_.getInt64Ty(), builder_.getInt64Ty(), builder_.getInt64Ty(),
                               builder_.getPtrTy()});
    auto* type = llvm::FunctionType::get(builder_.getVoidTy(), types, false);
    function_ = llvm::Function::Create(type, llvm::Function::InternalLinkage, name, module_);
    function_->addFnAttr(llvm::Attribute::NoUnwind);
    function_->addFnAttr("prefer-vector-width", std::to_string(machine_.vector_bits));
    function_->addFnAttr("min-legal-vector-width", std::to_string(machine_.vector_bits));
    function_->addFnAttr("denormal-fp-math-f32", "preserve-sign,preserve-sign");
    for (std::size_t i = 0; i < kernel_.params.size(); ++i) {
        params_.push_back(function_->getArg(static_cast<unsigned>(i)));
    }
    const auto scalars = static_cast<unsigned>(kernel_.params.size());
    batch_value_ = function_->getArg(scalars);
    begin_ = function_->getArg(scalars + 1);
    end_ = function_->getArg(scalars + 2);
    fault_ = function_->getArg(scalars + 3);
    entry_ = llvm::BasicBlock::Create(context_, "entry", function_);
    auto* body = llvm::BasicBlock::Create(context_, "body", function_);
    builder_.SetInsertPoint(entry_);
    llvm::Instruction* entry_end = builder_.CreateBr(body);
    arithmetic_.add_known(batch_value_, {1, kUnbounded});
    for (llvm::Value* param : params_) arithmetic_.add_known(param, {-kUnbounded, kUnbounded});
    builder_.SetInsertPoint(body);
    (void)entry_end;

    prepare();
    if (!error_) {
        // Scratch of locals: one copy for each point of the tile.
        std::int64_t points = 1;
        for (const AxisTile& tile : schedule_.outer) points *= tile.tile;
        locals_.resize(kernel_.locals.size());
        for (std::size_t i = 0; i < kernel_.locals.size(); ++i) {
            const Local& local = kernel_.locals[i];
            locals_[i].in_registers = local_in_registers(kernel_, schedule_, batch_, i);
            if (locals_[i].in_registers) continue;
            std::int64_t elements = 1;
            for (std::int64_t dim : local.dims) elements *= dim;
            // Vectors along a stage's own axis may read and write past the last element.
            const std::int64_t bytes =
                points * elements * size_of(local.dtype) * (schedule_.vector_axis ? kLanes : 1) +
                2 * kLanes * size_of(local.dtype);
            locals_[i].memory = allocate(bytes, "local");
            arithmetic_.add_known(locals_[i].memory, {-kUnbounded, kUnbounded});
        }
        emit_outer(0);
    }
    builder_.CreateRetVoid();
    if (error_) {
        function_->eraseFromParent();
        return *error_;
    }
    return function_;
}

void KernelEmitter::emit_outer(std::size_t level) {
    if (level == schedule_.slice_level && slices_.empty() && !schedule_.slices.empty()) {
        emit_slices(0);
        return;
    }
    for (const Pack& pack : schedule_.packs) {
        if (pack.level == level) emit_pack(pack.read);
    }
    if (error_) return;
    if (level == schedule_.outer.size()) {
        emit_tile();
    } else {
        const AxisTile& tile = schedule_.outer[level];
        std::vector<Segment> segments = segments_of(tile.axis, tile.tile);
        segments = split_by_guards(tile.axis, std::move(segments));
        run_segments(tile.axis, std::move(segments), level == 0 && !batch_,
                     [&] { emit_outer(level + 1); });
    }
    for (const Pack& pack : schedule_.packs) {
        if (pack.level == level) packs_[pack.read].active = false;
    }
}

void KernelEmitter::emit_tile() {
    for (LocalPlace& place : locals_) place.elements.clear();
    for (std::size_t i = 0; i < kernel_.stages.size(); ++i) {
        enter();
        emit_stage(kernel_.stages[i], schedule_.stages[i]);
        leave();
        if (error_) return;
    }
}

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

// Copies what the loops inside read again and again, so that it is contiguous: [reduced axes][vectors][16].
void KernelEmitter::emit_pack(std::uint32_t number) {
    const Read& read = kernel_.reads[number];
    PackPlace& place = packs_[number];
    place.active = false;
    place.reduced.clear();
    place.vectors = count_[*vector_axis_];
    for (const Stage& stage : kernel_.stages) {
        if (!stage.reduction) continue;
        for (AxisId axis : stage.reduction->axes) {
            if (((read_depends_[number] >> axis) & 1) != 0) place.reduced.push_back(axis);
        }
    }
    const std::int64_t element = size_of(kernel_.params[read.source.index].dtype);
    std::int64_t stride = place.vectors * kLanes * element;
    place.strides.assign(place.reduced.size(), 0);
    for (std::size_t i = place.reduced.size(); i-- > 0;) {
        place.strides[i] = stride;
        stride *= *static_extent(place.reduced[i]);
    }
    if (place.memory == nullptr) {
        std::int64_t most = schedule_tile_[*vector_axis_] * kLanes * element;
        for (AxisId axis : place.reduced) most *= *static_extent(axis);
        place.memory = allocate(most, "pack");
        arithmetic_.add_known(place.memory, {-kUnbounded, kUnbounded});
    }
    const std::function<void(std::size_t)> copy = [&](std::size_t level) {
        if (level < place.reduced.size()) {
            const AxisId axis = place.reduced[level];
            const std::int64_t extent = *static_extent(axis);
            // The last axis 16 at a time where that is a transpose.
            const bool last = level + 1 == place.reduced.size();
            const std::int64_t together = last ? std::min<std::int64_t>(kLanes, extent) : 1;
            std::vector<Segment> segments;
            for (const std::int64_t size : {together, extent % together}) {
                if (size == 0) continue;
                Segment segment;
                segment.start = arithmetic_.constant(size == together ? 0 : extent - size);
                segment.count = size == together ? extent / together : 1;
                segment.tile = size;
                segments.push_back(segment);
            }
            const std::int64_t tile_before = schedule_tile_[axis];
            const std::vector<std::uint64_t> weights_before = weight_;
            schedule_tile_[axis] = std::max(tile_before, together);
            std::uint64_t product = 1;
            for (std::size_t a = 0; a < weight_.size(); ++a) {
                weight_[a] = product;
                product *= static_cast<std::uint64_t>(std::max<std::int64_t>(1, schedule_tile_[a]));
            }
            run_segments(axis, std::move(segments), false, [&] { copy(level + 1); });
            schedule_tile_[axis] = tile_before;
            weight_ = weights_before;
            return;
        }
        ScalarId node = kNoScalar;
        for (ScalarId id = 0; id < kernel_.scalars.size(); ++id) {
            const Scalar& scalar = kernel_.scalars[id];
            if (scalar.op == ScalarOp::read && scalar.integer == static_cast<std::int64_t>(number))
                node = id;
        }
        const std::int64_t steps = place.reduced.empty() ? 1 : count_[place.reduced.back()];
        for (std::int64_t vector = 0; vector < place.vectors; ++vector) {
            for (std::int64_t i = 0; i < steps; ++i) {
                coordinate_[*vector_axis_] = vector;
                if (!place.reduced.empty()) coordinate_[place.reduced.back()] = i;
                const Element value = evaluate(node);
                Linear bytes;
                bytes.lane = element;
                bytes.constant = vector * kLanes * element;
                for (std::size_t k = 0; k < place.reduced.size(); ++k) {
                    bytes = arithmetic_.add(
                        bytes, arithmetic_.scale(axis_value(place.reduced[k]), place.strides[k]));
                }
                store(place.memory, bytes, kernel_.params[read.source.index].dtype, value, true);
            }
        }
        coordinate_[*vector_axis_] = 0;
        if (!place.reduced.empty()) coordinate_[place.reduced.back()] = 0;
    };
    enter();
    copy(0);
    leave();
    place.active = true;
}

}  // namespace netc
