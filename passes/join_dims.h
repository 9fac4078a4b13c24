// join_dims: dims of an operand that are only read as parts of one index become one.
//
//     param p0: in f32[B, 16, 5, 5]                    param p0: in f32[B, 16, 25]
//     p0[i0, i1, (k0 // 5), (k0 % 5)]            ->    p0[i0, i1, k0]
//
// What was a reshape of an array that lies in memory, or a line of an image, is then seen to lie along memory. Keeps every bit.
#pragma once

#include <cstddef>

#include "ir/kernel.h"

namespace netc {

void join_dims(Kernel& kernel);

// Dims `dim` and `dim + 1` of a param, which lie side by side.
void join_dims(Param& param, std::size_t dim);

}  // namespace netc
