// From where on which schedule of a GPU pays. Guides only, but for tf32: any choice gives the same bits, which tests check
// with the extremes.
#pragma once

#include <cstdint>
#include <limits>

namespace netc {

// Multiprocessors of a large device of today.
inline constexpr std::int64_t kMultiprocessors = 132;

// Of the device: which products of f32 tiles are left to its matrix units. Those of bf16 always are.
enum class MatrixUnit : std::uint8_t { none, bf16, tf32 };

struct GpuThresholds {
    // Multiply-adds below which a contraction is not worth the barriers of tiles in shared memory.
    double tile_work = 1e5;
    // Threads that should remain when each takes several points.
    std::int64_t threads = kMultiprocessors * 192;
    // Terms of a sum's part, below which the parts are not a kernel of their own.
    std::int64_t part_terms = 64;
    // Points from which on a thread of an elementwise kernel takes four.
    std::int64_t vector_points = kMultiprocessors * 512;
    // Whether matrix units may take the operands of f32 as the 11 bits of tf32, rounded or cut off. Changes bits.
    bool tf32 = false;
    // Whether the device has products by warpgroups (wgmma), as sm_90a alone does.
    bool warpgroups = false;
    // Whether it copies boxes of tensors for them by itself, as sm_90a does.
    bool tensor_copies = false;
};

// Each contraction by tiles, sums in parts wherever they have any, vectors everywhere.
inline constexpr GpuThresholds kTilesEverywhere{0, 0, 1, 0};
// No tiles, but several points a thread.
inline constexpr GpuThresholds kPlacesEverywhere{std::numeric_limits<double>::infinity(), 0,
                                                 std::int64_t{1} << 40, 0};

}  // namespace netc
