// The terms of a step of matrix units: which there are, where their factors lie, and in which of the forms that
// emit_operands.cpp brings.
#include <algorithm>

#include "backends/cpu/kernel_emitter.h"

namespace netc {

std::int64_t KernelEmitter::terms_of(const MatrixStep& step) const {
    return step.values * matrix_->inner_count;
}

// Binds the step's axes to a term; false where the step has no such term.
bool KernelEmitter::set_term(const MatrixStep& step, std::int64_t term) {
    const std::int64_t count = terms_of(step);
    if (term >= count) return false;
    std::int64_t rest = matrix_->backwards ? count - 1 - term : term;
    for (std::size_t i = matrix_->inner.size(); i-- > 0;) {
        const AxisId axis = matrix_->inner[i];
        const std::int64_t extent = extent_of(axis).constant;
        base_[axis] = arithmetic_.constant(rest % extent);
        bound_[axis] = true;
        rest /= extent;
    }
    base_[matrix_->chunked] = arithmetic_.add(step.start, arithmetic_.constant(rest));
    bound_[matrix_->chunked] = true;
    return true;
}

// Whether the guard asks for each term of a step anew.
bool KernelEmitter::is_of_step(const Guard& guard) const {
    return std::ranges::any_of(stage_->reduction->axes, [&](AxisId axis) {
        return matrix_->walks(axis) && guard.index.depends_on(axis);
    });
}

Condition KernelEmitter::row_is_there() {
    if (!open_rows_) return {};
    return inside(axis_value(*open_rows_), extent_of(*open_rows_));
}

// Whether the row that the coordinates say has terms, as far as that is the same for all terms of a step.
Condition KernelEmitter::row_condition() {
    Condition condition = row_is_there();
    const std::vector<Guard>& guards = stage_->reduction->guards;
    for (std::size_t g = 0; g < guards.size(); ++g) {
        if (!guard_resolved_[g] && !is_of_step(guards[g]))
            condition = both(condition, condition_of(guards[g]));
    }
    return condition;
}

// Whether the term exists that the step's axes are bound to, for the points of this operand: guards ask for rows.
Condition KernelEmitter::term_condition(bool of_rows, const MatrixStep& step) {
    Condition condition;
    if (of_rows) {
        condition = row_is_there();
        const std::vector<Guard>& guards = stage_->reduction->guards;
        for (std::size_t g = 0; g < guards.size(); ++g) {
            if (!guard_resolved_[g]) condition = both(condition, condition_of(guards[g]));
        }
    }
    if (!step.open) return condition;
    return both(condition, inside(axis_value(matrix_->chunked), extent_of(matrix_->chunked)));
}

// The read that the factor is, where it is nothing more.
const Read* KernelEmitter::read_of(const MatrixOperand& operand) const {
    const Scalar& factor = kernel_.scalars[operand.factor];
    if (factor.op != ScalarOp::read) return nullptr;
    return &kernel_.reads[static_cast<std::size_t>(factor.integer)];
}

Linear KernelEmitter::factor_bytes(const MatrixOperand& operand, const MatrixStep& step,
                                   std::int64_t point, std::int64_t term) {
    const Read& read = *read_of(operand);
    const Param& param = kernel_.params[read.source.index];
    set_term(step, term);
    const std::int64_t before = coordinate_[operand.axis];
    if (vector_axis_ == operand.axis) {
        coordinate_[operand.axis] = operand.first;
        lane_ = point;
    } else {
        coordinate_[operand.axis] = operand.first + point;
    }
    std::vector<Linear> index;
    for (const Index& one : read.index) index.push_back(linear(one));
    lane_.reset();
    coordinate_[operand.axis] = before;
    return arithmetic_.scale(offset_in(param, index), size_of(param.dtype));
}

llvm::Value* KernelEmitter::factor_address(const MatrixOperand& operand, const MatrixStep& step,
                                           std::int64_t point, std::int64_t term) {
    return arithmetic_.address(params_[read_of(operand)->source.index],
                               factor_bytes(operand, step, point, term));
}

// Bytes from the first term of the first point to this one, where that is a number.
std::optional<std::int64_t> KernelEmitter::distance(const MatrixOperand& operand,
                                                    const MatrixStep& step, std::int64_t point,
                                                    std::int64_t term) {
    const Linear first = factor_bytes(operand, step, 0, 0);
    const Linear there =
        arithmetic_.add(factor_bytes(operand, step, point, term), arithmetic_.scale(first, -1));
    if (!there.is_constant()) return std::nullopt;
    return there.constant;
}

// Whether all terms of the step are there, along one axis, in memory.
bool KernelEmitter::in_a_row(const MatrixOperand& operand, const MatrixStep& step) const {
    const Read* const read = read_of(operand);
    return read != nullptr && read->outside == Outside::never && !step.open &&
           matrix_->inner.empty();
}

// Whether the terms of a point lie side by side.
bool KernelEmitter::lies_along(const MatrixOperand& operand, const MatrixStep& step) {
    if (!in_a_row(operand, step)) return false;
    const std::int64_t terms = terms_of(step);
    const std::int64_t size = size_of(kernel_.scalars.type(operand.factor));
    const std::vector<Guard>& guards = stage_->reduction->guards;
    for (std::size_t g = 0; g < guards.size(); ++g) {
        if (!guard_resolved_[g] && is_of_step(guards[g])) return false;
    }
    return terms > 1 && distance(operand, step, 0, 1) == size &&
           distance(operand, step, 0, terms - 1) == size * (terms - 1);
}

// Whether words of terms lie side by side, one of each point.
bool KernelEmitter::lies_as_words(const MatrixOperand& operand, const MatrixStep& step) {
    if (operand.row_a_point || !in_a_row(operand, step)) return false;
    const std::int64_t terms = terms_of(step);
    const std::int64_t size = size_of(kernel_.scalars.type(operand.factor));
    if (terms % matrix_->in_word != 0 || distance(operand, step, 1, 0) != 4 ||
        distance(operand, step, kLanes - 1, 0) != 4 * (kLanes - 1)) {
        return false;
    }
    for (std::int64_t term = 0; term < terms; term += matrix_->in_word) {
        const auto first = distance(operand, step, 0, term);
        const auto last = distance(operand, step, 0, term + matrix_->in_word - 1);
        if (!first || !last || *last - *first != size * (matrix_->in_word - 1)) return false;
    }
    return true;
}

// Whether the points lie side by side, for each term.
bool KernelEmitter::lies_across(const MatrixOperand& operand, const MatrixStep& step) {
    const std::int64_t size = size_of(kernel_.scalars.type(operand.factor));
    const std::int64_t last = operand.row_a_point ? operand.points - 1 : kLanes - 1;
    return read_of(operand) != nullptr && last > 0 && distance(operand, step, 1, 0) == size &&
           distance(operand, step, last, 0) == size * last;
}

}  // namespace netc
