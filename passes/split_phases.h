// split_phases: places of a result that different terms of a sum reach become axes of their own.
//
//     outer (i0: B, i1: 64, i2: 56)                         outer (i0: B, i1: 64, i3: 2, i2: 28)
//     guard 0 <= (i2 - k0 + 1) / 2 < 28               ->    guard 0 <= (2*i2 + i3 - k0 + 1) / 2 < 28
//     p0[i0, k1, ((i2 - k0 + 1) // 2)]                      p0[i0, k1, i2 + ((i3 - k0 + 1) // 2)]
//
// A transposed convolution of stride 2: even places have other taps than odd ones. Neighbours in a tile, now of one
// phase, have the same terms, and what they read lies side by side. Keeps every bit.
#pragma once

#include "ir/kernel.h"

namespace netc {

void split_phases(Kernel& kernel);

}  // namespace netc
