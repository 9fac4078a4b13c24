// The formulas of f64. Private to expand_functions.cpp.
#pragma once

#include <optional>

#include "backends/scalar_builder.h"

namespace netc {

// Nothing where there is no formula yet: erf and pow.
std::optional<ScalarId> expand_f64(Formula& f, ScalarOp op, ScalarId x);

}  // namespace netc
