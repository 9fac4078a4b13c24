// Operators on values of the static world: ints, floats, bools, strings, lists, sizes.
#include <cmath>

#include <fmt/format.h>

#include "frontend/elaborate.h"

namespace netc::frontend {

namespace {

using ast::BinaryOperator;

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
    const std::int64_t quotient = a / b;
    return quotient * b != a && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

struct Operation {
    Context& context;
    BinaryOperator op;
    Span place, op_span;

    Datum wrong(const Datum& left, const Datum& right) const {
        return report(context,
                      diagnose<Code::wrong_static_type>(
                          blame(context, op_span), fmt::format("both sides of `{}`", spelling(op)),
                          "numbers or tensors")
                          .label(blame(context, left.place), "this is {}", describe_kind(left))
                          .label(blame(context, right.place), "this is {}", describe_kind(right)));
    }
    Datum division_by_zero(const Datum& right) const {
        return report(context, diagnose<Code::wrong_static_type>(
                                   blame(context, right.place),
                                   fmt::format("the right side of `{}`", spelling(op)), "not 0"));
    }
    Datum overflow() const {
        return report(context, diagnose<Code::number_too_large>(
                                   blame(context, place),
                                   source_text(context, blame(context, place)), "an int"));
    }

    Datum integers(std::int64_t a, std::int64_t b, const Datum& right) const {
        std::int64_t result = 0;
        switch (op) {
            case BinaryOperator::add:
                if (__builtin_add_overflow(a, b, &result)) return overflow();
                return {result, place};
            case BinaryOperator::subtract:
                if (__builtin_sub_overflow(a, b, &result)) return overflow();
                return {result, place};
            case BinaryOperator::multiply:
                if (__builtin_mul_overflow(a, b, &result)) return overflow();
                return {result, place};
            case BinaryOperator::divide:
                if (b == 0) return division_by_zero(right);
                return {static_cast<double>(a) / static_cast<double>(b), place};
            case BinaryOperator::floor_divide:
            case BinaryOperator::modulo:
                if (b == 0) return division_by_zero(right);
                if (b == -1) return integers_by_minus_one(a);
                result = floor_divide(a, b);
                return {op == BinaryOperator::modulo ? a - result * b : result, place};
            case BinaryOperator::power: {
                if (b < 0) {
                    return {std::pow(static_cast<double>(a), static_cast<double>(b)), place};
                }
                result = 1;
                for (std::int64_t base = a, n = b; n > 0; n >>= 1) {
                    if ((n & 1) && __builtin_mul_overflow(result, base, &result)) return overflow();
                    if (n > 1 && __builtin_mul_overflow(base, base, &base)) return overflow();
                }
                return {result, place};
            }
            case BinaryOperator::equal: return {a == b, place};
            case BinaryOperator::not_equal: return {a != b, place};
            case BinaryOperator::less: return {a < b, place};
            case BinaryOperator::less_equal: return {a <= b, place};
            case BinaryOperator::greater: return {a > b, place};
            case BinaryOperator::greater_equal: return {a >= b, place};
            case BinaryOperator::range: return range(a, b);
            case BinaryOperator::concat:
            case BinaryOperator::matmul:
            case BinaryOperator::logical_and:
            case BinaryOperator::logical_or: break;
        }
        return wrong({a, place}, right);
    }

    Datum integers_by_minus_one(std::int64_t a) const {
        std::int64_t result = 0;
        if (op == BinaryOperator::modulo) return {result, place};
        if (__builtin_sub_overflow(std::int64_t{0}, a, &result)) return overflow();
        return {result, place};
    }

    // A size of many symbols stays one that a message can show.
    Datum checked(Datum value) const {
        const Dim* dim = value.as<Dim>();
        if (!dim || dim->to_string().size() <= kMaxDimText) return value;
        return report(context,
                      diagnose<Code::number_too_large>(blame(context, place),
                                                       source_text(context, place), "a dimension")
                          .text("a polynomial of more than {} letters", kMaxDimText));
    }

    Datum range(std::int64_t begin, std::int64_t end) const {
        std::int64_t turns = 0;
        if (__builtin_sub_overflow(end, begin, &turns)) turns = end < begin ? 0 : INT64_MAX;
        if (turns > static_cast<std::int64_t>(kNodeBudget)) {
            return report(context, diagnose<Code::node_budget>(blame(context, place), kNodeBudget)
                                       .text("a range of {} turns", turns));
        }
        Items items;
        if (end > begin && !spend(context, place, static_cast<std::size_t>(end - begin))) {
            return failed_datum();
        }
        for (std::int64_t i = begin; i < end; ++i) items.push_back({i, place});
        return make_list(std::move(items), place);
    }

    Datum floats(double a, double b, const Datum& left, const Datum& right) const {
        switch (op) {
            case BinaryOperator::add: return {a + b, place};
            case BinaryOperator::subtract: return {a - b, place};
            case BinaryOperator::multiply: return {a * b, place};
            case BinaryOperator::divide:
                if (b == 0) return division_by_zero(right);
                return {a / b, place};
            case BinaryOperator::floor_divide:
                if (b == 0) return division_by_zero(right);
                return {std::floor(a / b), place};
            case BinaryOperator::modulo:
                if (b == 0) return division_by_zero(right);
                return {a - b * std::floor(a / b), place};
            case BinaryOperator::power: return {std::pow(a, b), place};
            case BinaryOperator::equal: return {a == b, place};
            case BinaryOperator::not_equal: return {a != b, place};
            case BinaryOperator::less: return {a < b, place};
            case BinaryOperator::less_equal: return {a <= b, place};
            case BinaryOperator::greater: return {a > b, place};
            case BinaryOperator::greater_equal: return {a >= b, place};
            case BinaryOperator::concat:
            case BinaryOperator::range:
            case BinaryOperator::matmul:
            case BinaryOperator::logical_and:
            case BinaryOperator::logical_or: break;
        }
        return wrong(left, right);
    }

    // Sizes with the batch in them. What has no exact answer becomes a run-time scalar.
    Datum sizes(const Dim& a, const Dim& b, const Datum& left, const Datum& right) const {
        const Dim difference = a - b;
        switch (op) {
            case BinaryOperator::add: return integer_datum(a + b, place);
            case BinaryOperator::subtract: return integer_datum(difference, place);
            case BinaryOperator::multiply: return integer_datum(a * b, place);
            case BinaryOperator::floor_divide:
            case BinaryOperator::modulo:
                if (!b.is_static()) break;
                if (b.value() == 0) return division_by_zero(right);
                return integer_datum(op == BinaryOperator::modulo ? floor_mod(a, b.value())
                                                                  : floor_div(a, b.value()),
                                     place);
            case BinaryOperator::equal:
                if (a == b) return {true, place};
                if (difference.is_static()) return {false, place};
                break;
            case BinaryOperator::not_equal:
                if (a == b) return {false, place};
                if (difference.is_static()) return {true, place};
                break;
            case BinaryOperator::less:
            case BinaryOperator::less_equal:
            case BinaryOperator::greater:
            case BinaryOperator::greater_equal:
                if (difference.is_static()) {
                    return integers(difference.value(), 0, right);
                }
                break;
            case BinaryOperator::divide:
            case BinaryOperator::power:
            case BinaryOperator::range:
            case BinaryOperator::concat:
            case BinaryOperator::matmul:
            case BinaryOperator::logical_and:
            case BinaryOperator::logical_or: break;
        }
        return at_run_time(left, right);
    }

    // What a range goes over is unfolded while compiling.
    Datum open_range(const Datum& left, const Datum& right) const {
        const Datum& open = left.is<Dim>() ? left : right;
        const std::string size = open.as<Dim>()->to_string();
        return report(context,
                      diagnose<Code::wrong_static_type>(blame(context, op_span),
                                                        "both sides of `..`",
                                                        "ints that are known while compiling")
                          .label(blame(context, open.place), "{} is only known at run time", size)
                          .help("fix the size on the command line: `--dim {}=32`",
                                open.as<Dim>()->symbols()[0]));
    }

    // A size beside a float, or divided: both become tensors of rank 0.
    Datum at_run_time(const Datum& left, const Datum& right) const {
        if (op == BinaryOperator::range) return open_range(left, right);
        if (!context.builder) return wrong(left, right);
        return binary(context, op, number_tensor(context, left, context.real, {}, place),
                      number_tensor(context, right, context.real, {}, place), place, op_span);
    }

    Datum item_by_item(const Datum& left, const Datum& right) const {
        const Items* a = left.items();
        const Items* b = right.items();
        if (a && b && a->size() != b->size()) {
            return report(context, diagnose<Code::wrong_static_type>(
                                       blame(context, op_span),
                                       fmt::format("both sides of `{}`", spelling(op)),
                                       "lists of the same length")
                                       .text("{} items and {} items", a->size(), b->size()));
        }
        Items items;
        for (std::size_t i = 0; i < (a ? a : b)->size(); ++i) {
            items.push_back(static_binary(context, op, a ? (*a)[i] : left, b ? (*b)[i] : right,
                                          place, op_span));
            if (items.back().failed()) return failed_datum();
        }
        return make_list(std::move(items), place);
    }
};

bool is_list_of_numbers(const Datum& value) {
    const auto* list = value.as<ListValue>();
    if (!list) return false;
    for (const Datum& item : *list->items) {
        if (!item.is_number()) return false;
    }
    return true;
}

bool is_arithmetic(BinaryOperator op) {
    return op == BinaryOperator::add || op == BinaryOperator::subtract ||
           op == BinaryOperator::multiply || op == BinaryOperator::divide ||
           op == BinaryOperator::floor_divide || op == BinaryOperator::modulo;
}

}  // namespace

Datum static_binary(Context& context, BinaryOperator op, const Datum& left, const Datum& right,
                    Span place, Span op_span) {
    const Operation operation{context, op, place, op_span};
    if (op == BinaryOperator::concat) {
        if (left.items() && right.items()) {
            Items items = *left.items();
            if (!spend(context, place, items.size() + right.items()->size())) return failed_datum();
            items.insert(items.end(), right.items()->begin(), right.items()->end());
            return make_list(std::move(items), place);
        }
        if (left.is<std::string>() && right.is<std::string>()) {
            const std::size_t size =
                left.as<std::string>()->size() + right.as<std::string>()->size();
            if (!spend(context, place, size)) return failed_datum();
            return {*left.as<std::string>() + *right.as<std::string>(), place};
        }
        return report(context,
                      diagnose<Code::wrong_static_type>(blame(context, op_span),
                                                        "both sides of `++`", "lists")
                          .label(blame(context, left.place), "this is {}", describe_kind(left))
                          .label(blame(context, right.place), "this is {}", describe_kind(right)));
    }
    if (left.is<std::int64_t>() && right.is<std::int64_t>()) {
        return operation.integers(*left.as<std::int64_t>(), *right.as<std::int64_t>(), right);
    }
    if (left.is_integer() && right.is_integer()) {
        return operation.checked(operation.sizes(dim_of(left), dim_of(right), left, right));
    }
    if (left.is_number() && right.is_number()) {
        if (left.is<Dim>() || right.is<Dim>()) return operation.at_run_time(left, right);
        return operation.floats(number_of(left), number_of(right), left, right);
    }
    if (op == BinaryOperator::logical_and || op == BinaryOperator::logical_or) {
        if (left.is<bool>() && right.is<bool>()) {
            const bool a = *left.as<bool>();
            const bool b = *right.as<bool>();
            return {op == BinaryOperator::logical_and ? a && b : a || b, place};
        }
        return report(
            context,
            diagnose<Code::wrong_static_type>(
                blame(context, op_span), fmt::format("both sides of `{}`", spelling(op)), "bools")
                .label(blame(context, left.place), "this is {}", describe_kind(left))
                .label(blame(context, right.place), "this is {}", describe_kind(right)));
    }
    if (op == BinaryOperator::equal || op == BinaryOperator::not_equal) {
        const std::optional<bool> same = same_static(
            left, right, [&](std::size_t items) { return spend(context, place, items); });
        if (!same) return failed_datum();
        return {*same == (op == BinaryOperator::equal), place};
    }
    const bool lists = is_list_of_numbers(left) || is_list_of_numbers(right);
    if (is_arithmetic(op) && lists && (left.items() || left.is_number()) &&
        (right.items() || right.is_number())) {
        return operation.item_by_item(left, right);
    }
    return operation.wrong(left, right);
}

}  // namespace netc::frontend
