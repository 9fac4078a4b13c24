// Reference pages in Markdown, made from the declarations of a file and the `##` comments before them:
// `netc doc`, and docs/reference/library.md for the library.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "frontend/diagnostics.h"
#include "ir/source.h"

namespace netc {

// All public declarations of a file in their order, under the headings that `# ---- words` lines make.
// Nothing when the file has syntax errors (in `diagnostics`).
std::optional<std::string> file_reference(const SourceMap& sources, std::uint32_t file,
                                          std::string_view title, Diagnostics& diagnostics);
// The entry of one declaration of the file; nothing where it has none of this name.
std::optional<std::string> file_entry(const SourceMap& sources, std::uint32_t file,
                                      std::string_view name);

// The functions that the compiler knows without the library.
std::string builtin_reference();
std::optional<std::string> builtin_entry(std::string_view name);

}  // namespace netc
