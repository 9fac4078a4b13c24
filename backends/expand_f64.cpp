// The functions of f64 as formulas: the methods of expand_f32.cpp with longer series, where a second
// number carries what the first one lost. sin and cos have a file of their own.
#include "backends/expand_f64.h"

#include <array>
#include <limits>

#include "backends/expand_pow.h"
#include "backends/function_coefficients_f64.h"

namespace netc::f64 {
using namespace coefficients;
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kLog2E = 1.44269504088896341;
constexpr double kLn2High = 0x1.62e42feep-1;  // 32 bits: products with exponents are exact
constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
constexpr double kRound = 0x1.8p52;
constexpr double kTooLarge = 0x1.62e42fefa39fp+9;  // e^x overflows from here on

// 1/2!, 1/3!, ... : e^r = 1 + r + r^2 q(r)
constexpr std::array<double, 13> exp_series() {
    std::array<double, 13> result{0.5};
    for (std::size_t k = 1; k < result.size(); ++k) {
        result[k] = result[k - 1] / (static_cast<double>(k) + 2);
    }
    return result;
}

// x = n ln 2 + rest + error, and e^(rest + error) = 1 + rest + tail
struct Reduced {
    ScalarId rounded;  // n + kRound
    ScalarId rest, tail;
};

Reduced reduce(Formula& f, ScalarId x, ScalarId x_low = kNoScalar) {
    const ScalarId rounded = f.fma(x, kLog2E, f.like(x, kRound));
    const ScalarId n = f.add(rounded, -kRound);
    const ScalarId high = f.fma(n, -kLn2High, x);
    Twofold rest{f.fma(n, -kLn2Low, high), kNoScalar};
    rest.low = f.fma(n, -kLn2Low, f.sub(high, rest.high));
    if (x_low != kNoScalar) rest = exact_sum(f, rest.high, f.add(rest.low, x_low));
    const ScalarId square = f.mul(rest.high, rest.high);
    return {rounded, rest.high, f.fma(f.polynomial(rest.high, exp_series()), square, rest.low)};
}

// e^(x + low) for any x; low is small against x.
ScalarId exp_of(Formula& f, ScalarId argument, ScalarId low = kNoScalar) {
    const ScalarId x = f.at_least(argument, -746);
    const Reduced reduced = reduce(f, x, low);
    const ScalarId y = f.add(f.add(reduced.rest, reduced.tail), 1.0);
    // n goes into the exponent of y, by way of 2^200 where the result may be subnormal.
    const ScalarId small = f.less(x, -700.0);
    const ScalarId up =
        f.select(small, f.integer(std::int64_t{200} << 52, DType::i64), f.integer(0, DType::i64));
    const ScalarId down = f.select(small, f.like(x, 0x1p-200), f.like(x, 1));
    const auto sum = [&](ScalarId a, ScalarId b) { return f.graph.binary(ScalarOp::add, a, b); };
    const ScalarId exponent = f.shift_left(f.bits(reduced.rounded), 52);
    const ScalarId scaled = f.mul(f.from_bits(sum(sum(f.bits(y), exponent), up)), down);
    return f.select(f.less(x, kTooLarge), scaled, f.mul(x, kInfinity));
}

struct Parts {
    ScalarId exponent_bits, exponent, mantissa;  // mantissa in [2/3, 4/3)
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

// Of subnormal numbers too.
Parts split_any(Formula& f, ScalarId x) {
    const ScalarId small = f.less(x, std::numeric_limits<double>::min());
    Parts parts = split(f, f.select(small, f.mul(x, 0x1p54), x));
    parts.exponent = f.add(parts.exponent, f.select(small, f.like(x, -54), f.like(x, 0)));
    return parts;
}

// 1 / (2k + 1) from k = first: atanh(s) = s (1 + z/3 + z^2/5 + ...), z = s^2
template <std::size_t count>
constexpr std::array<double, count> atanh_series(int first) {
    std::array<double, count> result{};
    for (double& each : result) each = 1.0 / (2 * first++ + 1);
    return result;
}

// e ln 2 + log(1 + g) = e ln 2 + 2 atanh(s), s = g / (2 + g)
ScalarId log_of_parts(Formula& f, ScalarId exponent, ScalarId g) {
    const ScalarId s = f.div(g, f.add(g, 2.0));
    const ScalarId z = f.mul(s, s);
    const ScalarId series = f.mul(f.mul(z, 2.0), f.polynomial(z, atanh_series<12>(1)));
    // 2 s = g - s g, so that g enters without an error.
    const ScalarId tail = f.fma(s, f.sub(series, g), f.mul(exponent, kLn2Low));
    return f.fma(exponent, kLn2High, f.add(tail, g));
}

// log of what is no positive number: 0 gives -inf, negative NaN; inf and NaN stay.
ScalarId with_log_specials(Formula& f, ScalarId x, ScalarId result) {
    const ScalarId special = f.select(f.equal(x, 0.0), f.like(x, -kInfinity),
                                      f.select(f.less(x, 0.0), f.like(x, kNaN), x));
    return f.select(f.both(f.less(0.0, x), f.less(x, kInfinity)), result, special);
}

// ln x of a positive finite number, to 2^-65.
Twofold twofold_log(Formula& f, ScalarId x) {
    const Parts parts = split_any(f, x);
    const ScalarId m = parts.mantissa;
    const ScalarId numerator = f.add(m, -1.0);
    const Twofold denominator = ordered_sum(f, f.like(m, 1), m);
    Twofold s{f.div(numerator, denominator.high), kNoScalar};
    const ScalarId left = f.fma(f.neg(s.high), denominator.high, numerator);
    s.low = f.div(f.fma(f.neg(s.high), denominator.low, left), denominator.high);
    const Twofold z = product(f, s, s);
    // log m = 2 s (1 + z (1/3 + z (1/5 + z ...))), z <= 0.04: the first terms need all digits.
    const ScalarId rest = f.mul(z.high, f.polynomial(z.high, atanh_series<13>(3)));
    constexpr double kThird = 1.0 / 3, kFifth = 1.0 / 5;
    const Twofold fifth = plus(f, kFifth, -0x1.999999999999ap-57, {rest, f.like(rest, 0)});
    const Twofold third = plus(f, kThird, 0x1.5555555555555p-56, product(f, z, fifth));
    const Twofold series = plus(f, 1, 0, product(f, z, third));
    const Twofold half = product(f, s, series);
    const Twofold sum = ordered_sum(f, f.mul(parts.exponent, kLn2High), f.mul(half.high, 2.0));
    const ScalarId low = f.fma(parts.exponent, kLn2Low, f.fma(half.low, 2.0, sum.low));
    return ordered_sum(f, sum.high, low);
}

ScalarId with_sign_of(Formula& f, ScalarId x, ScalarId magnitude) {
    const ScalarId sign = f.bit_and(f.bits(x), std::numeric_limits<std::int64_t>::min());
    return f.from_bits(f.graph.binary(ScalarOp::bit_or, f.bits(magnitude), sign));
}

}  // namespace

ScalarId expand_exp(Formula& f, ScalarId x) { return exp_of(f, x); }

ScalarId expand_expm1(Formula& f, ScalarId argument) {
    const ScalarId x = f.at_least(argument, -40);
    const Reduced reduced = reduce(f, x);
    // 2^(n-1), since 2^n overflows before the result does.
    const ScalarId half = f.from_bits(
        f.integer_add(f.shift_left(f.bits(reduced.rounded), 52), std::int64_t{1022} << 52));
    const Twofold sum = ordered_sum(f, f.add(half, -0.5), f.mul(half, reduced.rest));
    const ScalarId y = f.add(sum.high, f.fma(half, reduced.tail, sum.low));
    // Without n the rest is all; half of it may be too small.
    const ScalarId result =
        f.select(f.equal(reduced.rounded, kRound), f.add(reduced.rest, reduced.tail), f.add(y, y));
    return f.select(f.less(x, kTooLarge), result, f.mul(x, kInfinity));
}

ScalarId expand_log(Formula& f, ScalarId x) {
    const Parts parts = split_any(f, x);
    return with_log_specials(f, x, log_of_parts(f, parts.exponent, f.add(parts.mantissa, -1.0)));
}

ScalarId expand_log1p(Formula& f, ScalarId x) {
    const ScalarId u = f.add(x, 1.0);
    const Parts parts = split(f, u);
    // What u = 1 + x lost in rounding, scaled like the mantissa.
    const ScalarId lost =
        f.select(f.less(x, 1.0), f.sub(x, f.add(u, -1.0)), f.add(f.sub(x, u), 1.0));
    const ScalarId scale_bits =
        f.integer_add(f.graph.unary(ScalarOp::neg, parts.exponent_bits), std::int64_t{1023} << 52);
    const ScalarId scale = f.from_bits(f.op(ScalarOp::max, scale_bits, 0));
    const ScalarId rest = f.fma(lost, scale, f.add(parts.mantissa, -1.0));
    return with_log_specials(f, u, log_of_parts(f, parts.exponent, rest));
}

ScalarId expand_tanh(Formula& f, ScalarId x) {
    const ScalarId a = f.at_most(f.abs(x), 22);
    // e / (e + 2), and what the sum and the quotient lost.
    const ScalarId e = expand_expm1(f, f.add(a, a));
    const Twofold divisor = exact_sum(f, e, f.like(e, 2));
    const ScalarId y = f.div(e, divisor.high);
    const ScalarId rest = f.fma(f.neg(y), divisor.low, f.fma(f.neg(y), divisor.high, e));
    return with_sign_of(f, x, f.add(y, f.div(rest, divisor.high)));
}

ScalarId expand_erf(Formula& f, ScalarId x) {
    const ScalarId a = f.at_most(f.abs(x), 6);
    const ScalarId square = f.mul(a, a);
    const ScalarId near = f.fma(a, f.polynomial(square, kErfNear), a);
    const ScalarId t = f.div(f.add(a, -2.0), f.add(a, 2.0));
    const ScalarId complement = f.mul(exp_of(f, f.neg(square)), f.polynomial(t, kErfFar));
    const ScalarId far = f.sub(f.like(x, 1), complement);
    return with_sign_of(f, x, f.select(f.less(a, 1.0), near, far));
}

ScalarId expand_pow(Formula& f, ScalarId base, ScalarId exponent) {
    const ScalarId magnitude = f.abs(base);
    const ScalarId finite = f.both(f.less(0.0, magnitude), f.less(magnitude, kInfinity));
    const Twofold exact = twofold_log(f, magnitude);
    const ScalarId logarithm = f.select(
        finite, exact.high, f.select(f.equal(magnitude, 0.0), f.like(base, -kInfinity), magnitude));
    const ScalarId power = f.mul(exponent, logarithm);
    const ScalarId clamped = f.at_least(f.at_most(power, 1000), -1000);
    const ScalarId low = f.fma(exponent, exact.low, f.fma(exponent, logarithm, f.neg(power)));
    const ScalarId y = exp_of(f, clamped, f.select(f.equal(clamped, power), low, f.like(base, 0)));
    const ScalarId is_number = f.equal(power, power);
    return with_pow_specials(f, base, exponent, f.select(is_number, y, power));
}

}  // namespace netc::f64
