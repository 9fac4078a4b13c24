// The syntax tree as text, for `netc dump --stage=ast`: a line a node, indented by its depth;
// stable, without places.
#pragma once

#include "frontend/ast.h"

#include <string>

namespace netc {

std::string print_ast(const ast::File& file);

}  // namespace netc
