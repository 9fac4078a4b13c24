// Outer axes of a kernel that are cut into two, because their places differ in what they read. Both keep every bit.
#pragma once

#include "ir/kernel.h"

namespace netc {

// Places of a result that different terms of a sum reach become axes of their own.
//
//     outer (i0: B, i1: 64, i2: 56)                         outer (i0: B, i1: 64, i3: 2, i2: 28)
//     guard 0 <= (i2 - k0 + 1) / 2 < 28               ->    guard 0 <= (2*i2 + i3 - k0 + 1) / 2 < 28
//     p0[i0, k1, ((i2 - k0 + 1) // 2)]                      p0[i0, k1, i2 + ((i3 - k0 + 1) // 2)]
//
// A transposed convolution of stride 2: even places have other taps than odd ones. Neighbours in a tile, now of one
// phase, have the same terms, and what they read lies side by side.
void split_phases(Kernel& kernel);

// Results that share an operand of a sum become an axis of their own.
//
//     outer (i0: B, i1: 96, i2: 20, i3: 20)                 outer (i0: B, i4: 2, i1: 48, i2: 20, i3: 20)
//     p0[i0, k0 + 24*(i1 // 48), i2, i3]              ->    p0[i0, k0 + 24*i4, i2, i3]
//
// A convolution of two groups: a vector of channels, now of one group, reads one number of the image, not sixteen.
void split_groups(Kernel& kernel);

}  // namespace netc
