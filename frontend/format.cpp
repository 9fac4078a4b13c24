// From a file as it was written to its layout: comments, and what stands on lines of its own.
#include "frontend/format.h"

#include "frontend/formatter.h"
#include "frontend/parse.h"
#include "ir/internal_error.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace netc {

// ---------------------------------------------------------------- comments and tokens

bool Formatter::starts_line(std::uint32_t offset) const {
    while (offset > 0 && (text_[offset - 1] == ' ' || text_[offset - 1] == '\t')) --offset;
    return offset == 0 || text_[offset - 1] == '\n' || text_[offset - 1] == '\r';
}

bool Formatter::blank_before(std::uint32_t offset) const {
    std::size_t breaks = 0;
    for (; offset > 0; --offset) {
        const char c = text_[offset - 1];
        if (c == '\n' || (c == '\r' && text_[offset] != '\n'))
            ++breaks;
        else if (c != ' ' && c != '\t' && c != '\r')
            break;
    }
    return breaks > 1;
}

// The comments that stand before this place and were not laid out yet.
Part Formatter::comments_before(std::uint32_t offset, bool keep_blank) {
    std::vector<Part> parts;
    for (; next_comment_ < written_.comments.size(); ++next_comment_) {
        const Comment& comment = written_.comments[next_comment_];
        if (comment.span.begin >= offset) break;
        std::string_view text = comment.text;
        while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
        if (!starts_line(comment.span.begin)) {
            parts.push_back(layout_.trailing_comment(text));
            continue;
        }
        if (keep_blank && blank_before(comment.span.begin)) parts.push_back(layout_.blank());
        parts.push_back(layout_.comment(text));
    }
    return parts.empty() ? Part{0} : layout_.sequence(std::move(parts));
}

// The comment on the same line behind a token that ends here.
Part Formatter::comments_behind(std::uint32_t offset) {
    if (next_comment_ >= written_.comments.size()) return 0;
    const std::uint32_t begin = written_.comments[next_comment_].span.begin;
    if (begin < offset) return 0;
    const std::string_view between = text_.substr(offset, begin - offset);
    if (between.find_first_not_of(" \t") != std::string_view::npos) return 0;
    return comments_before(begin + 1, false);
}

Part Formatter::token(const SyntaxNode& node) {
    const Part before = comments_before(node.span.begin, false);
    const Part text = layout_.text(text_.substr(node.span.begin, node.span.end - node.span.begin));
    const Part behind = comments_behind(node.span.end);
    return before == 0 && behind == 0 ? text : layout_.sequence({before, text, behind});
}

// ---------------------------------------------------------------- lines

std::string Formatter::run() {
    std::vector<Part> all{lines(written_.parts, 0, written_.parts.size())};
    all.push_back(layout_.hardline());
    all.push_back(comments_before(static_cast<std::uint32_t>(text_.size()) + 1, true));
    return layout_.print(layout_.sequence(std::move(all)), kFormatWidth);
}

Part Formatter::lines(const Nodes& nodes, std::size_t first, std::size_t last) {
    std::vector<Part> parts;
    for (std::size_t i = first; i < last; ++i) {
        if (i > first) parts.push_back(layout_.hardline());
        const std::uint32_t begin = nodes[i].span.begin;
        parts.push_back(comments_before(begin, true));
        if (blank_before(begin)) parts.push_back(layout_.blank());
        parts.push_back(item(nodes[i]));
    }
    return layout_.sequence(std::move(parts));
}

Part Formatter::item(const SyntaxNode& node) {
    switch (node.rule) {
        case Rule::item: return item(node.children.front());
        case Rule::stmt:
            return node.children.size() == 1 ? item(node.children.front()) : words(node);
        case Rule::fnDecl:
        case Rule::layerDecl:
        case Rule::modelDecl: return callable(node);
        case Rule::ifStmt: return if_statement(node);
        case Rule::constDecl:
        case Rule::optionDecl: return words(node, true);
        case Rule::trainItem:
            if (node.children.front().is(Rule::name)) return words(node, true);
            return layout_.sequence({layout_.no_stop(), words(node)});
        default:  // rules of the grammar, most of which are no line
            return words(node);
    }
}

Part Formatter::callable(const SyntaxNode& node) {
    std::vector<Part> parts;
    for (const SyntaxNode& child : node.children) {
        if (child.is(Rule::paramList)) {
            parts.push_back(bracketed(child));
        } else if (child.is(Rule::body)) {
            if (child.children.size() == 2) {
                parts.push_back(assigned(child.children[0], child.children[1]));
            } else {
                parts.push_back(space());
                parts.push_back(block(child.children[0]));
            }
        } else {
            if (!parts.empty()) parts.push_back(space());
            parts.push_back(this->node(child));
        }
    }
    return layout_.sequence(std::move(parts));
}

// `{`, a line for each statement or train item, `}`.
Part Formatter::block(const SyntaxNode& node) {
    const auto open = std::ranges::find_if(
        node.children, [](const SyntaxNode& child) { return child.is_token("{"); });
    const auto first = static_cast<std::size_t>(open - node.children.begin()) + 1;
    const std::size_t last = node.children.size() - 1;
    const SyntaxNode& close = node.children[last];
    const Part head = token(*open);
    const Part body = lines(node.children, first, last);
    const std::size_t comments = next_comment_;
    const Part behind = comments_before(close.span.begin, true);
    const bool commented = next_comment_ > comments;
    std::vector<Part> inside;
    if (last > first) inside.insert(inside.end(), {layout_.hardline(), body});
    if (commented) inside.insert(inside.end(), {layout_.hardline(), behind});
    if (inside.empty()) return layout_.sequence({head, token(close)});
    // A comment that ends the block has ended its line.
    const Part end = layout_.softline();
    return layout_.sequence(
        {head, layout_.nest(kIndent, std::move(inside)), layout_.sequence({end, token(close)})});
}

Part Formatter::if_statement(const SyntaxNode& node) {
    std::vector<Part> parts;
    for (const SyntaxNode& child : node.children) {
        if (!parts.empty()) parts.push_back(space());
        if (child.is(Rule::block))
            parts.push_back(block(child));
        else if (child.is(Rule::ifStmt))
            parts.push_back(if_statement(child));
        else
            parts.push_back(this->node(child));
    }
    return layout_.sequence(std::move(parts));
}

Part Formatter::words(const SyntaxNode& node, bool lined_up) {
    std::vector<Part> parts;
    for (std::size_t i = 0; i < node.children.size(); ++i) {
        const SyntaxNode& child = node.children[i];
        if (child.is_token("=") && i + 1 < node.children.size()) {
            if (lined_up) parts.push_back(layout_.stop());
            parts.push_back(assigned(child, node.children[++i]));
            continue;
        }
        if (child.is_token("{")) {  // a train section: the rest is its items
            parts.push_back(space());
            parts.push_back(block(node));
            break;
        }
        if (child.is_token(",")) {  // of an assert
            parts.push_back(token(child));
            parts.push_back(layout_.nest(
                kIndent, {layout_.group({layout_.line(), this->node(node.children[++i])})}));
            continue;
        }
        if (child.is(Rule::withClause)) {
            parts.push_back(
                layout_.nest(2 * kIndent, {layout_.group({layout_.line(), this->node(child)})}));
            continue;
        }
        if (!parts.empty() && !child.is_token(":")) parts.push_back(space());
        parts.push_back(child.is(Rule::block) ? block(child) : this->node(child));
    }
    return layout_.sequence(std::move(parts));
}

// ---------------------------------------------------------------- what must not change

namespace {

void collect_tokens(const SyntaxNode& node, std::vector<std::string_view>& tokens) {
    if (node.is(Rule::token)) tokens.push_back(node.text);
    for (const SyntaxNode& child : node.children) collect_tokens(child, tokens);
}

// The words and signs of a file without the commas that formatting drops, then its comments.
std::vector<std::string_view> content(const SyntaxText& written) {
    std::vector<std::string_view> tokens;
    for (const SyntaxNode& part : written.parts) collect_tokens(part, tokens);
    std::vector<std::string_view> kept;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const bool closes = i + 1 < tokens.size() && (tokens[i + 1] == ")" || tokens[i + 1] == "]");
        if (tokens[i] != "," || !closes) kept.push_back(tokens[i]);
    }
    for (const Comment& comment : written.comments) {
        std::string_view text = comment.text;
        while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
        kept.push_back(text);
    }
    return kept;
}

}  // namespace

std::optional<std::string> format_file(const SourceMap& sources, std::uint32_t file,
                                       Diagnostics& diagnostics) {
    SyntaxText written;
    if (!parse(sources, file, diagnostics, &written).ok) return std::nullopt;
    const std::vector<std::string_view> before = content(written);
    SourceMap texts;  // a deque: the views into the earlier ones stay
    std::string text = Formatter(sources.text(file), written).run();
    // A comment within an expression may move to where the next round finds it elsewhere.
    for (int round = 0; round < 4; ++round) {
        Diagnostics none;
        SyntaxText again;
        const std::uint32_t number = texts.add(std::string(sources.path(file)), text);
        if (!parse(texts, number, none, &again).ok || content(again) != before)
            internal_error("formatting changed the words of the file");
        std::string next = Formatter(texts.text(number), again).run();
        if (next == text) break;
        text = std::move(next);
    }
    return text;
}

}  // namespace netc
