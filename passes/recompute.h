// recompute: the backward pass computes cheap values again instead of keeping them.
//
//     %z = einsum %x, @w                     ->     %z = einsum %x, @w
//     %h = mul %z, %s                               %h = mul %z, %s              may go after its readers
//     %y = einsum %h, @v                            %y = einsum %h, @v
//     ...                                           ...
//     %dv = einsum %h, %dy   # backward             %z2 = after %z, %dy          %z, once %dy is there
//     %ds = mul %dh, %z                             %h2 = mul %z2, %s
//                                                   %dv = einsum %h2, %dy
//
// Cheap is what is elementwise or random, by chains of at most kMostAgain nodes, from values that the
// backward pass reads anyway, from leaves, or from what is much smaller than the value (mean and variance of
// a normalisation). So what contractions made stays, as a checkpoint a layer, and what lies between them is
// computed twice. `after` keeps both copies apart: they are no duplicates, and are in no kernel together.
//
// Keeps every bit: the same operations on the same numbers.
#pragma once

#include <cstdint>

#include "ir/graph.h"
#include "passes/differentiate.h"

namespace netc {

// automatic: where the backward pass would read more than half a gibibyte of the forward pass at the hinted batch.
enum class Recompute : std::uint8_t { automatic, always, never };

// The function as differentiate left it, with further nodes behind: its ids change.
void recompute(Function& function, const BackwardPass& backward, std::int64_t batch_hint,
               Recompute when);

}  // namespace netc
