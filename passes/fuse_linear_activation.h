// fuse_linear_activation: groups a contraction with the elementwise operations behind it.
//
//     %c = einsum "bi,io->bo" %x, %w                 group {
//     %z = add %c, broadcast %bias            ->         %c, %z, %y: one kernel, the bias and tanh applied
//     %y = tanh %z                                       while the sum is in registers }
//
// Why: the product's memory traffic is that of its result, once. Residual additions, the optimizer
// behind a weight gradient and second results (a mask of relu) join as well. An operation joins when it
// has the contraction's shape and needs nothing that itself waits for the group. An update of a
// variable joins only if no reader of the old value waits for the group. A gradient of weights whose operands are
// large at the hinted batch stays alone, and so does what could as well be made where it is read, from what the
// group stores in any case.
// Requires: no groups. Keeps every bit.
#pragma once

#include "ir/graph.h"

namespace netc {

// The sums of the products of parts (bf16x3, bf16x6: precision.h) of one pair of factors, with the sum of them: one
// kernel, in which what they have in common is read from near. Before it; requires no groups, keeps every bit.
void join_parts(Function& function);

void fuse_linear_activation(Function& function, std::int64_t batch_hint);

}  // namespace netc
