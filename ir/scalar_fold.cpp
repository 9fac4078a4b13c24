// Folding of scalar operations, only where the result is to the bit what the target computes.
// f32 kernels take and give zero for subnormals, so no constant that is subnormal is computed here;
// what is folded away as an identity (x*1, x+(-0)) keeps a subnormal x as it is.
#include <bit>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "ir/scalar.h"

namespace netc {
namespace {

bool is_number(const Scalar& scalar) {
    return scalar.op == ScalarOp::constant && is_float(scalar.type);
}

bool is_integer(const Scalar& scalar) {
    return scalar.op == ScalarOp::constant && !is_float(scalar.type);
}

bool is_exactly(const Scalar& scalar, double value) {
    return is_number(scalar) &&
           std::bit_cast<std::uint64_t>(scalar.number) == std::bit_cast<std::uint64_t>(value);
}

bool is_subnormal(double value, DType type) {
    const double least = type == DType::f64 ? std::numeric_limits<double>::min()
                                            : double{std::numeric_limits<float>::min()};
    return value != 0 && std::abs(value) < least;
}

template <class T>
T compute_as(ScalarOp op, T a, T b, T c) {
    if (op == ScalarOp::neg) return -a;
    if (op == ScalarOp::abs) return std::abs(a);
    if (op == ScalarOp::add) return a + b;
    if (op == ScalarOp::mul) return a * b;
    if (op == ScalarOp::div) return a / b;
    if (op == ScalarOp::max) return a > b || a != a ? a : b;
    if (op == ScalarOp::min) return a < b || a != a ? a : b;
    if (op == ScalarOp::sqrt) return std::sqrt(a);
    if (op == ScalarOp::floor) return std::floor(a);
    return std::fma(a, b, c);
}

bool folds_on_floats(ScalarOp op) {
    return op == ScalarOp::neg || op == ScalarOp::abs || op == ScalarOp::add ||
           op == ScalarOp::mul || op == ScalarOp::div || op == ScalarOp::max ||
           op == ScalarOp::min || op == ScalarOp::sqrt || op == ScalarOp::floor ||
           op == ScalarOp::fma;
}

std::optional<double> compute(ScalarOp op, DType type, const std::vector<double>& x) {
    if (type != DType::f32 && type != DType::f64) return std::nullopt;
    for (double value : x) {
        if (is_subnormal(value, type)) return std::nullopt;
    }
    const double b = x.size() > 1 ? x[1] : 0, c = x.size() > 2 ? x[2] : 0;
    const double result =
        type == DType::f64
            ? compute_as<double>(op, x[0], b, c)
            : double{compute_as<float>(op, static_cast<float>(x[0]), static_cast<float>(b),
                                       static_cast<float>(c))};
    // The payload of a NaN differs between machines.
    if (std::isnan(result) || is_subnormal(result, type)) return std::nullopt;
    return result;
}

// The value as the type holds it: wrapped, sign extended (u8: zero extended).
std::int64_t wrap(std::uint64_t value, DType type) {
    switch (type) {
        case DType::i32: return static_cast<std::int32_t>(value);
        case DType::i16: return static_cast<std::int16_t>(value);
        case DType::i8: return static_cast<std::int8_t>(value);
        case DType::u8: return static_cast<std::uint8_t>(value);
        case DType::b1: return (value & 1) != 0;
        case DType::i64:
        case DType::f64:
        case DType::f32:
        case DType::f16:
        case DType::bf16: return static_cast<std::int64_t>(value);
    }
    return 0;
}

std::optional<std::int64_t> compute_integer(ScalarOp op, DType type, std::int64_t a,
                                            std::int64_t b) {
    const auto ua = static_cast<std::uint64_t>(a), ub = static_cast<std::uint64_t>(b);
    const int bits = static_cast<int>(size_of(type)) * 8;
    const std::uint64_t mask = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
    if (op == ScalarOp::neg) return wrap(0 - ua, type);
    if (op == ScalarOp::abs) return wrap(a < 0 ? 0 - ua : ua, type);
    if (op == ScalarOp::add) return wrap(ua + ub, type);
    if (op == ScalarOp::mul) return wrap(ua * ub, type);
    if (op == ScalarOp::max) return a > b ? a : b;
    if (op == ScalarOp::min) return a < b ? a : b;
    if (op == ScalarOp::bit_and) return wrap(ua & ub, type);
    if (op == ScalarOp::bit_or) return wrap(ua | ub, type);
    if (op == ScalarOp::bit_xor) return wrap(ua ^ ub, type);
    if (op == ScalarOp::shift_left) {
        if (b < 0 || b >= bits) return std::nullopt;
        return wrap(ua << ub, type);
    }
    if (op == ScalarOp::shift_right) {
        if (b < 0 || b >= bits) return std::nullopt;
        return wrap((ua & mask) >> ub, type);
    }
    if (op == ScalarOp::logical_and) return a & b;
    if (op == ScalarOp::logical_or) return a | b;
    if (op == ScalarOp::logical_not) return a == 0;
    return std::nullopt;
}

std::optional<bool> compare(ScalarOp op, const Scalar& a, const Scalar& b) {
    const auto decide = [op](auto x, auto y) -> std::optional<bool> {
        if (op == ScalarOp::equal) return x == y;
        if (op == ScalarOp::less) return x < y;
        if (op == ScalarOp::less_equal) return x <= y;
        return std::nullopt;
    };
    if (is_number(a) && is_number(b)) return decide(a.number, b.number);
    if (is_integer(a) && is_integer(b)) return decide(a.integer, b.integer);
    return std::nullopt;
}

bool is_power_of_two(double value) {
    int exponent = 0;
    return std::isfinite(value) && value != 0 && std::abs(std::frexp(value, &exponent)) == 0.5;
}

// Integers that fit the mantissa become floats exactly, and such floats integers.
std::optional<Scalar> fold_cast(const Scalar& from, DType to) {
    Scalar result{.op = ScalarOp::constant, .type = to, .operands = {}};
    if (is_integer(from) && !is_float(to)) {
        result.integer = to == DType::b1 ? from.integer != 0
                                         : wrap(static_cast<std::uint64_t>(from.integer), to);
        return result;
    }
    if (is_integer(from) && (to == DType::f32 || to == DType::f64)) {
        if (from.integer < -(1 << 24) || from.integer > 1 << 24) return std::nullopt;
        result.number = static_cast<double>(from.integer);
        return result;
    }
    if (!is_number(from) || from.type == DType::f16 || from.type == DType::bf16 ||
        !std::isfinite(from.number) || is_subnormal(from.number, DType::f32)) {
        return std::nullopt;
    }
    if (to == DType::f64 || to == DType::f32) {
        result.number = to == DType::f64 ? from.number : double{static_cast<float>(from.number)};
        if (is_subnormal(result.number, to)) return std::nullopt;
        return result;
    }
    if (to == DType::i64 || to == DType::i32) {
        if (std::abs(from.number) >= 0x1p31) return std::nullopt;
        result.integer = static_cast<std::int64_t>(from.number);
        return result;
    }
    return std::nullopt;
}

std::optional<Scalar> fold_bitcast(const Scalar& from, DType to) {
    Scalar result{.op = ScalarOp::constant, .type = to, .operands = {}};
    if (from.op != ScalarOp::constant) return std::nullopt;
    if (from.type == DType::f32 && to == DType::i32) {
        result.integer = std::bit_cast<std::int32_t>(static_cast<float>(from.number));
    } else if (from.type == DType::f64 && to == DType::i64) {
        result.integer = std::bit_cast<std::int64_t>(from.number);
    } else if (from.type == DType::i32 && to == DType::f32) {
        result.number = double{std::bit_cast<float>(static_cast<std::int32_t>(from.integer))};
    } else if (from.type == DType::i64 && to == DType::f64) {
        result.number = std::bit_cast<double>(from.integer);
    } else {
        return std::nullopt;
    }
    // A signalling NaN would not survive the way through double.
    if (std::isnan(result.number)) return std::nullopt;
    return result;
}

}  // namespace

ScalarId ScalarGraph::fold(Scalar scalar) {
    const std::vector<ScalarId>& x = scalar.operands;
    const Scalar& a = nodes_[x[0]];
    const ScalarOp op = scalar.op;
    bool all_numbers = true, all_integers = true;
    for (ScalarId operand : x) {
        all_numbers &= is_number(nodes_[operand]);
        all_integers &= is_integer(nodes_[operand]);
    }

    if (op == ScalarOp::cast || op == ScalarOp::bitcast) {
        if (a.type == scalar.type) return x[0];
        const auto folded =
            op == ScalarOp::cast ? fold_cast(a, scalar.type) : fold_bitcast(a, scalar.type);
        if (folded) return add_node(*folded);
        if (op == ScalarOp::bitcast && a.op == ScalarOp::bitcast) {
            return bitcast(a.operands[0], scalar.type);
        }
        return add_node(std::move(scalar));
    }
    if (op == ScalarOp::select) {
        if (x[1] == x[2]) return x[1];
        if (is_integer(a)) return a.integer != 0 ? x[1] : x[2];
        return add_node(std::move(scalar));
    }
    if (all_numbers && folds_on_floats(op)) {
        std::vector<double> values;
        for (ScalarId operand : x) values.push_back(nodes_[operand].number);
        if (const auto value = compute(op, scalar.type, values)) return number(*value, scalar.type);
    }
    if (x.size() == 2) {
        if (const auto value = compare(op, a, nodes_[x[1]])) return integer(*value, DType::b1);
    }
    if (all_integers && x.size() <= 2) {
        const std::int64_t b = x.size() > 1 ? nodes_[x[1]].integer : 0;
        if (const auto value = compute_integer(op, scalar.type, a.integer, b)) {
            return integer(*value, scalar.type);
        }
    }
    if (op == ScalarOp::neg && a.op == ScalarOp::neg) return a.operands[0];
    if (op == ScalarOp::abs && a.op == ScalarOp::abs) return x[0];
    if (op == ScalarOp::logical_not && a.op == ScalarOp::logical_not) return a.operands[0];
    if (x.size() == 2) {
        const Scalar& b = nodes_[x[1]];
        if (op == ScalarOp::mul) {
            if (is_exactly(b, 1) || (is_integer(b) && b.integer == 1)) return x[0];
            if (is_exactly(a, 1) || (is_integer(a) && a.integer == 1)) return x[1];
            if (is_exactly(b, -1)) return unary(ScalarOp::neg, x[0]);
            if (is_exactly(a, -1)) return unary(ScalarOp::neg, x[1]);
        }
        if (op == ScalarOp::add) {
            if (is_exactly(b, -0.0) || (is_integer(b) && b.integer == 0)) return x[0];
            if (is_exactly(a, -0.0) || (is_integer(a) && a.integer == 0)) return x[1];
        }
        if (op == ScalarOp::div && is_float(scalar.type)) {
            if (is_exactly(b, 1)) return x[0];
            // The quotient by a power of two is the product with its reciprocal, to the bit.
            if (is_number(b) && is_power_of_two(b.number) && std::abs(b.number) < 0x1p100 &&
                std::abs(b.number) > 0x1p-100) {
                return binary(ScalarOp::mul, x[0], number(1 / b.number, scalar.type));
            }
        }
        if ((op == ScalarOp::max || op == ScalarOp::min) && x[0] == x[1]) return x[0];
        if (op == ScalarOp::logical_and || op == ScalarOp::logical_or) {
            const bool deciding = op == ScalarOp::logical_or;
            if (is_integer(a)) return (a.integer != 0) == deciding ? x[0] : x[1];
            if (is_integer(b)) return (b.integer != 0) == deciding ? x[1] : x[0];
        }
    }
    return add_node(std::move(scalar));
}

}  // namespace netc
