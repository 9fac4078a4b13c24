// The functions of f32 as formulas: argument reduction, then a polynomial or a table of polynomials.
//
// Methods: exp and log by the exponent and a polynomial (Cody and Waite 1980); tanh and erf by four
// intervals an octave, the leading bits of |x| are the interval's number; sin and cos by Payne and
// Hanek's reduction in doubles: x = m 16^k, and the parts of 16^k * 2/pi modulo 4 come from tables.
#include "backends/expand_f32.h"

#include <array>
#include <cmath>
#include <limits>

#include "backends/expand_pow.h"
#include "backends/function_coefficients.h"
#include "backends/scalar_builder.h"

namespace netc::f32 {
using namespace coefficients;
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kLog2E = 1.44269504088896341;
constexpr double kLn2High = 0.693145751953125;  // 15 bits: products with exponents are exact
constexpr double kLn2Low = 1.42860682030941723e-6;
constexpr double kRound = 0x1.8p23;  // x + kRound holds round(x) in its low bits
constexpr double kRound64 = 0x1.8p52;

// x = n ln 2 + r
struct Reduced {
    ScalarId rounded;  // n + kRound
    ScalarId rest;
};

Reduced reduce_exponent(Formula& f, ScalarId x) {
    const ScalarId rounded = f.fma(x, kLog2E, f.number(kRound));
    const ScalarId n = f.add(rounded, -kRound);
    return {rounded, f.fma(n, -kLn2Low, f.fma(n, -kLn2High, x))};
}

}  // namespace

ScalarId expand_exp(Formula& f, ScalarId x) {
    const Reduced reduced = reduce_exponent(f, x);
    const ScalarId r = reduced.rest;
    const ScalarId square = f.mul(r, r);
    // Two halves, so that they run side by side.
    const ScalarId high =
        f.fma(f.fma(r, kExp[4], f.number(kExp[3])), square, f.fma(r, kExp[2], f.number(kExp[1])));
    const ScalarId q = f.fma(high, r, kExp[0]);
    const ScalarId y = f.fma(q, square, f.add(r, 1.0));
    // n goes into the exponent of y; the shift drops the bits of kRound.
    const ScalarId scaled = f.from_bits(
        f.graph.binary(ScalarOp::add, f.bits(y), f.shift_left(f.bits(reduced.rounded), 23)));
    // Above the largest finite result, and for NaN: x * inf.
    const ScalarId upper = f.select(f.less(x, 88.7228394), scaled, f.mul(x, kInfinity));
    return f.select(f.less(x, -87.3365402), f.number(0), upper);
}

ScalarId expand_expm1(Formula& f, ScalarId argument) {
    const ScalarId x = f.at_least(argument, -20);
    const Reduced reduced = reduce_exponent(f, x);
    const ScalarId r = reduced.rest;
    const ScalarId square = f.mul(r, r);
    const ScalarId q = f.polynomial(r, kExp);
    const ScalarId p = f.fma(q, square, r);
    // 2^(n-1), since 2^n overflows before the result does.
    const ScalarId half = f.from_bits(
        f.integer_add(f.shift_left(f.bits(reduced.rounded), 23), std::int64_t{126} << 23));
    const ScalarId y = f.fma(half, p, f.add(half, -0.5));
    // Without n, p is all; half of it may be too small.
    const ScalarId result = f.select(f.equal(reduced.rounded, kRound), p, f.add(y, y));
    return f.select(f.less(x, 88.7228394), result, f.mul(x, kInfinity));
}

namespace {

// e ln 2 + log(1 + rest); `exponent` is e as a float.
ScalarId log_of_parts(Formula& f, ScalarId exponent, ScalarId rest) {
    const ScalarId square = f.mul(rest, rest);
    const ScalarId q = f.polynomial(rest, kLog);
    return f.fma(exponent, kLn2High, f.add(f.fma(q, square, f.mul(exponent, kLn2Low)), rest));
}

struct Parts {
    ScalarId exponent_bits;  // e << 23
    ScalarId exponent;
    ScalarId mantissa;  // in [2/3, 4/3)
};

Parts split_float(Formula& f, ScalarId x) {
    const ScalarId bits = f.bits(x);
    constexpr std::int64_t kShift = 0x3f800000 - 0x3f2aaaab;
    const ScalarId biased = f.shift_right(f.integer_add(bits, kShift), 23);
    const ScalarId e = f.integer_add(biased, -127);
    const ScalarId exponent_bits = f.shift_left(e, 23);
    const ScalarId mantissa =
        f.graph.binary(ScalarOp::add, bits, f.graph.unary(ScalarOp::neg, exponent_bits));
    return {exponent_bits, f.graph.cast(e, DType::f32), f.from_bits(mantissa)};
}

// log of what is no positive normal number: 0 gives -inf, negative NaN; inf and NaN stay.
ScalarId with_log_specials(Formula& f, ScalarId x, ScalarId result) {
    const ScalarId special = f.select(f.equal(x, 0.0), f.number(-kInfinity),
                                      f.select(f.less(x, 0.0), f.number(kNaN), x));
    return f.select(f.both(f.less(0.0, x), f.less(x, kInfinity)), result, special);
}

}  // namespace

ScalarId expand_log(Formula& f, ScalarId x) {
    const Parts parts = split_float(f, x);
    return with_log_specials(f, x, log_of_parts(f, parts.exponent, f.add(parts.mantissa, -1.0)));
}

ScalarId expand_log1p(Formula& f, ScalarId x) {
    const ScalarId u = f.add(x, 1.0);
    const Parts parts = split_float(f, u);
    // What u = 1 + x lost in rounding, scaled like the mantissa.
    const ScalarId lost =
        f.select(f.less(x, 1.0), f.sub(x, f.add(u, -1.0)), f.add(f.sub(x, u), 1.0));
    // Above 2^127 the scale would wrap to infinity; nothing is lost there that counts.
    const ScalarId scale_bits =
        f.integer_add(f.graph.unary(ScalarOp::neg, parts.exponent_bits), std::int64_t{127} << 23);
    const ScalarId scale = f.from_bits(f.op(ScalarOp::max, scale_bits, 0));
    const ScalarId rest = f.fma(lost, scale, f.add(parts.mantissa, -1.0));
    return with_log_specials(f, u, log_of_parts(f, parts.exponent, rest));
}

namespace {

struct Table {
    std::span<const double> centers;
    std::array<std::span<const double>, 6> powers;
    double limit;  // here and above the result is 1
    // Where the slope at 0 is no power of two, its product must not be rounded twice.
    bool slope_last;
};

// Odd functions that saturate at 1. Interval number: the leading bits of |x|, two of the mantissa,
// counted from 2^-3.
ScalarId table_function(Formula& f, ScalarId x, const Table& table) {
    const ScalarId bits = f.bits(x);
    const ScalarId a = f.at_most(f.abs(x), table.limit);
    constexpr std::int64_t kFirst = ((-3 + 127) << 2) - 1;
    const ScalarId number = f.integer_add(f.shift_right(f.bits(a), 21), -kFirst);
    // Of a NaN any interval will do.
    const ScalarId index = f.bit_and(f.op(ScalarOp::max, number, 0), 31);
    const ScalarId t = f.sub(a, f.lookup(table.centers, index));
    // In order before they are used: the kernel numbers its tables as they come, and the order in which the
    // arguments of a call are evaluated is the compiler's.
    std::array<ScalarId, 6> c{};
    for (std::size_t k = 0; k < c.size(); ++k) c[k] = f.lookup(table.powers[k], index);
    const ScalarId square = f.mul(t, t);
    const ScalarId high = f.fma(f.fma(c[5], t, c[4]), square, f.fma(c[3], t, c[2]));
    const ScalarId y = table.slope_last ? f.fma(c[1], t, f.fma(high, square, c[0]))
                                        : f.fma(f.fma(high, t, c[1]), t, c[0]);
    const ScalarId sign = f.bit_and(bits, std::int64_t{std::numeric_limits<std::int32_t>::min()});
    return f.from_bits(f.graph.binary(ScalarOp::bit_or, f.bits(y), sign));
}

}  // namespace

ScalarId expand_tanh(Formula& f, ScalarId x) {
    return table_function(
        f, x, {kTanhCenters, {kTanh0, kTanh1, kTanh2, kTanh3, kTanh4, kTanh5}, 9.5, false});
}

ScalarId expand_erf(Formula& f, ScalarId x) {
    return table_function(f, x,
                          {kErfCenters, {kErf0, kErf1, kErf2, kErf3, kErf4, kErf5}, 4.25, true});
}

ScalarId expand_sin_or_cos(Formula& f, ScalarId x, bool is_cos) {
    // x = m 16^k with |m| below 2^28.
    const ScalarId bits = f.bits(x);
    const ScalarId exponent = f.bit_and(f.shift_right(bits, 23), 255);
    const ScalarId k = f.shift_right(f.op(ScalarOp::max, f.integer_add(exponent, -150), 0), 2);
    const ScalarId small = f.from_bits(
        f.graph.binary(ScalarOp::add, bits, f.graph.unary(ScalarOp::neg, f.shift_left(k, 25))));
    const ScalarId m = f.graph.cast(small, DType::f64);
    const auto product = [&](std::span<const double> part) {
        return f.mul(m, f.graph.cast(f.lookup(part, k), DType::f64));
    };
    // Quarter turns: the whole ones in the low bits of x + kRound64, the rest exact.
    const auto rounded = [&](ScalarId y) { return f.add(y, kRound64); };
    const auto rest = [&](ScalarId y, ScalarId r) { return f.sub(y, f.add(r, -kRound64)); };
    const ScalarId y0 = product(kTwoOverPi0), n0 = rounded(y0);
    const ScalarId y1 = product(kTwoOverPi1), n1 = rounded(y1);
    const ScalarId sum = f.add(rest(y0, n0), rest(y1, n1)), n2 = rounded(sum);
    const ScalarId turns = f.add(f.add(rest(sum, n2), product(kTwoOverPi2)), product(kTwoOverPi3));
    const auto whole = [&](ScalarId a, ScalarId b) { return f.graph.binary(ScalarOp::add, a, b); };
    const ScalarId quadrant = f.integer_add(
        f.graph.cast(whole(whole(f.bits(n0), f.bits(n1)), f.bits(n2)), DType::i32), is_cos ? 1 : 0);
    const ScalarId angle = f.graph.cast(f.mul(turns, 1.57079632679489662), DType::f32);

    const ScalarId z = f.mul(angle, angle);
    const ScalarId sine = f.fma(f.mul(angle, z), f.polynomial(z, kSin), angle);
    const ScalarId cosine = f.fma(f.mul(z, z), f.polynomial(z, kCos), f.fma(z, -0.5, f.number(1)));
    const ScalarId odd = f.equal(f.bit_and(quadrant, 1), f.integer(1));
    const ScalarId sign = f.shift_left(f.bit_and(quadrant, 2), 30);
    const ScalarId y =
        f.from_bits(f.graph.binary(ScalarOp::bit_xor, f.bits(f.select(odd, cosine, sine)), sign));
    return f.select(f.less(f.abs(x), kInfinity), y, f.number(kNaN));
}

namespace {

// ln of a positive f64 that is an f32: to 2^-43, relative.
ScalarId log_in_f64(Formula& f, ScalarId x) {
    const ScalarId bits = f.bits(x);
    constexpr std::int64_t kShift = 0x3ff0000000000000 - 0x3fe5555555555555;
    const ScalarId e = f.integer_add(f.shift_right(f.integer_add(bits, kShift), 52), -1023);
    const ScalarId mantissa = f.from_bits(
        f.graph.binary(ScalarOp::add, bits, f.graph.unary(ScalarOp::neg, f.shift_left(e, 52))));
    // log m = 2 atanh(s), s = (m - 1) / (m + 1), |s| <= 0.2
    const ScalarId s = f.div(f.add(mantissa, -1.0), f.add(mantissa, 1.0));
    const ScalarId z = f.mul(s, s);
    std::array<double, 10> atanh{};
    for (std::size_t k = 0; k < atanh.size(); ++k) atanh[k] = 2 / (2 * static_cast<double>(k) + 1);
    const ScalarId mantissa_log = f.mul(s, f.polynomial(z, atanh));
    return f.fma(f.graph.cast(e, DType::f64), 0.693147180559945309, mantissa_log);
}

// e^x to 2^-42, for |x| <= 200.
ScalarId exp_in_f64(Formula& f, ScalarId x) {
    const ScalarId rounded = f.fma(x, kLog2E, f.number(kRound64, DType::f64));
    const ScalarId n = f.add(rounded, -kRound64);
    const ScalarId r = f.fma(n, -0.693147180559945309, x);
    std::array<double, 12> taylor{1};
    for (std::size_t k = 1; k < taylor.size(); ++k) {
        taylor[k] = taylor[k - 1] / static_cast<double>(k);
    }
    return f.from_bits(f.graph.binary(ScalarOp::add, f.bits(f.polynomial(r, taylor)),
                                      f.shift_left(f.bits(rounded), 52)));
}

}  // namespace

ScalarId expand_pow(Formula& f, ScalarId base, ScalarId exponent) {
    const ScalarId magnitude = f.abs(base);
    const ScalarId finite = f.both(f.less(0.0, magnitude), f.less(magnitude, kInfinity));
    const ScalarId logarithm =
        f.select(finite, log_in_f64(f, f.graph.cast(magnitude, DType::f64)),
                 f.select(f.equal(magnitude, 0.0), f.number(-kInfinity, DType::f64),
                          f.graph.cast(magnitude, DType::f64)));
    const ScalarId product = f.mul(f.graph.cast(exponent, DType::f64), logarithm);
    const ScalarId y = exp_in_f64(f, f.at_least(f.at_most(product, 200), -200));
    const ScalarId is_number = f.equal(product, product);
    return with_pow_specials(f, base, exponent,
                             f.graph.cast(f.select(is_number, y, product), DType::f32));
}

}  // namespace netc::f32
