// Schedules: how a kernel becomes loops. A side table; whatever is legal here gives the same bits.
//
//     outer b:4v o:6           tiles of 4 vectors of 16 samples by 6 outputs, unrolled
//     stage 0: i:1             the reduced axis i is a loop
//
// Outer axes are loops in the order of `outer`, each taken `tile` points at a time; the points of a tile
// are unrolled. One axis is the vector axis: an outer one (then all stages use it), or for each stage an
// own axis, or the lane axis of a lanes(16) reduction. Its tile counts vectors of 16.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backends/cpu/machine.h"
#include "ir/kernel.h"

namespace netc {

// Of an outer or own axis: points (vectors of 16 for the vector axis) that are unrolled together; a tile
// of the whole extent leaves no loop. Of a reduced axis: iterations that are unrolled together.
struct AxisTile {
    AxisId axis = 0;
    std::int64_t tile = 1;
    friend bool operator==(const AxisTile&, const AxisTile&) = default;
};

struct StageSchedule {
    std::vector<AxisTile> own;          // any order
    std::vector<AxisTile> reduced;      // the kernel's order
    std::optional<AxisId> vector_axis;  // only where the kernel has no outer vector axis
    // The sum is made by matrix units (matrix_sum.h): columns along the kernel's vector axis, rows along this one. This
    // alone of a schedule changes bits; whether it is chosen depends on kernel and processor only.
    std::optional<AxisId> matrix_rows;
    // A sum in lanes whose vectors lie along another axis: one lane after the other, with sums that wait in memory for
    // being merged; else all sixteen of every point at once.
    bool lane_by_lane = false;
    // Reads of vectors in rows far apart, of what comes from behind the second-level cache. No processor guesses the next
    // row: each step of the sum asks for what the next tile along the vector axis reads of its own.
    std::vector<std::uint32_t> ahead;
};

// The elements of a read that one tile of the loops down to `level` (a count of Schedule::outer) needs are
// copied into scratch first, the vector axis innermost. What it depends on besides that axis are loops outside.
struct Pack {
    std::uint32_t read = 0;
    std::size_t level = 0;
};

struct Schedule {
    std::vector<AxisTile> outer;  // a permutation of Kernel::outer, outermost first
    std::optional<AxisId> vector_axis;
    std::vector<StageSchedule> stages;
    std::vector<Pack> packs;
    // So many tiles of an outer axis at a time, around all other loops and slices, so that what they read stays in the
    // second-level cache while the loops around theirs go on. Where matrix units make the sums, the axis of matrix_rows.
    std::optional<AxisTile> block;
    // The sum in parts, around all loops but the first `slice_level`, so that what a part reads stays in the
    // second-level cache: the first axes of the reduction, `tile` values at a time, all but the last one at a time.
    // In between, the sums lie in the output: reloading them changes no bit.
    std::vector<AxisTile> slices;
    std::size_t slice_level = 0;
    // Results that no cache would hold until they are read: whole lines of them are written past the caches, which
    // saves reading what is overwritten. Params, ascending.
    std::vector<std::uint32_t> streamed;
};

// Chosen by a cost model (choose_schedule.cpp). `batch_hint` guides only.
Schedule schedule(const Kernel& kernel, const Machine& machine, std::int64_t batch_hint);

// The plainest: the kernel's order, no tiles, no vectors. What tests start from.
Schedule plain_schedule(const Kernel& kernel);

// Whether the schedule keeps the kernel's meaning; an Error of status 70 says why not.
Status legal(const Kernel& kernel, const Schedule& schedule);

std::string to_text(const Kernel& kernel, const Schedule& schedule);

// Iterations of the outermost loop: what threads share out, as a function of B. It walks an axis in pieces
// of tile * unit elements, and what is left in pieces of `unit`; a static axis in whole tiles, nearly equal.
struct ChunkRule {
    Extent extent{0, 1};
    std::int64_t unit = 1;
    std::int64_t tile = 1;
    bool rest_at_once = false;  // what is left is one piece
    std::int64_t count(std::int64_t batch) const;
};
ChunkRule chunk_rule(const Kernel& kernel, const Schedule& schedule);

// Rows of matrices whose number is known at run time end with a tile that is not full, rather than row by row: where
// every stage makes its sums by matrices, and what it keeps reads no memory.
bool rest_at_once(const Kernel& kernel, const Schedule& schedule);

// Multiply-adds and the like of one call; a rough measure for deciding about threads and copies.
double work_of(const Kernel& kernel, std::int64_t batch);

// Numbers of the reads that these scalars are computed from, positions of indirect reads included, each once.
std::vector<std::uint32_t> reads_of(const Kernel& kernel, const std::vector<ScalarId>& roots);

// Whether all accesses to a local have indices that are known where they are emitted.
bool local_in_registers(const Kernel& kernel, const Schedule& schedule,
                        std::optional<std::int64_t> batch, std::size_t local);

// Scratch for locals and packs that a function may take from the stack.
inline constexpr std::int64_t kLocalLimit = 64 * 1024;
inline constexpr std::int64_t kPackLimit = 160 * 1024;

}  // namespace netc
