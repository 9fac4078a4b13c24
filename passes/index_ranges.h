// Which integer inputs are used as indices, and how large they may be: data are checked where they
// enter, before anything is written.
#pragma once

#include <vector>

#include "ir/program.h"

namespace netc {

// Adds what one call shows: inputs that are a position of a gather or scatter, or that are compared
// with an index of the kernel (one-hot). The smallest limit of each input is kept.
void collect_index_ranges(const Kernel& kernel, const std::vector<BufferRef>& arguments,
                          std::vector<Entry::IndexRange>& ranges);

}  // namespace netc
