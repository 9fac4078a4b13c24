// Transcendental functions as scalar DAGs: exp expm1 log log1p sin cos tanh erf pow become fixed
// polynomials over fma, bit operations, select and lookup in tables of 32, the same for all targets.
// At most 2 ulp over all inputs (docs/math.md says which function has how much).
//
// The target flushes subnormals of f32: inputs and results that are subnormal count as zero; f64 keeps
// them. NaN propagates.
#pragma once

#include <span>
#include <vector>

#include "ir/kernel.h"

namespace netc {

bool is_function(ScalarOp op);  // one of exp .. pow

// The value of `op` on the operands (one, pow two), without nodes of functions. Tables it needs are
// added, or found again, in `tables`. What has no
// formula (f16 and bf16) is left as it is, for the emitter to refuse.
ScalarId expand_function(ScalarGraph& graph, std::vector<std::vector<double>>& tables, ScalarOp op,
                         std::span<const ScalarId> operands);

// Replaces every function in the kernel. What emission runs first. The scalar ids of the kernel change.
void expand_functions(Kernel& kernel);

}  // namespace netc
