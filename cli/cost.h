// What kernels cost, counted from their text: for summary and bench.
#pragma once

#include <cstdint>

#include "ir/kernel.h"
#include "ir/program.h"

namespace netc {

// Multiply-accumulates of contractions count two, nothing else counts (the convention of bench/).
// Terms that guards exclude, under the padding of a convolution for one, do not exist and do not count.
double contraction_flops(const Kernel& kernel, std::int64_t batch);
double contraction_flops(const Program& program, const Entry& entry, std::int64_t batch);

// Bytes of all params once.
double traffic_bytes(const Kernel& kernel, std::int64_t batch);

}  // namespace netc
