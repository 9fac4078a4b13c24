// precision: what contractions multiply is rounded to bf16, or split into parts in bf16.
//
//     %c = einsum %x, @w        ->     %1 = cast %x : bf16        %2 = cast @w : bf16
//                                      %c = einsum %1, %2 : f32
//
// A product of two bf16 numbers is exact in f32, and f32 is what they are summed in; everything between
// contractions stays f32. With parts, x = hi + lo (+ rest) where each is the next 8 bits, and the product
// is the sum of the contractions of parts that count, smallest first: three for bf16x3, six for bf16x6.
// Their arithmetic is in the graph, so every backend agrees on it.
//
// After derive_weights' folding, which multiplies weights, and before what depends on weights alone moves
// to `prepare`: there they are rounded once.
#pragma once

#include <string_view>

#include "ir/graph.h"
#include "ir/network.h"

namespace netc {

// As --matmul spells it.
std::string_view name_of(Precision precision);

// Every contraction of f32 in the function and in the bodies of its scans.
void precision(Function& function, Precision precision);

}  // namespace netc
