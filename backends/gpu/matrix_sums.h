// Sums of products that a device's matrix units compute.
#pragma once

#include <optional>

#include "backends/gpu/gpu_thresholds.h"
#include "ir/kernel.h"

namespace netc {

// The matrix unit that sums of this form are left to.
MatrixUnit matrix_unit(const Kernel& kernel, const Reduction& reduction,
                       const GpuThresholds& thresholds);

// bf16 that is widened before it is multiplied: what is widened.
std::optional<ScalarId> widened(const Kernel& kernel, ScalarId id);

// Such a sum has no order of its own, so it takes its terms as they lie in memory: kernels that run from the last
// term to the first, as processors with pairs of bf16 want it, are turned round.
void take_terms_forward(Kernel& kernel, const GpuThresholds& thresholds);

}  // namespace netc
