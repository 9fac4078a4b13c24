// From a file as it was written to its layout: what stands between the tokens, and where they break.
#include "frontend/format.h"

#include "frontend/layout.h"
#include "frontend/parse.h"
#include "ir/internal_error.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace netc {
namespace {

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

// Values that end with a bracket break inside it; others go to a line of their own as a whole, and so
// do those with a list of configuration and one of tensors.
bool breaks_inside(const SyntaxNode& value) {
    switch (value.rule) {
        case Rule::postfix: return value.children.size() == 2;
        case Rule::list:
        case Rule::paren:
        case Rule::scanExpr:
        case Rule::repeatExpr:
        case Rule::token: return true;
        default: return false;  // the other rules of the grammar
    }
}

Part Formatter::assigned(const SyntaxNode& equals, const SyntaxNode& value) {
    const Part sign = token(equals);
    if (breaks_inside(value)) return layout_.sequence({space(), sign, space(), node(value)});
    return layout_.sequence(
        {space(), sign, layout_.group({layout_.nest(kIndent, {layout_.line(), node(value)})})});
}

// ---------------------------------------------------------------- inside a line

Part Formatter::node(const SyntaxNode& node) {
    switch (node.rule) {
        case Rule::token: return token(node);
        case Rule::paramList:
        case Rule::paren:
        case Rule::list: return bracketed(node);
        case Rule::postOp:
            if (node.children.front().is_token("as"))
                return layout_.sequence({space(), spaced(node, true)});
            return node.children.front().is_token(".") ? spaced(node, false) : bracketed(node);
        case Rule::type:
        case Rule::pattern:
            return node.children.front().is_token("(") ? bracketed(node) : spaced(node, false);
        case Rule::pipe:
        case Rule::compose: return pipeline(node);
        case Rule::orExpr:
        case Rule::andExpr:
        case Rule::cmp:
        case Rule::sum:
        case Rule::term: return chain(node);
        case Rule::expr: return expression(node);
        case Rule::repeatExpr: return repeat(node);
        case Rule::block: return block(node);
        case Rule::range:
        case Rule::power:
        case Rule::unary:
        case Rule::postfix:
        case Rule::name:
        case Rule::argKeyword:
        case Rule::sliceItem:
        case Rule::dim:
        case Rule::primary: return spaced(node, false);
        case Rule::formal:
        case Rule::field:
        case Rule::arg: return words(node);
        case Rule::shape: return shape(node);
        case Rule::notExpr:
        case Rule::versionDecl:
        case Rule::scanExpr: return spaced(node, true);
        case Rule::withClause: {
            std::vector<Part> parts;
            for (const SyntaxNode& child : node.children) {
                const bool first = parts.empty();
                if (!first && !child.is_token(",")) parts.push_back(space());
                parts.push_back(this->node(child));
            }
            return layout_.sequence(std::move(parts));
        }
        case Rule::file:
        case Rule::item:
        case Rule::importDecl:
        case Rule::constDecl:
        case Rule::optionDecl:
        case Rule::fnDecl:
        case Rule::layerDecl:
        case Rule::modelDecl:
        case Rule::trainDecl:
        case Rule::body:
        case Rule::stmt:
        case Rule::ifStmt:
        case Rule::assertStmt:
        case Rule::trainItem: return item(node);
    }
    internal_error("a rule without a layout");
}

Part Formatter::spaced(const SyntaxNode& node, bool space) {
    std::vector<Part> parts;
    for (const SyntaxNode& child : node.children) {
        if (space && !parts.empty()) parts.push_back(this->space());
        parts.push_back(this->node(child));
    }
    return layout_.sequence(std::move(parts));
}

// Items between brackets: on one line, or filling lines of their own.
Part Formatter::bracketed(const SyntaxNode& node) {
    const Nodes& children = node.children;
    const Part open = token(children.front());
    std::vector<Part> items;
    for (std::size_t i = 1; i + 1 < children.size(); ++i) {
        if (children[i].is_token(",")) {
            if (i + 2 < children.size()) items.push_back(token(children[i]));
        } else if (items.empty()) {
            items.push_back(this->node(children[i]));
        } else {
            const Part line = layout_.line();
            items.push_back(layout_.group({line, this->node(children[i])}));
        }
    }
    const Part comments = comments_before(children.back().span.begin, false);
    if (comments != 0) items.push_back(layout_.sequence({layout_.softline(), comments}));
    if (items.empty()) return layout_.sequence({open, token(children.back())});
    items.insert(items.begin(), layout_.softline());
    const Part inside = layout_.nest(kIndent, std::move(items));
    const Part softline = layout_.softline();
    return layout_.group({open, inside, softline, token(children.back())});
}

// [B, 10]: short, so that it never breaks.
Part Formatter::shape(const SyntaxNode& node) {
    std::vector<Part> parts;
    const Nodes& children = node.children;
    for (std::size_t i = 0; i < children.size(); ++i) {
        if (children[i].is_token(",")) {
            if (i + 2 == children.size()) continue;
            parts.push_back(token(children[i]));
            parts.push_back(space());
        } else {
            parts.push_back(this->node(children[i]));
        }
    }
    return layout_.sequence(std::move(parts));
}

// a + b - c: a line may break before an operator.
Part Formatter::chain(const SyntaxNode& node) {
    const Part first = this->node(node.children.front());
    std::vector<Part> rest;
    for (std::size_t i = 1; i + 1 < node.children.size(); i += 2) {
        const Part line = layout_.line();
        const Part op = token(node.children[i]);
        const Part operand = this->node(node.children[i + 1]);
        rest.push_back(layout_.group({line, op, space(), operand}));
    }
    return layout_.sequence({first, layout_.nest(kIndent, std::move(rest))});
}

// x |> a |> b: a line breaks where the author broke it, and where it would be too long.
Part Formatter::pipeline(const SyntaxNode& node) {
    const Part first = this->node(node.children.front());
    std::vector<Part> rest;
    for (std::size_t i = 1; i + 1 < node.children.size(); i += 2) {
        const SyntaxNode& sign = node.children[i];
        const SyntaxNode& stage = node.children[i + 1];
        const bool broken = starts_line(sign.span.begin) || starts_line(stage.span.begin);
        const Part line = broken ? layout_.hardline() : layout_.line();
        const Part op = token(sign);
        const Part part = layout_.sequence({line, op, space(), this->node(stage)});
        rest.push_back(broken ? part : layout_.group({part}));
    }
    return layout_.sequence({first, layout_.nest(kIndent, std::move(rest))});
}

// if c then a else b; x -> e.
Part Formatter::expression(const SyntaxNode& node) {
    if (!node.children.front().is_token("if")) return spaced(node, true);
    std::vector<Part> parts;
    for (const SyntaxNode& child : node.children) {
        if (child.is_token("then") || child.is_token("else"))
            parts.push_back(layout_.line());
        else if (!parts.empty())
            parts.push_back(space());
        parts.push_back(this->node(child));
    }
    return layout_.group({layout_.nest(kIndent, std::move(parts))});
}

// repeat n { e }, repeat p in list { e }
Part Formatter::repeat(const SyntaxNode& node) {
    std::vector<Part> head;
    std::size_t i = 0;
    for (; !node.children[i].is_token("{"); ++i) {
        head.push_back(this->node(node.children[i]));
        head.push_back(space());
    }
    head.push_back(token(node.children[i]));
    const Part line = layout_.line();
    const Part inside = layout_.nest(kIndent, {line, this->node(node.children[i + 1])});
    const Part end = layout_.line();
    head.push_back(layout_.group({inside, end, token(node.children[i + 2])}));
    return layout_.sequence(std::move(head));
}

// ---------------------------------------------------------------- what must not change

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
