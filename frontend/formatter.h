// The walk behind format.h: from syntax nodes to the parts of a layout. Lines are laid out in
// format.cpp, what stands inside of them in format_expressions.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/layout.h"
#include "frontend/syntax_tree.h"

namespace netc {

constexpr std::uint32_t kIndent = 2;

using Nodes = std::vector<SyntaxNode>;

class Formatter {
public:
    Formatter(std::string_view text, const SyntaxText& written) : text_(text), written_(written) {}

    std::string run();

private:
    // Lines: items, statements, settings.
    Part lines(const Nodes& nodes, std::size_t first, std::size_t last);
    Part item(const SyntaxNode& node);
    Part callable(const SyntaxNode& node);
    Part block(const SyntaxNode& node);
    Part if_statement(const SyntaxNode& node);
    // `let x: int = e`: words with a space between, a type behind `:`, a value behind `=`.
    Part words(const SyntaxNode& node, bool lined_up = false);
    Part assigned(const SyntaxNode& equals, const SyntaxNode& value);

    // Inside a line.
    Part node(const SyntaxNode& node);
    Part bracketed(const SyntaxNode& node);
    Part shape(const SyntaxNode& node);
    Part chain(const SyntaxNode& node);
    Part pipeline(const SyntaxNode& node);
    Part expression(const SyntaxNode& node);
    Part repeat(const SyntaxNode& node);
    Part spaced(const SyntaxNode& node, bool space);

    Part token(const SyntaxNode& node);
    Part comments_before(std::uint32_t offset, bool keep_blank);
    Part comments_behind(std::uint32_t offset);
    bool blank_before(std::uint32_t offset) const;
    bool starts_line(std::uint32_t offset) const;
    Part space() { return layout_.text(" "); }

    std::string_view text_;
    const SyntaxText& written_;
    Layout layout_;
    std::size_t next_comment_ = 0;
};

}  // namespace netc
