// What a tile register of a factor holds for a step of a sum: loaded in place where it lies in memory as the
// processor wants it, else put together in a scratch of 16 rows of 64 bytes.
//
//     rows of points   a row of the tile is a point, with its terms: as the terms of one point lie side by side
//     rows of words    a row is a word of terms, with all points: as weights lie that are laid out for it
//
// From one form to the other is a transpose of words. Points that lie side by side are loaded term by term, as words;
// what lies in no order that helps goes element by element.
#include <algorithm>

#include "backends/cpu/kernel_emitter.h"
#include "backends/scalar_ops.h"

namespace netc {

void KernelEmitter::load_tile(std::uint8_t tile, llvm::Value* place, llvm::Value* stride) {
    builder_.CreateIntrinsic(llvm::Intrinsic::x86_tileloadd64, {},
                             {builder_.getInt8(tile), place, stride});
}

bool KernelEmitter::load_in_place(const MatrixOperand& operand, const MatrixStep& step) {
    const std::int64_t terms = terms_of(step);
    if (terms != matrix_->words() * matrix_->in_word) return false;
    std::int64_t stride = 64;
    if (operand.row_a_point) {
        if (!lies_along(operand, step)) return false;
        for (std::int64_t point = 0; point < operand.points; ++point) {
            coordinate_[operand.axis] = operand.first + point;
            const Condition condition = row_condition();
            if (condition.never || condition.scalar != nullptr) return false;
        }
        if (operand.points > 1) {
            const auto next = distance(operand, step, 1, 0);
            const auto last = distance(operand, step, operand.points - 1, 0);
            if (!next || last != *next * (operand.points - 1)) return false;
            stride = *next;
        }
    } else {
        coordinate_[operand.axis] = operand.first;
        if (mask_here() != nullptr || !lies_as_words(operand, step)) return false;
        if (terms > matrix_->in_word) {
            const auto next = distance(operand, step, 0, matrix_->in_word);
            const auto last = distance(operand, step, 0, terms - matrix_->in_word);
            if (!next || last != *next * (matrix_->words() - 1)) return false;
            stride = *next;
        }
    }
    load_tile(operand.tile, factor_address(operand, step, 0, 0),
              builder_.getInt64(static_cast<std::uint64_t>(stride)));
    return true;
}

// A vector of sixteen words for each point: its terms, zero where it has none.
std::optional<std::vector<llvm::Value*>> KernelEmitter::rows_of_points(const MatrixOperand& operand,
                                                                       const MatrixStep& step) {
    if (!lies_along(operand, step)) return std::nullopt;
    const DType type = kernel_.scalars.type(operand.factor);
    const std::int64_t size = size_of(type), terms = terms_of(step);
    const auto elements = static_cast<unsigned>(64 / size);
    auto* row_type = llvm::FixedVectorType::get(memory_type(context_, type), elements);
    auto* words_type = llvm::FixedVectorType::get(builder_.getInt32Ty(), kLanes);
    llvm::SmallVector<llvm::Constant*, 64> lanes;
    for (unsigned i = 0; i < elements; ++i)
        lanes.push_back(builder_.getInt1(static_cast<std::int64_t>(i) < terms));
    llvm::Value* terms_mask = llvm::ConstantVector::get(lanes);
    llvm::Value* zero = llvm::Constant::getNullValue(row_type);
    std::vector<llvm::Value*> rows;
    for (std::int64_t point = 0; point < kLanes; ++point) {
        coordinate_[operand.axis] = operand.first + (operand.row_a_point ? point : 0);
        Condition condition;
        if (point >= operand.points) {
            condition.never = true;
        } else if (operand.row_a_point) {
            condition = row_condition();
        } else if (llvm::Value* mask = mask_here()) {
            condition.scalar =
                builder_.CreateExtractElement(mask, static_cast<std::uint64_t>(point));
        }
        llvm::Value* row = zero;
        if (!condition.never) {
            llvm::Value* mask = terms_mask;
            if (condition.scalar != nullptr)
                mask = builder_.CreateAnd(mask,
                                          builder_.CreateVectorSplat(elements, condition.scalar));
            llvm::Value* pointer = factor_address(operand, step, point, 0);
            row = builder_.CreateMaskedLoad(
                row_type, pointer, llvm::Align(static_cast<std::uint64_t>(size)), mask, zero);
        }
        rows.push_back(builder_.CreateBitCast(row, words_type));
    }
    return rows;
}

// The term of sixteen points, zero where a point has none.
llvm::Value* KernelEmitter::term_across(const MatrixOperand& operand, const MatrixStep& step,
                                        std::int64_t term) {
    const DType type = kernel_.scalars.type(operand.factor);
    auto* vector = llvm::FixedVectorType::get(value_type(context_, type), kLanes);
    llvm::Value* zero = llvm::Constant::getNullValue(vector);
    if (!set_term(step, term)) return zero;
    const AxisId axis = operand.axis;
    const auto axis_before = vector_axis_;
    const Linear base_before = base_[axis];
    const auto edge_before = std::tuple(edge_, edge_coordinate_, edge_mask_);
    if (vector_axis_ == axis) {
        coordinate_[axis] = operand.first;
    } else {
        coordinate_[axis] = 0;
        base_[axis] = arithmetic_.add(base_[axis], arithmetic_.constant(operand.first));
        vector_axis_ = axis;
        edge_ = operand.points < kLanes;
        edge_coordinate_ = 0;
        llvm::SmallVector<llvm::Constant*, 16> lanes;
        for (std::int64_t i = 0; i < kLanes; ++i)
            lanes.push_back(builder_.getInt1(i < operand.points));
        edge_mask_ = llvm::ConstantVector::get(lanes);
    }
    const Condition condition = term_condition(operand.row_a_point, step);
    llvm::Value* value = zero;
    if (!condition.never) {
        llvm::Value* mask = condition.lanes;
        if (condition.scalar != nullptr) {
            llvm::Value* all = builder_.CreateVectorSplat(kLanes, condition.scalar);
            mask = mask == nullptr ? all : builder_.CreateAnd(mask, all);
        }
        guard_mask_ = mask;
        value = as_vector(evaluate_apart(operand.factor));
        guard_mask_ = nullptr;
        if (mask != nullptr) value = builder_.CreateSelect(mask, value, zero);
    }
    vector_axis_ = axis_before;
    base_[axis] = base_before;
    coordinate_[axis] = 0;
    std::tie(edge_, edge_coordinate_, edge_mask_) = edge_before;
    return value;
}

// A vector of sixteen points for each word of terms, where points or words lie side by side.
std::optional<std::vector<llvm::Value*>> KernelEmitter::rows_of_words(const MatrixOperand& operand,
                                                                      const MatrixStep& step) {
    auto* words_type = llvm::FixedVectorType::get(builder_.getInt32Ty(), kLanes);
    llvm::Value* zero = llvm::Constant::getNullValue(words_type);
    std::vector<llvm::Value*> rows(kLanes, zero);
    const bool in_memory = lies_as_words(operand, step);
    if (!in_memory && !lies_across(operand, step)) return std::nullopt;
    const std::int64_t bits = 32 / matrix_->in_word;
    for (std::int64_t word = 0; word < matrix_->words(); ++word) {
        llvm::Value*& row = rows[static_cast<std::size_t>(word)];
        const std::int64_t first = word * matrix_->in_word;
        if (in_memory) {
            if (first >= terms_of(step)) continue;
            llvm::Value* pointer = factor_address(operand, step, 0, first);
            coordinate_[operand.axis] = operand.first;
            llvm::Value* mask = mask_here();
            row = mask == nullptr
                      ? static_cast<llvm::Value*>(
                            builder_.CreateAlignedLoad(words_type, pointer, llvm::Align(4)))
                      : builder_.CreateMaskedLoad(words_type, pointer, llvm::Align(4), mask, zero);
            continue;
        }
        for (std::int64_t i = 0; i < matrix_->in_word; ++i) {
            llvm::Value* term = term_across(operand, step, first + i);
            if (error_) return rows;
            term = builder_.CreateShl(builder_.CreateZExt(term, words_type),
                                      static_cast<std::uint64_t>(i * bits));
            row = i == 0 ? term : builder_.CreateOr(row, term);
        }
    }
    return rows;
}

// Any element: into the scratch, a row a point.
void KernelEmitter::copy_elements(const MatrixOperand& operand, const MatrixStep& step) {
    const DType type = kernel_.scalars.type(operand.factor);
    const std::int64_t size = size_of(type), terms = terms_of(step);
    for (std::int64_t row = 0; row < kTileRows; ++row) {
        builder_.CreateAlignedStore(
            llvm::Constant::getNullValue(llvm::FixedVectorType::get(builder_.getInt32Ty(), kLanes)),
            row_of(operand, row), llvm::Align(64));
    }
    const AxisId axis = operand.axis;
    const auto axis_before = vector_axis_;
    const Linear base_before = base_[axis];
    const std::int64_t unit = vector_axis_ == axis ? kLanes : 1;
    const Linear base = arithmetic_.add(base_before, arithmetic_.constant(operand.first * unit));
    vector_axis_.reset();  // an element at a time
    coordinate_[axis] = 0;
    const auto one = [&](const Linear& point, const Linear& term) {
        Condition condition = term_condition(operand.row_a_point, step);
        if (!operand.row_a_point)
            condition = both(condition, inside(axis_value(axis), extent_of(axis)));
        if (condition.never) return;
        const auto copy = [&] {
            const Element value = evaluate_apart(operand.factor);
            Linear bytes = arithmetic_.scale(point, 64);
            bytes = arithmetic_.add(bytes, arithmetic_.scale(term, size));
            if (!error_) store(operand.scratch, bytes, type, value, true);
        };
        if (condition.scalar != nullptr) {
            if_then(condition.scalar, copy);
        } else {
            copy();
        }
    };
    arithmetic_.add_known(operand.scratch, {-kUnbounded, kUnbounded});
    llvm::Value* zero = builder_.getInt64(0);
    const auto count = [&](std::int64_t n) {
        return builder_.getInt64(static_cast<std::uint64_t>(n));
    };
    loop(zero, count(operand.points), {0, operand.points - 1}, true, [&](const Linear& point) {
        base_[axis] = arithmetic_.add(base, point);
        if (matrix_->inner.empty()) {
            bound_[matrix_->chunked] = true;
            loop(zero, count(terms), {0, terms - 1}, true, [&](const Linear& term) {
                const Linear from_start = matrix_->backwards
                                              ? arithmetic_.add(arithmetic_.constant(terms - 1),
                                                                arithmetic_.scale(term, -1))
                                              : term;
                base_[matrix_->chunked] = arithmetic_.add(step.start, from_start);
                one(point, term);
            });
        } else {
            for (std::int64_t term = 0; term < terms; ++term) {
                set_term(step, term);
                one(point, arithmetic_.constant(term));
            }
        }
    });
    vector_axis_ = axis_before;
    base_[axis] = base_before;
}

llvm::Value* KernelEmitter::row_of(const MatrixOperand& operand, std::int64_t row) {
    return builder_.CreateConstGEP1_64(builder_.getInt8Ty(), operand.scratch,
                                       static_cast<std::uint64_t>(64 * row));
}

void KernelEmitter::load_operand(const MatrixOperand& operand, const MatrixStep& step) {
    const std::vector<std::int64_t> coordinates = coordinate_;
    const bool in_place = load_in_place(operand, step);
    coordinate_ = coordinates;
    if (in_place) return;
    auto* words_type = llvm::FixedVectorType::get(builder_.getInt32Ty(), kLanes);
    std::optional<std::vector<llvm::Value*>> rows = rows_of_points(operand, step);
    bool of_points = rows.has_value();
    coordinate_ = coordinates;
    if (!rows) rows = rows_of_words(operand, step);
    coordinate_ = coordinates;
    if (!rows) {
        copy_elements(operand, step);
        coordinate_ = coordinates;
        of_points = true;
        if (!operand.row_a_point) {
            rows.emplace();
            for (std::int64_t row = 0; row < kTileRows; ++row)
                rows->push_back(
                    builder_.CreateAlignedLoad(words_type, row_of(operand, row), llvm::Align(64)));
        }
    }
    if (error_) return;
    if (rows) {
        if (of_points != operand.row_a_point) transpose(builder_, *rows);
        const std::int64_t count = operand.row_a_point ? operand.points : matrix_->words();
        for (std::int64_t row = 0; row < count; ++row)
            builder_.CreateAlignedStore((*rows)[static_cast<std::size_t>(row)],
                                        row_of(operand, row), llvm::Align(64));
    }
    load_tile(operand.tile, operand.scratch, builder_.getInt64(64));
}

}  // namespace netc
