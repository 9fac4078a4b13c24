// Whether a store writes every element at most once.
#pragma once

#include <vector>

#include "ir/kernel.h"

namespace netc {

// False only where two points of the axes are known to have the same index; undecided counts as true.
bool is_injective(const Kernel& kernel, const std::vector<Index>& index,
                  const std::vector<AxisId>& axes);

}  // namespace netc
