// Sums of products that the matrix units of a processor (AMX) make, tile by tile.
//
// A tile register has up to 16 rows of 64 bytes. One instruction adds to 16 x 16 sums the products of two tiles: one
// with a row for each row of the sums, in it the terms, and one with a row for each word of terms (two of bf16,
// four bytes), in it the columns of the sums. A step of the sum is what one instruction takes: up to 16 words of terms.
//
// What a step is follows from the kernel alone, so that no schedule, layout or batch changes a bit. Within a step the
// processor has its own order: tdpbf16ps sums the first terms of all words and the second ones apart, from +0, with
// one rounding each term, adds the two, adds that to the sum; subnormals count as zero. What is missing of a word or
// a step is zero. Sums of bytes are exact.
#pragma once

#include <optional>
#include <vector>

#include "ir/kernel.h"

namespace netc {

// Rows of a tile, words in a row, sums in a row.
inline constexpr std::int64_t kTileRows = 16;

struct MatrixFactor {
    ScalarId value = kNoScalar;  // narrow: bf16, i8, u8
    std::vector<AxisId>
        own;  // outer axes, and own ones of the stage, that the other factor does not depend on
};

struct MatrixSum {
    MatrixFactor a, b;
    std::vector<AxisId>
        columns;  // outer axes, of either factor's own, that vectors of sums can run along
    std::int64_t in_word = 2;  // terms of a word: 2 of bf16, 4 of bytes
    // A step takes `chunk` values of this reduced axis, for each all values of `inner`, the last fastest.
    AxisId chunked = 0;
    std::int64_t chunk = 1;
    std::vector<AxisId> inner;
    std::int64_t inner_count = 1;
    // The terms of a step lie in it from the last to the first, as the kernel's indices go through memory.
    bool backwards = false;

    const MatrixFactor&
    along(AxisId axis) const;  // the factor that this axis of the result belongs to
    const MatrixFactor& beside(AxisId axis) const;  // the other one
    bool walks(AxisId axis) const;                  // within a step
    std::int64_t terms() const { return chunk * inner_count; }
    std::int64_t words() const { return (terms() + in_word - 1) / in_word; }
};

// The sum of this stage as steps of tiles; nothing where it is of another form, or has so few terms that most of a
// tile would be empty.
std::optional<MatrixSum> matrix_sum(const Kernel& kernel, const Stage& stage);

}  // namespace netc
