// The functions of f64 as formulas: the methods of expand_f32.cpp with longer series. erf and pow are
// missing: nullopt.
#include "backends/expand_f64.h"

#include <array>
#include <limits>

namespace netc {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kLog2E = 1.44269504088896341;
constexpr double kLn2High = 0x1.62e42feep-1;  // 32 bits: products with exponents are exact
constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
constexpr double kRound = 0x1.8p52;

// 1/2!, 1/3!, ... : e^r = 1 + r + r^2 q(r)
constexpr std::array<double, 13> exp_series() {
    std::array<double, 13> result{0.5};
    for (std::size_t k = 1; k < result.size(); ++k) {
        result[k] = result[k - 1] / (static_cast<double>(k) + 2);
    }
    return result;
}

// sin(x) = x + x z s(z) from first = 1, cos(x) = 1 - z/2 + z^2 c(z) from first = 2
constexpr std::array<double, 8> circle_series(int first) {
    std::array<double, 8> result{};
    double term = first == 1 ? -1.0 / 6 : 1.0 / 24;
    int n = first == 1 ? 3 : 4;
    for (double& each : result) {
        each = term;
        term = -term / ((n + 1) * (n + 2));
        n += 2;
    }
    return result;
}

struct Reduced {
    ScalarId rounded, rest;
};

Reduced reduce(Formula& f, ScalarId x) {
    const ScalarId rounded = f.fma(x, kLog2E, f.like(x, kRound));
    const ScalarId n = f.add(rounded, -kRound);
    return {rounded, f.fma(n, -kLn2Low, f.fma(n, -kLn2High, x))};
}

ScalarId exp_of(Formula& f, ScalarId x) {
    const Reduced reduced = reduce(f, x);
    const ScalarId r = reduced.rest;
    const ScalarId y = f.fma(f.polynomial(r, exp_series()), f.mul(r, r), f.add(r, 1.0));
    const ScalarId scaled = f.from_bits(
        f.graph.binary(ScalarOp::add, f.bits(y), f.shift_left(f.bits(reduced.rounded), 52)));
    const ScalarId upper = f.select(f.less(x, 709.782712893384), scaled, f.mul(x, kInfinity));
    return f.select(f.less(x, -708.3964185322641), f.like(x, 0), upper);
}

ScalarId expm1_of(Formula& f, ScalarId argument) {
    const ScalarId x = f.at_least(argument, -40);
    const Reduced reduced = reduce(f, x);
    const ScalarId r = reduced.rest;
    const ScalarId p = f.fma(f.polynomial(r, exp_series()), f.mul(r, r), r);
    const ScalarId half = f.from_bits(
        f.integer_add(f.shift_left(f.bits(reduced.rounded), 52), std::int64_t{1022} << 52));
    const ScalarId y = f.fma(half, p, f.add(half, -0.5));
    const ScalarId result = f.select(f.equal(reduced.rounded, kRound), p, f.add(y, y));
    return f.select(f.less(x, 709.782712893384), result, f.mul(x, kInfinity));
}

struct Parts {
    ScalarId exponent_bits, exponent, mantissa;
};

Parts split(Formula& f, ScalarId x) {
    const ScalarId bits = f.bits(x);
    constexpr std::int64_t kShift = 0x3ff0000000000000 - 0x3fe5555555555555;
    const ScalarId e = f.integer_add(f.shift_right(f.integer_add(bits, kShift), 52), -1023);
    const ScalarId exponent_bits = f.shift_left(e, 52);
    const ScalarId mantissa =
        f.graph.binary(ScalarOp::add, bits, f.graph.unary(ScalarOp::neg, exponent_bits));
    return {exponent_bits, f.graph.cast(e, DType::f64), f.from_bits(mantissa)};
}

// e ln 2 + log(1 + g) = e ln 2 + 2 atanh(s), s = g / (2 + g)
ScalarId log_of_parts(Formula& f, ScalarId exponent, ScalarId g) {
    std::array<double, 12> atanh{};
    for (std::size_t k = 0; k < atanh.size(); ++k) atanh[k] = 2 / (2 * static_cast<double>(k) + 3);
    const ScalarId s = f.div(g, f.add(g, 2.0));
    const ScalarId z = f.mul(s, s);
    // 2 s = g - s g, so that g enters without an error.
    const ScalarId tail =
        f.fma(s, f.sub(f.mul(z, f.polynomial(z, atanh)), g), f.mul(exponent, kLn2Low));
    return f.fma(exponent, kLn2High, f.add(tail, g));
}

ScalarId with_specials(Formula& f, ScalarId x, ScalarId result) {
    const ScalarId special = f.select(f.equal(x, 0.0), f.like(x, -kInfinity),
                                      f.select(f.less(x, 0.0), f.like(x, kNaN), x));
    return f.select(f.both(f.less(0.0, x), f.less(x, kInfinity)), result, special);
}

ScalarId log_of(Formula& f, ScalarId x) {
    const Parts parts = split(f, x);
    return with_specials(f, x, log_of_parts(f, parts.exponent, f.add(parts.mantissa, -1.0)));
}

ScalarId log1p_of(Formula& f, ScalarId x) {
    const ScalarId u = f.add(x, 1.0);
    const Parts parts = split(f, u);
    const ScalarId lost =
        f.select(f.less(x, 1.0), f.sub(x, f.add(u, -1.0)), f.add(f.sub(x, u), 1.0));
    const ScalarId scale_bits =
        f.integer_add(f.graph.unary(ScalarOp::neg, parts.exponent_bits), std::int64_t{1023} << 52);
    const ScalarId scale = f.from_bits(f.op(ScalarOp::max, scale_bits, 0));
    const ScalarId rest = f.fma(lost, scale, f.add(parts.mantissa, -1.0));
    return with_specials(f, u, log_of_parts(f, parts.exponent, rest));
}

ScalarId tanh_of(Formula& f, ScalarId x) {
    const ScalarId a = f.at_most(f.abs(x), 22);
    const ScalarId e = expm1_of(f, f.add(a, a));
    const ScalarId y = f.div(e, f.add(e, 2.0));
    const ScalarId sign = f.bit_and(f.bits(x), std::numeric_limits<std::int64_t>::min());
    return f.from_bits(f.graph.binary(ScalarOp::bit_or, f.bits(y), sign));
}

// Three parts of pi/2; good for |x| below 2^27, NaN beyond.
ScalarId sin_or_cos(Formula& f, ScalarId x, bool is_cos) {
    const ScalarId rounded = f.fma(x, 0.63661977236758134, f.like(x, kRound));
    const ScalarId n = f.add(rounded, -kRound);
    ScalarId angle = f.fma(n, -0x1.921fb54442d18p+0, x);
    angle = f.fma(n, -0x1.1a62633145c07p-54, angle);
    angle = f.fma(n, 0x1.f1976b7ed8fbcp-110, angle);
    const ScalarId quadrant = f.integer_add(f.bits(rounded), is_cos ? 1 : 0);
    const ScalarId z = f.mul(angle, angle);
    const ScalarId sine = f.fma(f.mul(angle, z), f.polynomial(z, circle_series(1)), angle);
    const ScalarId cosine =
        f.fma(f.mul(z, z), f.polynomial(z, circle_series(2)), f.fma(z, -0.5, f.like(z, 1)));
    const ScalarId odd = f.equal(f.bit_and(quadrant, 1), f.integer(1, DType::i64));
    const ScalarId sign = f.shift_left(f.bit_and(quadrant, 2), 62);
    const ScalarId y =
        f.from_bits(f.graph.binary(ScalarOp::bit_xor, f.bits(f.select(odd, cosine, sine)), sign));
    return f.select(f.less(f.abs(x), 0x1p27), y, f.like(x, kNaN));
}

}  // namespace

std::optional<ScalarId> expand_f64(Formula& f, ScalarOp op, ScalarId x) {
    if (op == ScalarOp::exp) return exp_of(f, x);
    if (op == ScalarOp::expm1) return expm1_of(f, x);
    if (op == ScalarOp::log) return log_of(f, x);
    if (op == ScalarOp::log1p) return log1p_of(f, x);
    if (op == ScalarOp::sin) return sin_or_cos(f, x, false);
    if (op == ScalarOp::cos) return sin_or_cos(f, x, true);
    if (op == ScalarOp::tanh) return tanh_of(f, x);
    return std::nullopt;
}

}  // namespace netc
