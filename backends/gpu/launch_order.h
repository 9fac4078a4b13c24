// Which launches of an entry must wait for which: a launch that writes what an earlier one reads or writes, or
// reads what it writes. All others may run side by side.
#pragma once

#include <cstdint>
#include <vector>

#include "ir/program.h"

namespace netc {

// Bytes of a region that a launch works on.
struct TouchedRange {
    RegionKind region = RegionKind::workspace;
    std::uint32_t number = 0;
    std::int64_t begin = 0, end = 0;
    bool writes = false;
};

// For each launch the earlier ones that it waits for, ascending, without those that others of them wait for. `groups`:
// launches of one group wait for each other in order, whatever they touch.
std::vector<std::vector<std::uint32_t>>
launch_order(const std::vector<std::vector<TouchedRange>>& launches,
             const std::vector<std::uint32_t>& groups);

}  // namespace netc
