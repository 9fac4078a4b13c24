// image_lines: gradients towards the weights of convolutions in 16 bits as sums along memory (ir/ops/image_lines.cpp).
//
//     %dw = conv_nd_weight_gradient %x, %dy   ->   %a  = image_lines %x      each channel's places side by side
//                                                  %b  = image_pairs %dy     two places side by side
//                                                  %dw = line_weight_gradient %a, %b
//
// Instructions that multiply pairs of 16 bits, and matrix units, want the terms of a sum side by side. Those of such a
// gradient are places of images, which lie with their channels side by side: both operands are laid out anew once,
// for all taps and channels. A term in the padding is a product with zero here, and so is one behind a row: where the other
// factor is infinite or NaN, there is a NaN.
#pragma once

#include "ir/graph.h"

namespace netc {

void image_lines(Function& function);

}  // namespace netc
