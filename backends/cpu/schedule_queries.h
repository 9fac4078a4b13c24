// Questions about a kernel or its schedule that legality and counts share.
#pragma once

#include <optional>
#include <vector>

#include "backends/cpu/schedule.h"

namespace netc {

// Accumulators of a tile, and copies of a body, at most.
inline constexpr std::int64_t kMostPoints = 1024;

bool index_depends(const std::vector<Index>& index, AxisId axis);

bool has_scatter(const Kernel& kernel);

// The reads that `id` is computed from and that are not seen yet, positions of indirect reads included.
void collect_reads(const Kernel& kernel, ScalarId id, std::vector<bool>& seen,
                   std::vector<std::uint32_t>& reads);

// Operations that `root` is computed by and that are not seen yet, a multiply-add as two.
double operations_of(const Kernel& kernel, ScalarId root, std::vector<bool>& seen);

// Whether each value of the axis has terms of its own: it decides whether a guard divides (passes/split_axes.h).
bool is_phase(const Kernel& kernel, AxisId axis);

// The axis that rows of matrices run along.
std::optional<AxisId> rows_axis(const Schedule& schedule);

}  // namespace netc
