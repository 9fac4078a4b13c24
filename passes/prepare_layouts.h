// prepare_layouts: what `forward` would lay out anew on each call is laid out once, in `prepare`.
//
//     forward: %w = copy (permute @prepared:w)     ->   forward: reads @prepared:w in that order
//                                                       prepare: @prepared:w = permute %value
//
// Requires: derive_weights and assign_layout, no groups. Keeps every bit.
#pragma once

#include "ir/graph.h"

namespace netc {

void prepare_layouts(Module& module);

}  // namespace netc
