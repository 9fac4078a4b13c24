// assign_layout: physical layouts of what the user cannot see. See assign_layout.cpp for the estimate.
#pragma once

#include <string>

#include "ir/graph.h"

namespace netc {

// Gives layouts and inserts `copy` conversions. Returns what was chosen and why, for --report.
std::string assign_layout(Function& function, std::int64_t batch_hint);

}  // namespace netc
