// Numbers of twice the precision as sums of two: what lost digits are made up with inside the formulas
// of f64 (Dekker 1971, Knuth's sum of 1969). Private to the expansion of functions.
#pragma once

#include "backends/scalar_builder.h"

namespace netc {

// high + low, where low is below half a unit in the last place of high once it is normalized.
struct Twofold {
    ScalarId high, low;
};

// a + b exactly; |a| >= |b|, or a is zero.
inline Twofold ordered_sum(Formula& f, ScalarId a, ScalarId b) {
    const ScalarId high = f.add(a, b);
    return {high, f.sub(b, f.sub(high, a))};
}

// a + b exactly.
inline Twofold exact_sum(Formula& f, ScalarId a, ScalarId b) {
    const ScalarId high = f.add(a, b);
    const ScalarId of_b = f.sub(high, a);
    return {high, f.add(f.sub(a, f.sub(high, of_b)), f.sub(b, of_b))};
}

// a b exactly.
inline Twofold exact_product(Formula& f, ScalarId a, ScalarId b) {
    const ScalarId high = f.mul(a, b);
    return {high, f.fma(a, b, f.neg(high))};
}

inline Twofold product(Formula& f, Twofold a, Twofold b) {
    const Twofold p = exact_product(f, a.high, b.high);
    return ordered_sum(f, p.high, f.fma(a.high, b.low, f.fma(a.low, b.high, p.low)));
}

// constant + x, where |constant| >= |x|.
inline Twofold plus(Formula& f, double constant, double constant_low, Twofold x) {
    const Twofold sum = ordered_sum(f, f.like(x.high, constant), x.high);
    return ordered_sum(f, sum.high, f.add(sum.low, f.add(x.low, constant_low)));
}

}  // namespace netc
