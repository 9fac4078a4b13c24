// quantize: inference in 8-bit integers.
//
//     %y = einsum %x, @w    ->    %q = cast(%x / s + z, u8)    @v = cast(@w / r, i8)
//                                 %y = (einsum %q, @v : i32 - einsum z, @v) * (s * r) : f32
//
// Of contractions of a value of the batch with weights. Weights have a step r for each output channel and no
// offset; they are taken apart in `prepare`. The step s and the zero z of an activation are those of the range that
// calibration saw; where it begins at 0, z is 0 and there is nothing to take away. Products are summed in i32,
// exactly; everything else stays f32.
//
// Where: behind fold_scale, before what depends on weights alone moves to `prepare`. Only `forward` and
// `evaluate`: training stays as it is.
#pragma once

#include <string>
#include <vector>

#include "ir/graph.h"

namespace netc {

// What calibration saw of the value that a contraction of weights reads.
struct ValueRange {
    std::string place;  // linear_1, or linear_1#2 for its second contraction
    double least = 0, greatest = 0;
};

// Results of the ranges of each place, a number for each sample: `least:` and `greatest:` before its name.
inline constexpr const char* kLeastOf = "least:";
inline constexpr const char* kGreatestOf = "greatest:";
void observe_ranges(Function& function);

// The contractions whose ranges are known in integers.
void quantize(Function& function, const std::vector<ValueRange>& ranges);

}  // namespace netc
