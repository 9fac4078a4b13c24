// Kernels that go over rows of one length: softmax, normalizations, losses, and their gradients.
//
//     stage ()    reduce (k: 1000) lanes(k) ... in[b, k]       sums of a row, by lanes
//     stage (j: 1000)  local[j] = ... in[b, j]                 its elements
//
// Element k of every row belongs to lane k mod 16. So one thread a lane has all it needs: a row is read once and stays in
// registers, which are as many as a row has elements, over sixteen.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ir/kernel.h"

namespace netc {

// Reads of several stages that are the same element of the same param.
struct KeptRow {
    std::vector<std::uint32_t> reads;  // of the kernel
    std::size_t first = 0, last = 0;   // stages
};

struct RowKernel {
    std::int64_t extent = 0;  // of a row
    std::vector<KeptRow> rows;
    std::int64_t kept =
        0;  // rows at most that live from one stage to the next, those of locals too
};

// Nothing where the kernel has another form.
std::optional<RowKernel> row_kernel(const Kernel& kernel);

// The axis of a stage that runs along the row, if any.
std::optional<AxisId> row_axis(const Stage& stage);

}  // namespace netc
