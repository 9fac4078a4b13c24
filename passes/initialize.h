// initialize: the function `init`, which fills parameters and state from a seed.
//
//     param weight: f32[784, 10] = xavier_uniform()   ->   @weight' = (random_uniform - 0.5) * 2 bound
//
// As ordinary nodes, so that `netc train --seed N` and the emitted `init` give the same bits. Each
// variable draws from its own stream (Variable::stream), so adding a layer changes no other's values.
//
// Bounds: Glorot and Bengio 2010 (xavier), He et al. 2015 (he).
#pragma once

#include "ir/graph.h"
#include "ir/result.h"

namespace netc {

// Appends `init` to the module. An initialiser that compiled code cannot make is an Error, status 1.
Status initialize(Module& module);

}  // namespace netc
