// hoist: what need not wait in a loop leaves it.
//
//     body (x, h, wx, wh) {                            %p = einsum "tbi,io->tbo" %xs, @wx
//         %1 = einsum "bi,io->bo" %x, %wx       ->     body (p, h, wh) {
//         %2 = einsum "bi,io->bo" %h, %wh                  %2 = einsum "bi,io->bo" %h, %wh
//         %3 = tanh(%1 + %2) ...                           %3 = tanh(%p + %2) ...
//
// What is the same in all steps is computed once before the loop. A contraction that does not wait for a
// carry is one for all steps, before the loop; one that no carry waits for is one behind it, and so is the
// sum over the steps of a contraction or of a reduce_sum that only adds up in a carry: the gradient of a
// weight. What else is on the way moves along. Why: one large product instead of many small ones, and
// less is saved for each step. The rules are those of the records (OpDef::lift, lift_sum).
// Inputs and results of the body that nobody needs go.
//
// Changes rounding, and is listed in ir/README.md: the order of a sum over steps is the contraction's.
#pragma once

#include "ir/graph.h"

namespace netc {

// The scans of this function; bodies within bodies come first.
void hoist(Function& function);
// Only what is the same in all steps: keeps every bit.
void hoist_fixed(Function& function);

}  // namespace netc
