// A module drawn: the text that Graphviz lays out.
#pragma once

#include <string>

#include "ir/graph.h"
#include "ir/result.h"

namespace netc {

// A cluster for each function, in it one for each instance (conv_1, block_2.linear_1); kernels are
// drawn as boxes in one colour where nodes are grouped.
std::string to_dot(const Module& module);

// Laid out by the program `dot`; status 4 where it is not installed.
Result<std::string> dot_to_svg(const std::string& dot);

}  // namespace netc
