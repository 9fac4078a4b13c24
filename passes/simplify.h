// simplify: constants, identities, views of views, equal values once, dead nodes away.
//
//     %b = broadcast %a {shape = [B, 10]}
//     %c = broadcast %b {shape = [4, B, 10]}     ->    %c = broadcast %a {shape = [4, B, 10]}
//     %d = mul %c, 1                                   (readers of %d read %c)
//
// Why: the elaborator and the backward pass write what is plainest, not what is shortest. Runs before and after
// differentiate. Every rule keeps every bit but those listed in ir/README.md ("rewrites that change
// rounding"): pow(x, 2) becomes x*x, pow(x, 0.5) sqrt(x), division by a power of two a product; pooling
// changes places with what stands before it (exchange_pooling.h).
#pragma once

#include "ir/graph.h"

namespace netc {

void simplify(Module& module);
void simplify(Function& function);

}  // namespace netc
