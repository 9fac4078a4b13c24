// How a sum of products is spread over a grid: a block computes a tile of the result from tiles of both operands that
// its threads bring to shared memory together.
//
//     result[m, n] = sum over k of a[m, k] * b[n, k]      m, n, k: each of several axes of the kernel
//
// Matrix products, convolutions and their gradients have this form; what an operand is (a window of an image, a
// product with a mask, nothing outside of a border) is the kernel's expression, evaluated where it is brought in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "backends/gpu/matrix_sums.h"
#include "backends/gpu/team_schedule.h"
#include "backends/gpu/tile_tensors.h"

namespace netc {

struct TileSchedule {
    ScalarId a = kNoScalar, b = kNoScalar;  // factors; a belongs to m, b to n
    Numbering m, n, batch;                  // outer axes of a alone, of b alone, of both
    std::vector<Guard> guards_a, guards_b;  // a term without them is a product with zero
    std::int64_t block_m = 64, block_n = 64, block_k = 16;
    std::int64_t thread_m = 4, thread_n = 4;    // results of a thread
    bool a_along_k = false, b_along_k = false;  // which way neighbouring threads bring elements
    // With a matrix unit each warp has products of 16 x 8 side by side: a thread has two rows and two columns of each.
    MatrixUnit unit = MatrixUnit::none;
    // Four warps, one below the other, are one product of 64 rows, which reads both operands from shared memory.
    bool warpgroups = false;
    // Of a and b, or none: with them a warpgroup more begins copies, and the others multiply and nothing else.
    std::vector<TileTensor> tensors;
    std::int64_t warp_m() const { return 8 * thread_m; }
    std::int64_t warp_n() const { return 4 * thread_n; }
    // That multiply; all of a block.
    int multiplying() const {
        if (unit != MatrixUnit::none)
            return static_cast<int>(block_m / warp_m() * (block_n / warp_n()) * 32);
        return static_cast<int>(block_m / thread_m * (block_n / thread_n));
    }
    int threads() const { return multiplying() + (tensors.empty() ? 0 : kWarpgroup); }
    static constexpr int kWarpgroup = 128;
    // Two blocks of warpgroups share a multiprocessor's memory, and wait for theirs in turn, where there are two for it and
    // it has the registers.
    bool shares_multiprocessor(std::int64_t batch) const;
    std::vector<GridFactor> grid() const;
};

// Nothing where the kernel has another form, or is too small for it.
std::optional<TileSchedule> tile_schedule(const Kernel& kernel, std::int64_t batch_hint,
                                          const GpuThresholds& thresholds = {});

std::string to_text(const TileSchedule& schedule);

}  // namespace netc
