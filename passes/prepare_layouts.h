// prepare_layouts: what `forward` would lay out anew on each call is laid out once, in `prepare`.
//
//     forward: %w = copy @prepared:w  [ky][kx][c][o]   ->   forward: %w = permute @prepared:w.0 {order back}
//                                                           prepare: @prepared:w.0 = permute %value
//
// A permuted view of a dense buffer is that layout, so that no region needs layouts of its own.
//
// Requires: derive_weights and assign_layout, no groups. Keeps every bit.
#pragma once

#include "ir/graph.h"

namespace netc {

void prepare_layouts(Module& module);

}  // namespace netc
