// What the threads of a block bring to shared memory, and how: elements of both operands, in runs that are one load where
// they lie side by side.
#include "backends/gpu/tile_emitter.h"

#include <algorithm>

#include "backends/scalar_ops.h"

namespace netc {

// Elements side by side in memory that a thread brings together, in one wide load where their addresses allow: steps
// of a row of the sum, or points along an axis.
std::int64_t TileEmitter::run_of(const Operand& operand) const {
    // Sixteen bytes of what is narrow.
    const std::int64_t most = size_of(kernel_.scalars.type(operand.value)) == 2 ? 2 * kRun : kRun;
    if (operand.along_k) return steps_stay_in_row() && how_.block_k % most == 0 ? most : 1;
    const Numbering& numbering = *operand.numbering;
    if (numbering.inner.empty() || numbering.inner.back().count % kRun != 0) return 1;
    const bool samples = std::ranges::any_of(numbering.outer, [&](const Digit& digit) {
        return digit.axis == numbering.inner.back().axis;
    });
    return samples || operand.block % kRun != 0 ? 1 : kRun;
}

// Of each element that this thread brings: its point and its step in the tile, and the point's coordinates.
void TileEmitter::find_elements(Operand& operand) {
    const std::int64_t threads = how_.threads();
    const std::int64_t runs = operand.block * how_.block_k / operand.run;
    const std::int64_t fastest = (operand.along_k ? how_.block_k : operand.block) / operand.run;
    for (std::int64_t from = 0; from < runs; from += threads) {
        llvm::Value* fast = nullptr;
        llvm::Value* slow = nullptr;
        if (threads % fastest == 0) {
            fast = modulo(thread_, fastest, true);
            slow = builder_.CreateAdd(divide(thread_, fastest, true), number(from / fastest));
        } else {
            llvm::Value* run = builder_.CreateAdd(thread_, number(from));
            fast = modulo(run, fastest, true);
            slow = divide(run, fastest, true);
        }
        if (operand.run > 1) fast = builder_.CreateNUWMul(fast, number(operand.run));
        const bool same = !operand.places.empty() && !operand.along_k && threads % fastest == 0;
        Values places = coordinate_;
        if (same) {
            places = operand.places[0];
        } else {
            // A run is one of the kernel's or none: the numbers of points are multiples of it.
            llvm::Value* last = builder_.CreateSub(
                operand.count, number(operand.along_k ? std::int64_t{1} : operand.run));
            llvm::Value* point = builder_.CreateAdd(operand.first, operand.along_k ? slow : fast);
            point = builder_.CreateSelect(builder_.CreateICmpSLT(point, last), point, last);
            const Values before = coordinate_;
            set_point(*operand.numbering, point);
            places = coordinate_;
            coordinate_ = before;
        }
        for (std::int64_t k = 0; k < operand.run; ++k) {
            llvm::Value* at = k == 0 ? fast : builder_.CreateAdd(fast, number(k), "", true, true);
            operand.point.push_back(operand.along_k ? slow : at);
            operand.step.push_back(operand.along_k ? at : slow);
            operand.places.push_back(places);
            if (operand.along_k || k == 0) continue;
            llvm::Value*& moved = operand.places.back()[operand.numbering->inner.back().axis];
            moved = builder_.CreateAdd(moved, number(k), "", true, true);
        }
    }
}

// Coordinates of the sum's axes for its k-th term.
void TileEmitter::set_step(llvm::Value* k, llvm::Value* limit) {
    llvm::Value* last = builder_.CreateSub(limit, number(1));
    k = builder_.CreateSelect(builder_.CreateICmpSLT(k, last), k, last);
    for (std::size_t d = reduction_.axes.size(); d-- > 1;) {
        const AxisId axis = reduction_.axes[d];
        coordinate_[axis] = modulo(k, *static_extent(axis), true);
        k = divide(k, *static_extent(axis), true);
    }
    coordinate_[reduction_.axes[0]] = k;
}

// The elements of the tile that begins with the k-th term, which this thread brings.
TileEmitter::Values TileEmitter::bring(Operand& operand, llvm::Value* k, llvm::Value* limit) {
    Values values;
    const Values before = coordinate_;
    const AxisId innermost = reduction_.axes.back();
    Values base = coordinate_;
    if (steps_stay_in_row()) {  // the tile's steps differ in the innermost axis alone
        set_step(k, builder_.CreateSub(limit, number(how_.block_k - 1)));
        base = coordinate_;
    }
    const auto go_to_element = [&](std::size_t e) {
        coordinate_ = operand.places[e];
        if (steps_stay_in_row()) {
            for (AxisId axis : reduction_.axes) coordinate_[axis] = base[axis];
            coordinate_[innermost] =
                builder_.CreateAdd(base[innermost], operand.step[e], "", true, true);
        } else {
            set_step(builder_.CreateAdd(k, operand.step[e]), limit);
        }
    };
    for (std::size_t first = 0; first < operand.point.size();
         first += static_cast<std::size_t>(operand.run)) {
        std::vector<Values> places;  // of the run: what is remembered goes by these values
        for (std::size_t e = first; e < first + static_cast<std::size_t>(operand.run); ++e) {
            go_to_element(e);
            places.push_back(coordinate_);
        }
        enter();
        coordinate_ = places[0];
        llvm::Value* exists = nullptr;
        for (const Guard& guard : *operand.guards) exists = both(exists, holds(guard));
        for (std::size_t e = 0; e < places.size(); ++e) {
            coordinate_ = places[e];
            if (e > 0 && !operand.run_is_one) {
                exists = nullptr;
                for (const Guard& guard : *operand.guards) exists = both(exists, holds(guard));
            }
            mask_ = exists;  // where a guard fails an index may be outside of its buffer
            if (e == 0)
                for (const ScalarId id : operand.wide) load_run(operand, id, places);
            coordinate_ = places[e];
            llvm::Value* value = evaluate(operand.value);
            mask_ = nullptr;
            llvm::Value* term = exists;
            if (by_matrices() && !steps_stay_in_row())
                term = both(term, builder_.CreateICmpSLT(
                                      builder_.CreateAdd(k, operand.step[first + e]), limit));
            if (term != nullptr)
                value = builder_.CreateSelect(term, value,
                                              llvm::Constant::getNullValue(value->getType()));
            values.push_back(how_.unit == MatrixUnit::tf32 ? rounded_to_tf32(value) : value);
        }
        leave();
    }
    coordinate_ = before;
    return values;
}

// One load for the elements of a run.
void TileEmitter::load_run(const Operand& operand, ScalarId id, const std::vector<Values>& places) {
    const Read& read = kernel_.reads[static_cast<std::size_t>(kernel_.scalars[id].integer)];
    llvm::Type* element = memory_type(context_, kernel_.params[read.source.index].dtype);
    const std::uint64_t bytes =
        element->getPrimitiveSizeInBits() / 8 * static_cast<std::uint64_t>(operand.run);
    coordinate_ = places[0];
    llvm::Value* address = address_of(read, mask_);
    llvm::Value* vector = builder_.CreateAlignedLoad(
        llvm::FixedVectorType::get(element, static_cast<unsigned>(operand.run)), address,
        llvm::Align(std::min<std::uint64_t>(bytes, 16)));
    for (std::size_t k = 0; k < places.size(); ++k) {
        coordinate_ = places[k];
        remember(id, builder_.CreateExtractElement(vector, k));
    }
}

// Reads of the operand whose elements of a run lie side by side, from a multiple of its length on.
void TileEmitter::find_wide(Operand& operand) {
    if (operand.run == 1) return;
    const AxisId along =
        operand.along_k ? reduction_.axes.back() : operand.numbering->inner.back().axis;
    operand.run_is_one = std::ranges::none_of(
        *operand.guards, [&](const Guard& guard) { return guard.index.depends_on(along); });
    if (!operand.run_is_one) return;
    const auto multiple = [&](Extent extent) {
        return extent.per_batch % operand.run == 0 && extent.constant % operand.run == 0;
    };
    const auto is_wide = [&](const Read& read) {
        if (read.source.kind != Buffer::Kind::param || read.indirect >= 0 ||
            read.outside != Outside::never)
            return false;
        const Param& param = kernel_.params[read.source.index];
        if (param.layout.lanes || param.dtype == DType::b1) return false;
        const std::vector<Extent> steps = strides(param);
        bool runs = false;
        for (std::size_t dim = 0; dim < steps.size(); ++dim) {
            if (steps[dim] == Extent{0, 1} && read.index[dim].is_axis(along)) {
                runs = true;
            } else if (!multiple(steps[dim]) || read.index[dim].depends_on(along)) {
                return false;
            }
        }
        return runs;
    };
    std::vector<ScalarId> left{operand.value};
    while (!left.empty()) {
        const ScalarId id = left.back();
        left.pop_back();
        const Scalar& scalar = kernel_.scalars[id];
        left.insert(left.end(), scalar.operands.begin(), scalar.operands.end());
        if (scalar.op == ScalarOp::read &&
            is_wide(kernel_.reads[static_cast<std::size_t>(scalar.integer)]) &&
            std::ranges::find(operand.wide, id) == operand.wide.end())
            operand.wide.push_back(id);
    }
}

// Whether each tile's steps are one run of the innermost axis, and the sum has no others.
bool TileEmitter::steps_stay_in_row() const {
    const auto extent = static_extent(reduction_.axes.back());
    const bool in_leaves =
        reduction_.order.kind != OrderKind::sequential && reduction_.axes.size() == 1;
    return extent && *extent % how_.block_k == 0 && !in_leaves;
}

// To nearest, away from zero in between; what is not finite stays.
llvm::Value* TileEmitter::rounded_to_tf32(llvm::Value* value) {
    llvm::Value* bits = builder_.CreateBitCast(value, builder_.getInt32Ty());
    llvm::Value* rounded = builder_.CreateAnd(builder_.CreateAdd(bits, builder_.getInt32(0x1000)),
                                              builder_.getInt32(0xffffe000));
    llvm::Value* exponent = builder_.CreateAnd(bits, builder_.getInt32(0x7f800000));
    return builder_.CreateSelect(builder_.CreateICmpEQ(exponent, builder_.getInt32(0x7f800000)),
                                 bits, rounded);
}

void TileEmitter::keep(Operand& operand, const Values& values, llvm::Value* buffer) {
    const std::int64_t runs = operand.block * how_.block_k / operand.run;
    const std::uint64_t bytes = operand.type->getPrimitiveSizeInBits() / 8;
    const auto run = static_cast<std::size_t>(operand.run);
    for (std::size_t e = 0; e < values.size(); e += run) {
        const std::int64_t from = static_cast<std::int64_t>(e) / operand.run * how_.threads();
        llvm::Value* in_tile = nullptr;
        if (from + how_.threads() > runs)
            in_tile = builder_.CreateICmpULT(thread_, number(runs - from));
        if_then(in_tile, [&] {
            const auto place = [&](std::size_t k) {
                return shared_place(operand, buffer, operand.step[k], operand.point[k]);
            };
            if (operand.along_k != by_matrices() || run == 1) {
                for (std::size_t k = e; k < e + run; ++k)
                    ops_.store_shared(builder_, values[k], place(k), llvm::Align(bytes));
                return;
            }
            llvm::Value* vector = llvm::PoisonValue::get(
                llvm::FixedVectorType::get(operand.type, static_cast<unsigned>(run)));
            for (std::size_t k = 0; k < run; ++k)
                vector = builder_.CreateInsertElement(vector, values[e + k], k);
            ops_.store_shared(builder_, vector, place(e),
                              llvm::Align(std::min<std::uint64_t>(bytes * run, 16)));
        });
    }
}

}  // namespace netc
