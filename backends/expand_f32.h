// The formulas of f32, one function each. Private to expand_functions.cpp.
#pragma once

#include "backends/scalar_builder.h"

namespace netc::f32 {

ScalarId expand_exp(Formula& f, ScalarId x);
ScalarId expand_expm1(Formula& f, ScalarId x);
ScalarId expand_log(Formula& f, ScalarId x);
ScalarId expand_log1p(Formula& f, ScalarId x);
ScalarId expand_tanh(Formula& f, ScalarId x);
ScalarId expand_erf(Formula& f, ScalarId x);
ScalarId expand_sin_or_cos(Formula& f, ScalarId x, bool is_cos);
ScalarId expand_pow(Formula& f, ScalarId base, ScalarId exponent);

}  // namespace netc::f32
