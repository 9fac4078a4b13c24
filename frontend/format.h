// The canonical form of a .net file: `netc fmt`, and formatting in the language server.
//
// Only white space changes, and commas before a closing bracket go. Lines are at most 100 columns wide
// where the text has a place to break. What the author decides: empty lines (one at most), and before
// which `|>` and `>>` a pipeline breaks, because that is how the text shows the parts of a network.
#pragma once

#include "frontend/diagnostics.h"
#include "ir/source.h"

#include <optional>
#include <string>

namespace netc {

inline constexpr std::size_t kFormatWidth = 100;

// Nothing when the file has syntax errors; they are in `diagnostics`.
std::optional<std::string> format_file(const SourceMap& sources, std::uint32_t file,
                                       Diagnostics& diagnostics);

}  // namespace netc
