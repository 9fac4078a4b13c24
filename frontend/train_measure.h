// What a metric of the whole set is computed from.
#pragma once

#include <string>
#include <vector>

#include "frontend/elaborate.h"

namespace netc::frontend {

// Adds the names of the entries of the scope whose values a node is computed from; behind these the
// search does not go on.
void add_reached(const Function& function, NodeId node, const Scope& scope,
                 std::vector<std::string>& names);

}  // namespace netc::frontend
