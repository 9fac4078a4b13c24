// graph_identity: all that a module is, as bytes: two modules with equal bytes become equal programs. The
// text of a module says what it computes; where its nodes came from, which reports show, is added.
#pragma once

#include <string>

#include "ir/graph.h"

namespace netc {

std::string graph_identity(const Module& module);

}  // namespace netc
