// widen: the same module in double precision.
//
//     %3: f32[B, 4] = einsum(%0, %1)     ->     %3: f64[B, 4] = einsum(%0, %1)
//
// For solvers that need digits of the gradient which f32 does not have. Inputs and variables widen too; the
// caller converts. Random operators would draw other numbers in f64: a module with some is not widened.
#pragma once

#include "ir/graph.h"

namespace netc {

void widen(Module& module);

}  // namespace netc
