// winograd: convolutions of 3 x 3 taps in inference by Winograd's minimal filtering (ir/ops/winograd.cpp).
//
//     %y = conv_nd %x, %w   ->   %u = winograd_weights %w           what depends on weights alone moves to `prepare`
//                                %v = winograd_input %x
//                                %z = einsum "repc,eco->repo" %v, %u     36 products of matrices
//                                %y = winograd_output %z
//
// Where that is worth it by logical shape; target and threads do not count, nor in inference the batch, so that they
// change no bit. In training it does: it is part of what is trained; and the forward pass takes tiles of 2 x 2 only, so
// that its sums, whose signs decide where gradients go, are as exact as the direct ones. Gradients likewise, towards the image by the
// convolution that is the adjoint, towards the weights by the adjoint of each step:
//
//     %dw = conv_nd_weight_gradient %x, %dy   ->   winograd_weights_gradient (einsum "repc,repo->eco"
//                                                      (winograd_input %x), (winograd_output_gradient %dy))
//
// Rounds
// otherwise than the direct convolution: of max |x| * sum |w|, the greatest of a tile's image, in all channels, times the
// sum over the taps and channels of an output, the error is at most 2e-6 (F(4, 3)) or 5e-7 (F(2, 3)). Where the
// magnitudes in a tile are alike, over 32 channels and more, it is at most 1.5e-6 or 5e-7 of the sum of the magnitudes of
// the products, where the direct convolution has 2e-7 (tests/cpu/winograd_test.cpp); what is small beside a
// neighbour that is large has the neighbour's error. An infinity or NaN makes NaN of all of its tiles.
#pragma once

#include <cstdint>
#include <string>

#include "ir/graph.h"

namespace netc {

// The largest tile that may be used: 4 or 2; `always` that one, worth it or not. Gives a line for each convolution for
// --report. `batch` is that of training, and not used for `forward`.
std::string winograd(Function& function, std::int64_t largest_tile, std::int64_t batch,
                     bool always = false);

}  // namespace netc
