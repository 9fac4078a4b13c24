// Text to syntax tree. The only part of netc that knows ANTLR is behind this header.
#pragma once

#include "frontend/ast.h"
#include "frontend/diagnostics.h"
#include "frontend/syntax_tree.h"
#include "ir/source.h"

#include <cstdint>

namespace netc {

struct ParsedFile {
    ast::File file;
    // False when an error was reported: the tree then holds only the items that parsed.
    bool ok = true;
};

// Parses a file of the source map. Never throws, for no bytes whatever; what is wrong with them
// goes to `diagnostics`. `written`, where given, receives the text as it stands, with its comments.
ParsedFile parse(const SourceMap& sources, std::uint32_t file, Diagnostics& diagnostics,
                 SyntaxText* written = nullptr);

}  // namespace netc
