// What the threads of a block bring to shared memory, and how: elements of both operands, in runs that are one copy
// or one load where they lie side by side.
#include "backends/gpu/tile_emitter.h"

#include <algorithm>

#include "backends/scalar_ops.h"

namespace netc {

// Elements side by side in memory that a thread brings together, in one wide load or copy where their addresses allow:
// steps of a row of the sum, or points along an axis.
std::int64_t TileEmitter::run_of(const Operand& operand, bool copied) const {
    // Sixteen bytes of what is narrow.
    const std::int64_t most = size_of(kernel_.scalars.type(operand.value)) == 2 ? 2 * kRun : kRun;
    if (operand.along_k) {
        if (steps_stay_in_row() && how_.block_k % most == 0) return most;
        // A copy begins at a multiple of its length, and so stays in a row that is a multiple of it.
        const auto extent = static_extent(reduction_.axes.back());
        return copied && extent && *extent % most == 0 && !in_leaves() ? most : 1;
    }
    const Numbering& numbering = *operand.numbering;
    if (numbering.inner.empty()) return 1;
    const Digit& along = numbering.inner.back();
    const bool samples = std::ranges::any_of(
        numbering.outer, [&](const Digit& digit) { return digit.axis == along.axis; });
    if (samples) return 1;
    for (const std::int64_t run : {most, kRun})
        if (along.count % run == 0 && operand.block % run == 0) return run;
    return 1;
}

// Whether copies bring the operand: it is read as it is, sixteen bytes at a time, or four where a tile wants them apart.
std::int64_t TileEmitter::copy_bytes_of(const Operand& operand) const {
    const Scalar& scalar = kernel_.scalars[operand.value];
    if (scalar.op != ScalarOp::read) return 0;
    const Read& read = kernel_.reads[static_cast<std::size_t>(scalar.integer)];
    if (read.source.kind != Buffer::Kind::param || read.indirect >= 0 ||
        read.outside != Outside::never)
        return 0;
    const std::int64_t bytes = size_of(scalar.type);
    const bool as_it_lies =
        by_matrices() ? operand.along_k || bytes == 2 : !operand.along_k && bytes == 4;
    const bool wide = std::ranges::find(operand.wide, operand.value) != operand.wide.end();
    if (as_it_lies && wide && operand.run * bytes == 16) return 16;
    return !by_matrices() && bytes == 4 && scalar.type == DType::f32 ? 4 : 0;
}

void TileEmitter::find_runs(Operand& operand) {
    operand.run = run_of(operand, true);
    find_wide(operand);
    operand.copy_bytes = copy_bytes_of(operand);
    if (operand.copy_bytes == 4) operand.run = 1;
    if (operand.copy_bytes > 0) return;
    operand.run = run_of(operand, false);
    operand.wide.clear();
    find_wide(operand);
    // Four points at four steps, as the tile has the steps side by side.
    if (by_matrices() && size_of(kernel_.scalars.type(operand.value)) == 4 && !operand.along_k &&
        operand.run == kRun)
        operand.run_steps = kRun;
}

// A thread brings runs one behind the other; what it keeps together is a unit.
std::int64_t TileEmitter::units_of(const Operand& operand) const {
    return operand.block * how_.block_k / (operand.run * operand.run_steps);
}

// Whether the unit that this thread brings as its `unit`-th is one of the tile's; null: it is.
llvm::Value* TileEmitter::is_in_tile(const Operand& operand, std::int64_t unit) {
    const std::int64_t left = units_of(operand) - unit * how_.threads();
    return left >= how_.threads() ? nullptr : builder_.CreateICmpULT(thread_, number(left));
}

// Of each element that this thread brings: its point and its step in the tile, and the point's coordinates. Of a run
// that is copied, of the first alone.
void TileEmitter::find_elements(Operand& operand) {
    const std::int64_t threads = how_.threads();
    // Units along what neighbouring threads bring.
    const std::int64_t steps = how_.block_k / (operand.along_k ? operand.run : operand.run_steps);
    const bool steps_first = operand.along_k || operand.run_steps > 1;
    const std::int64_t fastest = steps_first ? steps : operand.block / operand.run;
    for (std::int64_t from = 0; from < units_of(operand); from += threads) {
        llvm::Value* fast = nullptr;
        llvm::Value* slow = nullptr;
        if (threads % fastest == 0) {
            fast = modulo(thread_, fastest, true);
            slow = builder_.CreateAdd(divide(thread_, fastest, true), number(from / fastest));
        } else {
            llvm::Value* unit = builder_.CreateAdd(thread_, number(from));
            fast = modulo(unit, fastest, true);
            slow = divide(unit, fastest, true);
        }
        llvm::Value* step = steps_first ? fast : slow;
        llvm::Value* first = steps_first ? slow : fast;
        llvm::Value*& along = operand.along_k ? step : first;
        if (operand.run > 1) along = builder_.CreateNUWMul(along, number(operand.run));
        if (operand.run_steps > 1) step = builder_.CreateNUWMul(step, number(operand.run_steps));
        const bool same = !operand.places.empty() && !steps_first && threads % fastest == 0;
        Values places = coordinate_;
        if (same) {
            places = operand.places[0];
        } else {
            // A run is one of the kernel's or none: the numbers of points are multiples of it.
            llvm::Value* last = builder_.CreateSub(
                operand.count, number(operand.along_k ? std::int64_t{1} : operand.run));
            llvm::Value* point = builder_.CreateAdd(operand.first, first);
            point = builder_.CreateSelect(builder_.CreateICmpSLT(point, last), point, last);
            const Values before = coordinate_;
            set_point(*operand.numbering, point);
            places = coordinate_;
            coordinate_ = before;
        }
        const std::int64_t elements = operand.copy_bytes > 0 ? 1 : operand.run;
        for (std::int64_t s = 0; s < operand.run_steps; ++s) {
            for (std::int64_t k = 0; k < elements; ++k) {
                const auto moved = [&](llvm::Value* from_here, std::int64_t by) {
                    return by == 0 ? from_here
                                   : builder_.CreateAdd(from_here, number(by), "", true, true);
                };
                operand.point.push_back(operand.along_k ? first : moved(first, k));
                operand.step.push_back(moved(step, operand.along_k ? k : s));
                operand.places.push_back(places);
                if (operand.along_k || k == 0) continue;
                llvm::Value*& place = operand.places.back()[operand.numbering->inner.back().axis];
                place = moved(place, k);
            }
        }
    }
}

// Coordinates of the sum's axes for its k-th term, or for that with which its last run begins.
void TileEmitter::set_step(llvm::Value* k, llvm::Value* limit, std::int64_t run) {
    llvm::Value* last = builder_.CreateSub(limit, number(run));
    k = builder_.CreateSelect(builder_.CreateICmpSLT(k, last), k, last);
    for (std::size_t d = reduction_.axes.size(); d-- > 1;) {
        const AxisId axis = reduction_.axes[d];
        coordinate_[axis] = modulo(k, *static_extent(axis), true);
        k = divide(k, *static_extent(axis), true);
    }
    coordinate_[reduction_.axes[0]] = k;
}

// Calls `body` for each of this thread's elements of the tile that begins with the k-th term, with coordinate_ there.
void TileEmitter::at_elements(const Operand& operand, llvm::Value* k, llvm::Value* limit,
                              llvm::function_ref<void(std::size_t)> body) {
    const Values before = coordinate_;
    const AxisId innermost = reduction_.axes.back();
    Values base = coordinate_;
    if (steps_stay_in_row()) {  // the tile's steps differ in the innermost axis alone
        set_step(k, limit, how_.block_k);
        base = coordinate_;
    }
    // Steps side by side that belong to one another.
    const std::int64_t run = operand.along_k && operand.copy_bytes > 0 ? operand.run : 1;
    for (std::size_t e = 0; e < operand.point.size(); ++e) {
        coordinate_ = operand.places[e];
        if (steps_stay_in_row()) {
            for (AxisId axis : reduction_.axes) coordinate_[axis] = base[axis];
            coordinate_[innermost] =
                builder_.CreateAdd(base[innermost], operand.step[e], "", true, true);
        } else {
            set_step(builder_.CreateAdd(k, operand.step[e]), limit, run);
        }
        body(e);
    }
    coordinate_ = before;
}

// Whether the place is one of the kernel's, and the step one of the sum's; null: they are.
llvm::Value* TileEmitter::is_term(const Operand& operand, std::size_t element, llvm::Value* k,
                                  llvm::Value* limit, llvm::Value* exists) {
    if (!by_matrices() || steps_stay_in_row()) return exists;
    return both(exists,
                builder_.CreateICmpSLT(builder_.CreateAdd(k, operand.step[element]), limit));
}

// Begins copies of the tile that begins with the k-th term: zeros where there is no term.
void TileEmitter::copy(Operand& operand, llvm::Value* slot, llvm::Value* k, llvm::Value* limit) {
    const Read& read =
        kernel_.reads[static_cast<std::size_t>(kernel_.scalars[operand.value].integer)];
    at_elements(operand, k, limit, [&](std::size_t e) {
        if_then(is_in_tile(operand, static_cast<std::int64_t>(e)), [&] {
            llvm::Value* exists = nullptr;
            for (const Guard& guard : *operand.guards) exists = both(exists, holds(guard));
            // Where a guard fails an index may be outside of its buffer.
            llvm::Value* address = address_of(read, exists);
            ops_.copy_async(
                builder_, shared_place(operand, slot, {operand.point[e], operand.step[e]}), address,
                static_cast<unsigned>(operand.copy_bytes), is_term(operand, e, k, limit, exists));
        });
    });
}

// The elements of the tile that begins with the k-th term, which this thread brings.
TileEmitter::Values TileEmitter::bring(Operand& operand, llvm::Value* k, llvm::Value* limit) {
    Values values;
    const Values before = coordinate_;
    std::vector<Values> all;
    at_elements(operand, k, limit, [&](std::size_t) { all.push_back(coordinate_); });
    for (std::size_t first = 0; first < operand.point.size();
         first += static_cast<std::size_t>(operand.run)) {
        // Of the run: what is remembered goes by these values.
        const std::vector<Values> places(all.begin() + static_cast<std::ptrdiff_t>(first),
                                         all.begin() + static_cast<std::ptrdiff_t>(first) +
                                             operand.run);
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
            if (llvm::Value* term = is_term(operand, first + e, k, limit, exists))
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
    return extent && *extent % how_.block_k == 0 && !(in_leaves() && reduction_.axes.size() == 1);
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

void TileEmitter::keep(Operand& operand, const Values& values, llvm::Value* slot) {
    const auto run = static_cast<std::size_t>(operand.run);
    const auto steps = static_cast<std::size_t>(operand.run_steps);
    // Whether a run lies side by side in the tile too.
    const bool together =
        run > 1 && (by_matrices() ? operand.along_k == operand.rows_are_points : !operand.along_k);
    for (std::size_t e = 0; e < values.size(); e += run * steps) {
        const auto place = [&](std::size_t k) {
            return shared_place(operand, slot, {operand.point[k], operand.step[k]});
        };
        if_then(is_in_tile(operand, static_cast<std::int64_t>(e / (run * steps))), [&] {
            const auto value = [&](std::size_t k) { return values[e + k]; };
            if (together) {
                keep_together(operand, llvm::ArrayRef(values).slice(e, run), place(e));
                return;
            }
            for (std::size_t k = 0; k < run; ++k) {
                if (steps == 1) {
                    ops_.store_shared(builder_, value(k), place(e + k),
                                      llvm::Align(static_cast<std::uint64_t>(operand.bytes)));
                    continue;
                }
                Values of_point;
                for (std::size_t s = 0; s < steps; ++s) of_point.push_back(value(s * run + k));
                keep_together(operand, of_point, place(e + k));
            }
        });
    }
}

// One store of values that lie side by side in the tile.
void TileEmitter::keep_together(const Operand& operand, llvm::ArrayRef<llvm::Value*> values,
                                llvm::Value* place) {
    llvm::Value* vector = llvm::PoisonValue::get(
        llvm::FixedVectorType::get(operand.type, static_cast<unsigned>(values.size())));
    for (std::size_t k = 0; k < values.size(); ++k)
        vector = builder_.CreateInsertElement(vector, values[k], k);
    const auto bytes = static_cast<std::uint64_t>(operand.bytes) * values.size();
    ops_.store_shared(builder_, vector, place, llvm::Align(std::min<std::uint64_t>(bytes, 16)));
}

}  // namespace netc
