// initialize: the function `init`, which fills parameters and state from a seed.
//
//     param weight: f32[784, 10] = xavier_uniform()   ->   @weight' = (random_uniform - 0.5) * 2 bound
//
// As ordinary nodes, so that `netc train --seed N` and the emitted `init` give the same bits. Each
// variable draws from its own stream (Variable::stream), so adding a layer changes no other's values.
//
// Bounds: Glorot and Bengio 2010 (xavier), He et al. 2015 (he). `orthogonal`: rows of normal numbers,
// made orthogonal one after another (Saxe et al. 2014), as a scan.
#pragma once

#include "ir/graph.h"
#include "ir/result.h"

namespace netc {

// Appends `init` to the module. What is in a file is 0 here: the runtime puts it there.
Status initialize(Module& module, bool for_object);
// What the `init` of an object leaves at 0: an object reads no file, and what an orthogonal matrix is made of
// would not fit on the stack of every caller.
bool object_leaves_zero(const Variable& variable);

}  // namespace netc
