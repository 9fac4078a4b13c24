// assign_layout: physical layouts of everything that the user cannot see.
//
//     %t = tanh (conv_nd %x, %w)         ->      %x' = copy %x      lanes [ceil(B/16)][c][y][x][16]
//                                                %t  = tanh (conv_nd %x', %w)            lanes
//
// One choice a function. Either every value whose first dim is the batch lives in batch lanes, so that sixteen
// samples are a vector and all other indices are uniform over it; or images lie with their channels last
// (channels_last.h); or all are row-major, and vectors run along the last dim of a result. The estimate:
// floating-point operations of each contraction over the share of a vector that its layout fills,
//
//     lanes       B / (16 ceil(B/16)), at the hinted batch
//     channels    n / (16 ceil(n/16)), n the channels that a convolution makes
//     row-major   n / (16 ceil(n/16)), n the last dim of the result, half of it where that is a row of an image;
//                 1/16 where the sum itself runs over lanes of the batch (see reduction_order)
//
// Conversions are `copy` nodes: inputs to lanes; the operand of a dense weight gradient back to rows,
// since its vectors run over output features and it is sequential over the batch, those of such a gradient of a
// convolution to channels last; and where rows won, a
// weight whose stride along the vector is not 1 (dx[b,i] = sum of dy[b,o] w[i,o]) is copied transposed.
// Small results are written row-major at once. Large weights of `forward`, those of narrow types, and those that a scan reads
// in each step, are laid out as streams (layout_converter.h): prepare_layouts moves that to `prepare`, hoist_fixed in front
// of the scan.
//
// Requires: no groups. Keeps every bit.
#pragma once

#include <cstdint>
#include <string>

#include "ir/graph.h"

namespace netc {

// body: rows, in what a scan repeats; its large weights, the same in all steps, are laid out as streams, too.
enum class LayoutChoice : std::uint8_t { estimated, rows, lanes, channels, body };

// Gives what was chosen and why, a line per contraction, for --report. `in_blocks`: weights in the blocks of vectors, for
// a processor; see layout_converter.h.
std::string assign_layout(Function& function, std::int64_t batch_hint,
                          LayoutChoice choice = LayoutChoice::estimated, bool in_blocks = true);

}  // namespace netc
