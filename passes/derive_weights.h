// derive_weights: what `forward` computes from weights alone moves to the entry `prepare`.
//
//     forward:  %s = div @gamma, %root          prepare:  @prepared:%s' = div @gamma, %root
//               %y = mul %x, broadcast %s   ->  forward:  %y = mul %x, broadcast @prepared:%s
//
// Why: weights change rarely and samples often. Afterwards `forward` reads nothing but inputs and the
// prepared region, parameters that it uses as they are included.
//
// Requires: a function `forward`. Must run before any grouping: what moves must not be fused.
#pragma once

#include "ir/graph.h"

namespace netc {

// Splits `forward` into `prepare` (appended to the module) and a `forward` over variables of kind
// `prepared` (appended to module.variables).
void derive_weights(Module& module);

}  // namespace netc
