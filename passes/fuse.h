// fuse: groups what fuse_linear_activation and fold_pooling leave.
//
//     %m = reduce_max %x {1}                         group {
//     %e = exp (%x - broadcast %m)            ->         the same, one kernel of three stages: outer b }
//     %y = %e / broadcast reduce_sum %e {1}
//
// Elementwise chains become one kernel, pointwise producers join the reduction that reads them, and
// reductions over the same axes of values of one shape join with the elementwise operations about them
// (softmax, normalisation, cross entropy with its gradient). Nothing that costs much is computed twice:
// what several groups read is in memory, unless it is a view or a constant.
// Requires: fuse_linear_activation and fold_pooling ran. Keeps every bit.
#pragma once

#include <cstdint>

#include "ir/graph.h"

namespace netc {

void fuse(Function& function, std::int64_t batch_hint);

}  // namespace netc
