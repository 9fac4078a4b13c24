// Diagnostics as text: plain, in colour for a terminal, and JSON.
#pragma once

#include "frontend/diagnostics.h"
#include "ir/source.h"

#include <string>

namespace netc {

struct RenderOptions {
    bool color = false;       // ANSI escapes
    std::size_t width = 100;  // columns of source shown of a long line
};

// One diagnostic in the layout of docs/language_rules.md, with a line break at its end.
std::string render(const Diagnostic& diagnostic, const SourceMap& sources,
                   const RenderOptions& options = {});
// All of them, a blank line between, and the count of those left out.
std::string render(const Diagnostics& diagnostics, const SourceMap& sources,
                   const RenderOptions& options = {});
// {"diagnostics": [...]} on one line, with a line break.
std::string render_json(const Diagnostics& diagnostics, const SourceMap& sources);
// The page of `netc explain`: code, message, explanation, a wrong and a right program.
std::string render_explanation(const DiagnosticInfo& info);

}  // namespace netc
