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
    return guard.index.depends_on(matrix_->chunked) ||
           std::ranges::any_of(matrix_->inner,
                               [&](AxisId axis) { return guard.index.depends_on(axis); });
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

Linear KernelEmitter::factor_bytes(const MatrixOperand& operand, const MatrixStep& step,
                                   std::int64_t point, std::int64_t term) {
    const Read& read =
        kernel_.reads[static_cast<std::size_t>(kernel_.scalars[operand.factor].integer)];
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

// Whether the terms of a point lie side by side.
bool KernelEmitter::lies_along(const MatrixOperand& operand, const MatrixStep& step) {
    const Scalar& factor = kernel_.scalars[operand.factor];
    const std::int64_t terms = terms_of(step), size = size_of(factor.type);
    const bool plain =
        factor.op == ScalarOp::read &&
        kernel_.reads[static_cast<std::size_t>(factor.integer)].outside == Outside::never;
    const std::vector<Guard>& guards = stage_->reduction->guards;
    for (std::size_t g = 0; g < guards.size(); ++g) {
        if (!guard_resolved_[g] && is_of_step(guards[g])) return false;
    }
    return plain && !step.open && matrix_->inner.empty() && terms > 1 &&
           distance(operand, step, 0, 1) == size &&
           distance(operand, step, 0, terms - 1) == size * (terms - 1);
}

// Whether words of terms lie side by side, one of each point.
bool KernelEmitter::lies_as_words(const MatrixOperand& operand, const MatrixStep& step) {
    const Scalar& factor = kernel_.scalars[operand.factor];
    const std::int64_t terms = terms_of(step), size = size_of(factor.type);
    const bool plain =
        factor.op == ScalarOp::read &&
        kernel_.reads[static_cast<std::size_t>(factor.integer)].outside == Outside::never;
    if (!plain || operand.row_a_point || step.open || !matrix_->inner.empty() ||
        terms % matrix_->in_word != 0 || distance(operand, step, 1, 0) != 4 ||
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
    const Scalar& factor = kernel_.scalars[operand.factor];
    const std::int64_t size = size_of(factor.type);
    const std::int64_t last = operand.row_a_point ? operand.points - 1 : kLanes - 1;
    return factor.op == ScalarOp::read && last > 0 && distance(operand, step, 1, 0) == size &&
           distance(operand, step, last, 0) == size * last;
}

}  // namespace netc
