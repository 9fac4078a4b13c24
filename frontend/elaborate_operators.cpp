// Operators of the surface language where a tensor takes part: they become graph operators with
// explicit broadcasts. What has no tensor goes to elaborate_static.cpp.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/elaborate.h"

namespace netc::frontend {

using ast::BinaryOperator;

namespace {

// `x |> linear(8) + x` reads as x |> (linear(8) + x).
Datum layer_operand(Context& context, BinaryOperator op, const Datum& left, const Datum& right,
                    Span op_span) {
    const Datum& layer = left.function() ? left : right;
    const Datum& other = left.function() ? right : left;
    Diagnostic diagnostic =
        diagnose<Code::arithmetic_on_layer>(blame(context, op_span), spelling(op));
    const std::string text = source_text(context, layer.place);
    if (context.pipe && left.function()) {
        const std::string piped = source_text(context, context.pipe->first.get()->span, 30);
        diagnostic.primary.text =
            fmt::format("`|>` binds more loosely than `{}`, so this reads  {} |> ({} {} {})",
                        spelling(op), piped, text, spelling(op), source_text(context, other.place));
        diagnostic.helps.push_back(fmt::format("write `({} |> {}) {} {}`", piped, text,
                                               spelling(op), source_text(context, other.place)));
        if (op == BinaryOperator::add && source_text(context, other.place) == piped) {
            diagnostic.helps.back() += fmt::format(", or `{} |> residual({})`", piped, text);
        }
    } else {
        diagnostic.helps.push_back(
            fmt::format("let a tensor flow through it first: `x |> {}`", text));
    }
    return report(context, std::move(diagnostic)
                               .label(blame(context, layer.place), "a {}",
                                      layer.function()->is_layer() ? "layer" : "function"));
}

// What a label says of an operand: its type and where it comes from.
std::string operand_text(const Tensor& tensor) {
    std::string text = tensor.type.to_string();
    switch (tensor.role) {
        case Role::expression: break;
        case Role::input: text += ", the input `" + tensor.name + "`"; break;
        case Role::target: text += ", the target `" + tensor.name + "`"; break;
        case Role::output: text += ", output of the model"; break;
        case Role::parameter: text += ", the parameter `" + tensor.name + "`"; break;
        case Role::state: text += ", the state `" + tensor.name + "`"; break;
    }
    return text;
}

// Branches of one rank that merely have other sizes: a residual connection that does not fit.
bool is_branch_mismatch(const Tensor& left, const Tensor& right) {
    if (left.type.rank() != right.type.rank() || left.type.rank() < 2) return false;
    for (std::size_t i = 0; i < left.type.rank(); ++i) {
        if (left.type.shape[i] == Dim(1) || right.type.shape[i] == Dim(1)) return false;
    }
    return true;
}

Datum branches_error(Context& context, std::string_view op, const Tensor& left, const Tensor& right,
                     Span left_place, Span right_place, Span op_span) {
    const Shape& a = left.type.shape;
    const Shape& b = right.type.shape;
    std::size_t at = 0;
    while (at < a.size() && a[at] == b[at]) ++at;
    Diagnostic diagnostic = diagnose<Code::branches_differ>(op_span, op)
                                .text("dimension {} differs: {} here, {} there", at,
                                      a[at].to_string(), b[at].to_string())
                                .label(left_place, "{}", operand_text(left))
                                .label(right_place, "{}", operand_text(right));
    const auto origin = [&](const Tensor& tensor) {
        const Span place = blame(context, tensor.origins[at]);
        if (!place.known() || tensor.role != Role::expression) return;
        if (place == left_place || place == right_place) return;
        diagnostic.notes.push_back(
            {fmt::format("the {} comes from `{}`", tensor.type.shape[at].to_string(),
                         source_text(context, place, 40)),
             {place, ""}});
    };
    origin(left);
    origin(right);
    bool only_channels = at == 1;
    for (std::size_t i = at + 1; i < a.size(); ++i) only_channels &= a[i] == b[i];
    if (only_channels && a.size() == 4 && a[1].is_static()) {
        diagnostic.helps.push_back(fmt::format("project the shortcut: `{} |> conv({}, k=1)`",
                                               source_text(context, right_place, 30),
                                               a[1].to_string()));
    }
    return report(context, std::move(diagnostic));
}

}  // namespace

Datum shapes_error(Context& context, std::string_view op, const Tensor& left, const Tensor& right,
                   Span left_place, Span right_place, Span op_span) {
    left_place = blame(context, left_place);
    right_place = blame(context, right_place);
    op_span = blame(context, op_span);
    if (is_branch_mismatch(left, right)) {
        return branches_error(context, op, left, right, left_place, right_place, op_span);
    }
    Diagnostic diagnostic = diagnose<Code::shapes_do_not_line_up>(op_span, left.type.to_string(),
                                                                  right.type.to_string())
                                .label(left_place, "{}", operand_text(left))
                                .label(right_place, "{}", operand_text(right));
    const bool column_left =
        left.type.rank() == 2 && right.type.rank() == 1 && left.type.shape[1] == Dim(1);
    const bool column_right =
        right.type.rank() == 2 && left.type.rank() == 1 && right.type.shape[1] == Dim(1);
    if (column_left || column_right) {
        const Tensor& column = column_left ? left : right;
        const Tensor& vector = column_left ? right : left;
        if (column.type.shape[0] == vector.type.shape[0]) {
            std::move(diagnostic)
                .note("NumPy would stretch this to {}[{}, {}] and compute a "
                      "meaningless result",
                      name_of(column.type.dtype), column.type.shape[0].to_string(),
                      vector.type.shape[0].to_string());
            const Span column_place = column_left ? left_place : right_place;
            std::string text = source_text(context, column_place, 30);
            if (text.find(' ') != std::string::npos) text = "(" + text + ")";
            const std::string squeeze = fmt::format("squeeze the other side with `{}[:, 0]`", text);
            if (vector.role == Role::target) {
                std::move(diagnostic)
                    .help("declare `target {}: {}`, or {}", vector.name, column.type.to_string(),
                          squeeze);
            } else {
                std::move(diagnostic).help("{}", squeeze);
            }
        }
    }
    for (const Tensor* tensor : {&left, &right}) {
        if (tensor->role == Role::target || tensor->role == Role::input) {
            std::move(diagnostic).label(tensor->place, "`{}` is declared here", tensor->name);
        }
    }
    return report(context, std::move(diagnostic));
}

namespace {

struct Prepared {
    Datum left, right;
    bool ok = false;
};

// Both sides as tensors of one dtype and shape.
Prepared prepare(Context& context, BinaryOperator op, const Datum& left, const Datum& right,
                 Span place, Span op_span) {
    const Tensor* a = left.tensor();
    const Tensor* b = right.tensor();
    const DType dtype = (a ? a : b)->type.dtype;
    const Shape& shape = (a ? a : b)->type.shape;
    Prepared prepared;
    prepared.left = left;
    prepared.right = right;
    if (!a || !b) {
        const Datum& number = a ? right : left;
        if (!number.is_number() && !number.is<bool>()) {
            if (!number.failed()) as_tensor(context, number, dtype, place);
            return prepared;
        }
        if (number.is<bool>() && dtype != DType::b1) {
            report(context, diagnose<Code::dtypes_differ>(blame(context, op_span),
                                                          (a ? a : b)->type.to_string(), "bool")
                                .label(blame(context, number.place), "a truth value"));
            return prepared;
        }
        (a ? prepared.right : prepared.left) = number_tensor(context, number, dtype, shape, place);
        prepared.ok = !(a ? prepared.right : prepared.left).failed();
        return prepared;
    }
    if (a->type.dtype != b->type.dtype) {
        Diagnostic diagnostic =
            diagnose<Code::dtypes_differ>(blame(context, op_span), a->type.to_string(),
                                          b->type.to_string())
                .label(blame(context, left.place), "{}", operand_text(*a))
                .label(blame(context, right.place), "{}", operand_text(*b));
        const Datum& narrow = is_float(a->type.dtype) ? right : left;
        std::move(diagnostic)
            .help("convert one side: `cast({}, {})`",
                  source_text(context, blame(context, narrow.place), 30),
                  name_of(is_float(a->type.dtype) ? a->type.dtype : b->type.dtype));
        report(context, std::move(diagnostic));
        return prepared;
    }
    const std::optional<Shape> common = broadcast_shapes(a->type.shape, b->type.shape);
    if (!common) {
        shapes_error(context, spelling(op), *a, *b, left.place, right.place, op_span);
        return prepared;
    }
    prepared.left = broadcast_to(context, left, *common, place);
    prepared.right = broadcast_to(context, right, *common, place);
    prepared.ok = !prepared.left.failed() && !prepared.right.failed();
    return prepared;
}

Datum wrong_dtype(Context& context, BinaryOperator op, const Tensor& tensor, Span op_span,
                  std::string_view wanted) {
    return report(context, diagnose<Code::wrong_static_type>(
                               blame(context, op_span),
                               fmt::format("the operands of `{}`", spelling(op)), wanted)
                               .text("found {}", tensor.type.to_string()));
}

Datum elementwise(Context& context, BinaryOperator op, const Datum& left, const Datum& right,
                  Span place, Span op_span) {
    const Tensor* a = left.tensor();
    const Tensor* b = right.tensor();
    const DType dtype = a->type.dtype;
    const auto node = [&](OpId id, const Tensor* x, const Tensor* y) {
        return make_node(context, id, {x, y}, {}, place);
    };
    const bool logical = op == BinaryOperator::logical_and || op == BinaryOperator::logical_or;
    const bool comparison = op == BinaryOperator::equal || op == BinaryOperator::not_equal;
    if (logical != (dtype == DType::b1) && !comparison) {
        return wrong_dtype(context, op, *a, op_span, logical ? "b1" : "numbers");
    }
    switch (op) {
        case BinaryOperator::add: return node(OpId::add, a, b);
        case BinaryOperator::subtract: return node(OpId::sub, a, b);
        case BinaryOperator::multiply: return node(OpId::mul, a, b);
        case BinaryOperator::divide:
            if (!is_float(dtype)) {
                return wrong_dtype(context, op, *a, op_span, "real tensors; convert with `cast`");
            }
            return node(OpId::div, a, b);
        case BinaryOperator::floor_divide:
        case BinaryOperator::modulo: {
            if (!is_float(dtype)) {
                return report(context, diagnose<Code::not_supported_yet>(
                                           blame(context, op_span),
                                           fmt::format("`{}` of int tensors", spelling(op))));
            }
            const Datum quotient = node(OpId::div, a, b);
            if (quotient.failed()) return quotient;
            const Datum whole = make_node(context, OpId::floor, {quotient.tensor()}, {}, place);
            if (whole.failed() || op == BinaryOperator::floor_divide) return whole;
            const Datum part = node(OpId::mul, whole.tensor(), b);
            return part.failed() ? part : node(OpId::sub, a, part.tensor());
        }
        case BinaryOperator::power: return node(OpId::pow, a, b);
        case BinaryOperator::equal: return node(OpId::equal, a, b);
        case BinaryOperator::not_equal: {
            const Datum equal = node(OpId::equal, a, b);
            if (equal.failed()) return equal;
            return make_node(context, OpId::logical_not, {equal.tensor()}, {}, place);
        }
        case BinaryOperator::less: return node(OpId::less, a, b);
        case BinaryOperator::less_equal: return node(OpId::less_equal, a, b);
        case BinaryOperator::greater: return node(OpId::less, b, a);
        case BinaryOperator::greater_equal: return node(OpId::less_equal, b, a);
        case BinaryOperator::logical_and: return node(OpId::logical_and, a, b);
        case BinaryOperator::logical_or: return node(OpId::logical_or, a, b);
        case BinaryOperator::concat:
        case BinaryOperator::matmul:
        case BinaryOperator::range: break;
    }
    return wrong_dtype(context, op, *a, op_span, "static");
}

}  // namespace

Datum binary(Context& context, BinaryOperator op, const Datum& left, const Datum& right, Span place,
             Span op_span) {
    if (left.failed() || right.failed()) return failed_datum();
    const bool equality = op == BinaryOperator::equal || op == BinaryOperator::not_equal;
    if ((left.function() || right.function()) && !equality) {
        return layer_operand(context, op, left, right, op_span);
    }
    if (op == BinaryOperator::matmul) return matmul(context, left, right, place, op_span);
    if (!left.tensor() && !right.tensor()) {
        return static_binary(context, op, left, right, place, op_span);
    }
    if (op == BinaryOperator::concat || op == BinaryOperator::range) {
        const Datum& tensor = left.tensor() ? left : right;
        return report(
            context,
            diagnose<Code::wrong_static_type>(blame(context, tensor.place),
                                              fmt::format("a side of `{}`", spelling(op)),
                                              op == BinaryOperator::range ? "an int" : "a list")
                .text("this is {}", describe_kind(tensor))
                .help_text(op == BinaryOperator::concat ? "join tensors with `concat(axis)(a, b)`"
                                                        : ""));
    }
    // Squares are products: exact, and cheap.
    const bool square = op == BinaryOperator::power && left.tensor() && right.is_number() &&
                        !right.is<Dim>() && number_of(right) == 2;
    if (square) {
        return make_node(context, OpId::mul, {left.tensor(), left.tensor()}, {}, place);
    }
    const Prepared prepared = prepare(context, op, left, right, place, op_span);
    if (!prepared.ok) return failed_datum();
    return elementwise(context, op, prepared.left, prepared.right, place, op_span);
}

Datum negate(Context& context, const Datum& value, Span place, Span op_span) {
    if (value.failed()) return value;
    if (const auto* integer = value.as<std::int64_t>()) {
        if (*integer != INT64_MIN) return {-*integer, place};
        const Span at = blame(context, place);
        return report(context,
                      diagnose<Code::number_too_large>(at, source_text(context, at), "an int"));
    }
    if (const Dim* dim = value.as<Dim>()) return integer_datum(Dim(0) - *dim, place);
    if (const double* number = value.as<double>()) return {-*number, place};
    if (const Tensor* tensor = value.tensor()) {
        if (tensor->type.dtype != DType::b1) {
            return make_node(context, OpId::neg, {tensor}, {}, place);
        }
    }
    if (value.function()) {
        return report(context, diagnose<Code::arithmetic_on_layer>(blame(context, op_span), "-"));
    }
    return report(context, diagnose<Code::wrong_static_type>(blame(context, value.place),
                                                             "the operand of `-`", "a number")
                               .text("this is {}", describe_kind(value)));
}

Datum logical_not(Context& context, const Datum& value, Span place) {
    if (value.failed()) return value;
    if (const bool* truth = value.as<bool>()) return {!*truth, place};
    if (const Tensor* tensor = value.tensor(); tensor && tensor->type.dtype == DType::b1) {
        return make_node(context, OpId::logical_not, {tensor}, {}, place);
    }
    return report(context, diagnose<Code::wrong_static_type>(blame(context, value.place),
                                                             "the operand of `not`", "a bool")
                               .text("this is {}", describe_kind(value)));
}

namespace {

// The letters of `count` axes from a letter on.
std::string letters(char first, std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += static_cast<char>(first + static_cast<char>(i));
    return text;
}

Datum inner_error(Context& context, const Datum& left, const Datum& right, Span op_span) {
    const Tensor& a = *left.tensor();
    const Tensor& b = *right.tensor();
    const std::size_t inner = b.type.rank() >= 2 ? b.type.rank() - 2 : 0;
    const Dim& last = a.type.shape.back();
    const Dim& first = b.type.shape[inner];
    Diagnostic diagnostic =
        diagnose<Code::inner_dimensions_differ>(blame(context, op_span), "@", last.to_string(),
                                                first.to_string())
            .text("the operator")
            .label(blame(context, left.place), "{}; its last dimension is {}", a.type.to_string(),
                   last.to_string())
            .label(blame(context, right.place), "{}; its {} dimension is {}", b.type.to_string(),
                   inner == 0 ? "first" : "second last", first.to_string());
    const Span origin = blame(context, a.origins.back());
    if (origin.known() && a.role == Role::expression && !(origin == blame(context, left.place))) {
        std::move(diagnostic)
            .note_at(origin, fmt::format("the {} comes from here", last.to_string()),
                     "the left side is {}", a.type.to_string());
    } else if (origin.known()) {
        std::move(diagnostic).label(origin, "the {} comes from here", last.to_string());
    }
    if (b.role == Role::parameter) {
        std::move(diagnostic)
            .help("`{}` fixes its input width; declare it with the size that the "
                  "signature binds, such as `param {}: real[I, ...]` for "
                  "`x: real[B, I]`",
                  b.name, b.name);
    }
    return report(context, std::move(diagnostic));
}

}  // namespace

// [*S, I] @ [I, O], [*S, I] @ [I], and [*S, M, K] @ [*S, K, N].
Datum matmul(Context& context, const Datum& left, const Datum& right, Span place, Span op_span) {
    const Tensor* a = left.tensor();
    const Tensor* b = right.tensor();
    if (!a || !b || a->type.rank() == 0 || b->type.rank() == 0) {
        const Datum& wrong = !a || a->type.rank() == 0 ? left : right;
        return report(
            context, diagnose<Code::wrong_static_type>(blame(context, wrong.place), "a side of `@`",
                                                       "a tensor with at least one dimension")
                         .text("this is {}", describe_kind(wrong)));
    }
    if (a->type.dtype != b->type.dtype || !is_float(a->type.dtype)) {
        return report(context,
                      diagnose<Code::dtypes_differ>(blame(context, op_span), a->type.to_string(),
                                                    b->type.to_string()));
    }
    const std::size_t rank = b->type.rank();
    const std::size_t inner = rank >= 2 ? rank - 2 : 0;
    if (!(a->type.shape.back() == b->type.shape[inner])) {
        return inner_error(context, left, right, op_span);
    }
    const std::string rows = letters('a', a->type.rank() - 1);
    std::string spec;
    if (rank <= 2) {
        spec = rows + "y," + (rank == 2 ? "yz" : "y") + "->" + rows + (rank == 2 ? "z" : "");
    } else {
        const bool fits =
            a->type.rank() == rank &&
            std::equal(a->type.shape.begin(), a->type.shape.end() - 2, b->type.shape.begin());
        if (!fits) {
            return shapes_error(context, "@", *a, *b, left.place, right.place, op_span);
        }
        const std::string outer = letters('a', rank - 2);
        spec = rows + "y," + outer + "yz->" + rows + "z";
    }
    return make_node(context, OpId::einsum, {a, b}, {{"spec", spec}}, place);
}

}  // namespace netc::frontend
