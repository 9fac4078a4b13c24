// centred_sums: the sum of what is centred is zero.
//
//     %d = x - mean of x                                       %s = reduce_sum %g {axes}
//     %t = %g * broadcast %a + %d * broadcast %b        ->     %r = %s * %a
//     %r = reduce_sum %t {axes}
//
// Why: the backward pass of a normalisation has this form, where %b waits for another sum over %g, and %t is
// as large as the image. Without %b one pass over memory makes both sums. Of the terms all but one have to be zero, so
// that nothing cancels that did not cancel before.
//
// Changes rounding, and is listed in ir/README.md.
#pragma once

#include "ir/graph.h"

namespace netc {

void centred_sums(Function& function);

}  // namespace netc
