// fold_pooling: groups a pooling window with the contraction that makes its input.
//
//     %c = conv_nd %x, %w                            group {
//     %t = tanh %c                            ->         %c, %t, %p: one kernel; the window reads a local,
//     %p = window %t  sum 2x2 / 4                        %t is stored only if someone else reads it }
//
// Why: the unpooled tensor is k*k times larger than the pooled one and is read once; in inference it
// need never be in memory.
// When: the windows cover the value exactly without overlap, so that no element is computed twice.
// Other readers, the backward pass for one, do not prevent it: it is then a second output.
// Requires: fuse_linear_activation ran. Keeps every bit; the order inside the window is the window's.
#pragma once

#include "ir/graph.h"

namespace netc {

void fold_pooling(Function& function);

}  // namespace netc
