// The outside of a kernel: its function, the loops over tiles of the outer axes, packed copies.
#include <algorithm>

#include "backends/cpu/kernel_emitter.h"
#include "backends/cpu/schedule_queries.h"
#include "backends/scalar_ops.h"

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
    // A scalar depends on outer axes and on those of one stage.
    weight_.assign(axes, 0);
    const auto weigh = [&](const std::vector<AxisTile>& tiles, std::uint64_t& product) {
        for (const AxisTile& tile : tiles) {
            weight_[tile.axis] = product;
            product *= static_cast<std::uint64_t>(schedule_tile_[tile.axis]);
        }
    };
    std::uint64_t points = 1;
    weigh(schedule_.outer, points);
    for (const StageSchedule& how : schedule_.stages) {
        std::uint64_t product = points;
        weigh(how.own, product);
        weigh(how.reduced, product);
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
    begin_streams();
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
        if (schedule_.block)
            emit_blocks();
        else
            emit_outer(0);
    }
    finish_tiles();
    end_streams();
    builder_.CreateRetVoid();
    if (error_) {
        function_->eraseFromParent();
        return *error_;
    }
    return function_;
}

// Lines begin where the array does if it is aligned, which is not asked of a caller's arrays; and where a result takes the
// place of an operand its lines are in the cache already.
void KernelEmitter::begin_streams() {
    for (const std::uint32_t number : schedule_.streamed) {
        llvm::Value* result = params_[number];
        llvm::Value* address = builder_.CreatePtrToInt(result, builder_.getInt64Ty());
        llvm::Value* streams =
            builder_.CreateIsNull(builder_.CreateAnd(address, std::uint64_t{kLineBytes - 1}));
        for (std::size_t i = 0; i < params_.size(); ++i) {
            if (i != number)
                streams = builder_.CreateAnd(streams, builder_.CreateICmpNE(result, params_[i]));
        }
        streams_[result] = streams;
    }
}

// Such writes are not ordered with others, by which threads tell each other that they are done.
void KernelEmitter::end_streams() {
    if (!streams_.empty() && machine_.x86)
        builder_.CreateIntrinsic(llvm::Intrinsic::x86_sse_sfence, {}, {});
}

// Around all other loops, some tiles of an axis at a time. Threads share out blocks of rows of matrices, otherwise the
// outermost loop inside.
void KernelEmitter::emit_blocks() {
    for (const AxisTile& tile : schedule_.outer) {
        if (tile.axis != schedule_.block->axis) continue;
        const std::int64_t places = tile.tile * schedule_.block->tile;
        const Linear extent =
            arithmetic_.make_value(extent_value(extent_of(tile.axis)), {1, kUnbounded});
        Segment blocks;
        blocks.tile = places;
        blocks.dynamic_count = arithmetic_.scalar(arithmetic_.floor_div(
            arithmetic_.add(extent, arithmetic_.constant(places - 1)), places));
        run_segments(tile.axis, {blocks}, !batch_ && rows_axis(schedule_).has_value(), [&] {
            block_start_ = base_[tile.axis];
            emit_outer(0);
            block_start_.reset();
        });
        return;
    }
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
        const bool shared = level == 0 && !batch_ && !(block_start_ && rows_axis(schedule_));
        run_segments(tile.axis, std::move(segments), shared, [&] { emit_outer(level + 1); });
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
