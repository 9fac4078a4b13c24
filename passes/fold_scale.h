// fold_scale: a factor per output channel behind a convolution goes into its weights.
//
//     %c = conv_nd %x, @w                      %c = conv_nd %x, (@w * %s)
//     %d = sub %c, broadcast %m          ->    %y = add %c, broadcast(%b - %m * %s)
//     %e = mul %d, broadcast %s
//     %y = add %e, broadcast %b
//
// Why: batch norm in inference is such a chain, and afterwards it costs one addition in the epilogue.
// When: every value of the chain has one reader, factors and offsets vary along the channel only.
// Changes rounding: sum (w s) x instead of s sum w x; within a few ulp of the sum of magnitudes.
#pragma once

#include "ir/graph.h"

namespace netc {

bool fold_scale(Function& function);

}  // namespace netc
