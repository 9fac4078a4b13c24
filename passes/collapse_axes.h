// collapse_axes: axes that lie side by side in memory become one, in elementwise kernels and, where the inner one is short, in
// those of one sum.
//
//     outer (i0: B, i1: 64, i2: 56, i3: 56)       outer (i0: B, i1: 200704)
//     store p1[i0, i1, i2, i3] = ..          ->   store p1[i0, i1] = ..
//
// Vectors then run over more than one row, and tiles of a sum are not cut at the end of each. A read of another order takes the one axis apart again (i1 // 9, i1 % 9),
// unless it would be contiguous along one of them. Keeps every bit.
#pragma once

#include "ir/kernel.h"

namespace netc {

void collapse_axes(Kernel& kernel);

}  // namespace netc
