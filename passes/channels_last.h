// channels_last: the part of assign_layout that is about convolutions.
//
//     %y = conv_nd %x, @w         ->     %x' = copy %x    [b][y][x][c]
//     %z = relu %y                       %w' = copy @w    [ky][kx][c][o]
//                                        %y  = conv_nd %x', %w'   [b][y][x][o];  %z likewise
//
// Vectors then run over output channels, of which there are many and none outside of the image; every element of
// the image is broadcast, so that neither borders nor strides cost anything.
#pragma once

#include <optional>
#include <vector>

#include "passes/group.h"
#include "passes/layout_converter.h"

namespace netc {

// A contraction whose result, or whose operands, are images [b, c, y...]: found by what it reads, not by name.
struct ImageContraction {
    std::vector<std::size_t> images;     // operands that are images
    std::optional<std::size_t> weights;  // the operand that is not
    std::int64_t vector = 1;             // channels that a vector runs over
    bool result_is_image = false;
};

std::optional<ImageContraction> image_contraction(const GroupInfo& info, NodeId id);

// Of an image: [b][y..][x][c]; and of a gradient of weights: [k..][c][o].
Layout channels_last(const Type& type);
Layout layout_of_weight_gradient(std::size_t rank);

// Gives the function's images and the weights of its convolutions this layout; asks for conversions where something
// reads them that must not see it.
void choose_channels_last(Function& function, const GroupInfo& info, LayoutConverter& converter);

}  // namespace netc
