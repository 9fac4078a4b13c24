// Checks on names before anything is evaluated.
#pragma once

#include "frontend/elaborate.h"

namespace netc::frontend {

// Every name of the user's files is known (E0101), also in branches that are never taken; no
// declaration calls itself (E0212); a `fn` owns no parameters (E0402); shadowing warns (W0101).
// Marks what is used.
void check_names(Session& session);

}  // namespace netc::frontend
