// How a kernel is spread over a grid when each point of its outer axes is the work of one team of threads.
//
//     team 1     a thread does all stages of its point; locals are its own (registers, if small)
//     team T     stages share their own axes out among T threads, sums by lanes or leaves too; locals lie in
//                shared memory, with a barrier behind each stage
//     rows       sixteen neighbours, a lane each, keep their point's rows in registers (row_kernel.h), or 32, half a
//                lane each; no memory between them, no barrier
//
// A block has several teams. Points are numbered with the axis along memory fastest, so that neighbouring threads
// touch neighbouring elements.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backends/gpu/gpu_code.h"
#include "backends/gpu/gpu_thresholds.h"
#include "ir/kernel.h"

namespace netc {

// Part of the number of a point: `count` values of an axis, each standing for `scale` of its elements.
struct Digit {
    AxisId axis = 0;
    Extent extent{0, 1};  // of the axis
    std::int64_t scale = 1;
    std::int64_t count = 1;  // static digits
};

// Points of several axes, numbered so that the axis along memory is fastest.
struct Numbering {
    std::vector<Digit> outer;       // of dynamic extent, outermost first
    std::vector<Digit> inner;       // static, the last one fastest
    std::int64_t inner_points = 1;  // product of the inner counts
    std::int64_t points(std::int64_t batch) const;
};

// For each axis, how many accesses to params move by one element with it.
std::vector<int> unit_steps(const Kernel& kernel, std::int64_t batch);
// The axis of these that runs along memory in most accesses, the innermost of equals.
std::optional<AxisId> fastest_of(const Kernel& kernel, const std::vector<AxisId>& axes,
                                 const std::vector<int>& units);
Numbering number_points(const Kernel& kernel, const std::vector<AxisId>& axes,
                        const std::vector<int>& units);

struct TeamSchedule : Numbering {
    std::int64_t inner_per_block = 1, outer_per_block = 1;  // of the last outer digit
    std::int64_t vector = 1;  // points along the fastest digit that one thread takes
    // Outer axes of which a thread takes several points, whose sums it computes side by side: what they share it
    // reads once. Only with teams of one.
    std::vector<std::pair<AxisId, std::int64_t>> tile;
    std::int64_t team = 1;
    bool members_fastest = false;  // neighbouring threads are of one team
    std::int64_t row_places = 0;   // elements of a row that each of the team has; 0: no rows
    int threads() const;
    std::int64_t points_per_block() const { return inner_per_block * outer_per_block; }
    std::vector<GridFactor> grid() const;
};

TeamSchedule team_schedule(const Kernel& kernel, std::int64_t batch_hint,
                           const GpuThresholds& thresholds = {});

std::string to_text(const TeamSchedule& schedule);

// Elements by which an access moves when the axis goes from 0 to 1, all other axes 0.
std::int64_t step_along(const Param& param, const std::vector<Index>& index, AxisId axis,
                        std::int64_t batch);

}  // namespace netc
