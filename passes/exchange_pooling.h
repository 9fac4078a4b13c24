// exchange_pooling: a rule of simplify: pooling changes places with what stands before it, so that this works
// on fewer elements.
//
//     %t = tanh %c                                  %p = window %c {op = "max"}
//     %p = window %t {op = "max"}           ->      %t = tanh %p
//
// Why: the pooled value is smaller by the stride's product, and the backward pass then keeps no unpooled activation.
// When, with no other reader of what stands before:
//   maximum behind a monotone function, or behind max and min with a number
//   sum behind a product or quotient with a number, a 1x1 convolution, its bias too
//   sum of sums of windows that lie edge to edge; maximum of maxima along one axis, where "the first" stays it
// A maximum behind a function keeps its value up to rounding, NaN too, and its derivative wherever the function does
// not round two arguments to one result. Sums round otherwise. Both are listed in ir/README.md.
#pragma once

#include <optional>

#include "passes/rewrite.h"

namespace netc {

// What replaces the window `node`, whose inputs are nodes of `to`; `alone`: nothing else reads its operand.
std::optional<NodeId> exchange_pooling(Rebuilder& to, const Node& node, bool alone);

}  // namespace netc
