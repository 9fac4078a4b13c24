// sin and cos of f64: reduction modulo a quarter turn as Payne and Hanek (1983) do it, then Taylor's
// series. x = m 2^(32k), where m is whole unless k is 0; the parts of 2^(32k) 2/pi modulo 4 come from tables, and their products with m
// are summed exactly, since up to 62 leading digits may cancel.
#include <array>
#include <limits>
#include <vector>

#include "backends/expand_f64.h"
#include "backends/function_coefficients_f64.h"

namespace netc::f64 {
using namespace coefficients;
namespace {

constexpr double kRound = 0x1.8p52;

// sin(x) = x + x z s(z) from first = 3, cos(x) = 1 - z/2 + z^2 c(z) from first = 4: 1/first! ...
constexpr std::array<double, 8> circle_series(int first) {
    std::array<double, 8> result{};
    double term = first == 3 ? -1.0 / 6 : 1.0 / 24;
    int n = first;
    for (double& each : result) {
        each = term;
        term = -term / ((n + 1) * (n + 2));
        n += 2;
    }
    return result;
}

// What is left of t when the nearest multiple of 4 is taken away: exact.
ScalarId modulo_four(Formula& f, ScalarId t) {
    const ScalarId fours = f.graph.unary(ScalarOp::floor, f.fma(t, 0.25, f.like(t, 0.5)));
    return f.fma(fours, -4.0, t);
}

// The terms' exact sum, two leading numbers of it. Each pass gains 53 digits on what cancels.
Twofold exact_sum(Formula& f, std::vector<ScalarId> terms) {
    for (int pass = 0; pass < 2; ++pass) {
        for (std::size_t i = 1; i < terms.size(); ++i) {
            const Twofold sum = netc::exact_sum(f, terms[i], terms[i - 1]);
            terms[i] = sum.high;
            terms[i - 1] = sum.low;
        }
    }
    ScalarId low = terms[0];
    for (std::size_t i = 1; i + 1 < terms.size(); ++i) low = f.add(low, terms[i]);
    return ordered_sum(f, terms.back(), low);
}

struct Turned {
    ScalarId quadrant;  // its two low bits count
    Twofold angle;      // within pi/4
};

Turned reduce(Formula& f, ScalarId x) {
    const ScalarId bits = f.bits(x);
    const ScalarId exponent = f.bit_and(f.shift_right(bits, 52), 2047);
    const ScalarId k = f.shift_right(f.op(ScalarOp::max, f.integer_add(exponent, -1075), 0), 5);
    const ScalarId m = f.from_bits(
        f.graph.binary(ScalarOp::add, bits, f.graph.unary(ScalarOp::neg, f.shift_left(k, 57))));
    const ScalarId row = f.graph.cast(k, DType::i32);
    const auto part = [&](std::span<const double> table) {
        return f.graph.cast(f.lookup(table, row), DType::f64);
    };
    // |m| < 2^84, so the first product is below 2^85, the next ones 48 digits lower each.
    const auto times = [&](std::span<const double> high, std::span<const double> low,
                           double scale) {
        return exact_product(f, m, f.mul(f.add(part(high), part(low)), scale));
    };
    const Twofold p0 = times(kTwoOverPi640, kTwoOverPi641, 1);
    const Twofold p1 = times(kTwoOverPi642, kTwoOverPi643, 0x1p-48);
    const Twofold p2 = times(kTwoOverPi644, kTwoOverPi645, 0x1p-96);
    const Twofold p3 = times(kTwoOverPi646, kTwoOverPi647, 0x1p-144);
    const Twofold p4 = times(kTwoOverPi648, kTwoOverPi649, 0x1p-192);

    const Twofold first = netc::exact_sum(f, modulo_four(f, p0.high), modulo_four(f, p1.high));
    const Twofold second = netc::exact_sum(f, first.high, modulo_four(f, p0.low));
    const ScalarId rounded = f.add(second.high, kRound);
    const ScalarId fraction = f.sub(second.high, f.add(rounded, -kRound));
    const Twofold turns = exact_sum(
        f, {p3.low, p4.high, p2.low, p3.high, first.low, second.low, p2.high, p1.low, fraction});

    constexpr double kHigh = 0x1.921fb54442d18p+0, kLow = 0x1.1a62633145c07p-54;  // pi/2
    const Twofold angle = product(f, turns, {f.like(x, kHigh), f.like(x, kLow)});
    // Where nothing is to reduce, nor may digits below the least number get lost.
    const ScalarId is_small = f.less(f.abs(x), 0.785);
    return {f.bits(rounded),
            {f.select(is_small, x, angle.high), f.select(is_small, f.like(x, 0), angle.low)}};
}

// sin(high + low) = sin(high) + low cos(high)
ScalarId sine(Formula& f, Twofold x) {
    const ScalarId z = f.mul(x.high, x.high);
    const ScalarId tail = f.fma(x.low, f.fma(z, -0.5, f.like(z, 1)),
                                f.mul(f.mul(x.high, z), f.polynomial(z, circle_series(3))));
    return f.add(x.high, tail);
}

// cos(high + low) = cos(high) - low high
ScalarId cosine(Formula& f, Twofold x) {
    const ScalarId z = f.mul(x.high, x.high);
    const Twofold start = ordered_sum(f, f.like(z, 1), f.mul(z, -0.5));
    const ScalarId tail = f.fma(f.mul(z, z), f.polynomial(z, circle_series(4)),
                                f.fma(f.neg(x.low), x.high, start.low));
    return f.add(start.high, tail);
}

}  // namespace

ScalarId expand_sin_or_cos(Formula& f, ScalarId x, bool is_cos) {
    const Turned turned = reduce(f, x);
    const ScalarId quadrant = f.integer_add(turned.quadrant, is_cos ? 1 : 0);
    const ScalarId odd = f.equal(f.bit_and(quadrant, 1), f.integer(1, DType::i64));
    const ScalarId sign = f.shift_left(f.bit_and(quadrant, 2), 62);
    const ScalarId value = f.select(odd, cosine(f, turned.angle), sine(f, turned.angle));
    const ScalarId y = f.from_bits(f.graph.binary(ScalarOp::bit_xor, f.bits(value), sign));
    return f.select(f.less(f.abs(x), std::numeric_limits<double>::infinity()), y,
                    f.like(x, std::numeric_limits<double>::quiet_NaN()));
}

}  // namespace netc::f64
