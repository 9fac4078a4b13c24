// What pow is where its arguments are special or the base is negative, in any precision. Private to the
// expansion of functions.
#pragma once

#include "backends/scalar_builder.h"

namespace netc {

// pow(base, exponent) from `result`, which is pow(|base|, exponent).
ScalarId with_pow_specials(Formula& f, ScalarId base, ScalarId exponent, ScalarId result);

}  // namespace netc
