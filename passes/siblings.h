// Sums that one pass over what they read can make.
//
//     %a = reduce_sum %g {axes = [0, 2]}                     reduce (k0: B, k1: 9)
//     %b = reduce_sum (mul %g, %x) {axes = [0, 2]}     ->    s0 -> s0 + g[k0, i0, k1]
//                                                            s1 -> s1 + g[k0, i0, k1] * x[k0, i0, k1]
//
// Each keeps its order, so that no bit depends on whom it shares a pass with.
#pragma once

#include <vector>

#include "passes/group.h"

namespace netc {

// Whether two reductions among `nodes` (ascending) have the same results and the same terms in the same order,
// read something of the size of their terms that none of `nodes` makes, and do not wait for each other.
bool are_siblings(const GroupInfo& info, const std::vector<NodeId>& nodes, NodeId a, NodeId b);

// Whether `later` is computed from `earlier` by way of `nodes`.
bool is_below(const GroupInfo& info, const std::vector<NodeId>& nodes, NodeId earlier,
              NodeId later);

}  // namespace netc
