// split_reduction: a sum whose order is in parts becomes two kernels, one for the parts, one that merges them.
//
//     w[o, i] = sum over (b, y, x), lanes(b, 1)             6 x 25 results of 400,000 terms: 150 threads' work
//     ->  part[t, p, o, i] = sum over (y, x) of b = 16 t + p                                      76,800 threads'
//         w[o, i] = lanes p of part[0, p, o, i], part[1, p, o, i], ...
//
// Why: the order of a sum decides its bits and stays, but parts that are merged at the end need not wait for each
// other. The parts lie in scratch memory of the device.
#pragma once

#include <optional>

#include "backends/gpu/gpu_thresholds.h"
#include "ir/kernel.h"

namespace netc {

struct SplitReduction {
    Kernel parts, whole;         // both with the scratch params behind the kernel's own
    std::vector<Param> scratch;  // one a state
};

// Nothing where the kernel has another form, or its results are many enough.
std::optional<SplitReduction> split_reduction(const Kernel& kernel, std::int64_t batch_hint,
                                              const GpuThresholds& thresholds = {});

}  // namespace netc
