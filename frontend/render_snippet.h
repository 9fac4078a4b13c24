// Source lines with marks under them.
//
//      4 |   return x @ w
//        |          - ^ - f32[784, 10]; its first dimension is 784
//        |          | the operator
//        |          f32[B, 100]; its last dimension is 100
#pragma once

#include "frontend/diagnostics.h"
#include "frontend/render.h"
#include "ir/source.h"

#include <span>
#include <string>
#include <string_view>

namespace netc {

enum class Style { plain, bold, error, warning, place, help };

// The text in a style; without colour, the text.
std::string styled(std::string_view text, Style style, bool color);

struct Mark {
    Label label;
    bool primary = false;
};

// The lines that the marks touch, with the marks below, file by file, the first mark's file first.
// `gutter` is the width of the column of line numbers, `loud` the style of primary marks. Lines of
// a file other than `file` get that file's name in front.
std::string render_snippet(std::span<const Mark> marks, const SourceMap& sources,
                           std::uint32_t file, std::size_t gutter, Style loud,
                           const RenderOptions& options);

}  // namespace netc
