// The signs of pow, and the cases that IEEE 754 and C99 fix.
#include "backends/expand_pow.h"

#include <limits>

namespace netc {

ScalarId with_pow_specials(Formula& f, ScalarId base, ScalarId exponent, ScalarId result) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
    const ScalarId magnitude = f.abs(base);
    result = f.select(f.equal(magnitude, 1.0), f.like(base, 1), result);

    const auto floor = [&](ScalarId a) { return f.graph.unary(ScalarOp::floor, a); };
    const ScalarId is_integer = f.equal(floor(exponent), exponent);
    const ScalarId half = f.mul(exponent, 0.5);
    const ScalarId is_odd = f.both(is_integer, f.no(f.equal(floor(half), half)));
    const ScalarId bits = f.bits(base);
    const ScalarId negative = f.less(bits, f.integer(0, f.graph.type(bits)));
    const ScalarId no_root =
        f.both(f.both(f.less(base, 0.0), f.no(is_integer)), f.less(magnitude, kInfinity));
    result = f.select(f.both(negative, is_odd), f.neg(result), result);
    result = f.select(no_root, f.like(base, kNaN), result);
    // x^0 = 1 and 1^y = 1, whatever the other is; NaN otherwise.
    const ScalarId unordered =
        f.either(f.no(f.equal(base, base)), f.no(f.equal(exponent, exponent)));
    result = f.select(unordered, f.like(base, kNaN), result);
    return f.select(f.either(f.equal(exponent, 0.0), f.equal(base, 1.0)), f.like(base, 1), result);
}

}  // namespace netc
