// Statements, types and patterns.
#include "frontend/build_tree.h"

#include <algorithm>
#include <utility>

namespace netc {

ast::Name TreeBuilder::name(const SyntaxNode& node) { return {std::string(node.text), node.span}; }

ast::Name TreeBuilder::name_in(const SyntaxNode& node) { return name(*node.find(Rule::name)); }

// ---------------------------------------------------------------- types

std::optional<ast::Type> TreeBuilder::type_in(const SyntaxNode& node) {
    const SyntaxNode* found = node.find(Rule::type);
    if (found == nullptr) return std::nullopt;
    return type(*found);
}

namespace {

constexpr std::pair<std::string_view, ast::StaticKind> kStaticKinds[] = {
    {"int", ast::StaticKind::integer},  {"float", ast::StaticKind::floating},
    {"bool", ast::StaticKind::boolean}, {"string", ast::StaticKind::string},
    {"list", ast::StaticKind::list},    {"fn", ast::StaticKind::fn},
    {"layer", ast::StaticKind::layer},  {"init", ast::StaticKind::init},
    {"dtype", ast::StaticKind::dtype},
};

ast::StaticKind static_kind(std::string_view word) {
    for (const auto& [spelled, kind] : kStaticKinds) {
        if (spelled == word) return kind;
    }
    return ast::StaticKind::integer;
}

}  // namespace

ast::Type TreeBuilder::type(const SyntaxNode& node) {
    const SyntaxNode& first = node.children.front();
    if (const SyntaxNode* shape = node.find(Rule::shape)) {
        ast::TensorType tensor{*ast::parse_dtype(first.text), first.span, {}};
        for (const SyntaxNode& child : shape->children) {
            if (child.is(Rule::dim)) tensor.dims.push_back(dim(child));
        }
        return {node.span, std::move(tensor)};
    }
    if (!first.is_token("(")) return {node.span, ast::StaticType{static_kind(first.text)}};
    ast::TupleType tuple;
    for (const SyntaxNode& child : node.children) {
        if (!child.is(Rule::field)) continue;
        std::optional<ast::Name> field_name;
        if (child.find(Rule::name) != nullptr) field_name = name_in(child);
        tuple.fields.push_back({std::move(field_name), *type_in(child)});
    }
    return {node.span, std::move(tuple)};
}

ast::Dim TreeBuilder::dim(const SyntaxNode& node) {
    const SyntaxNode& first = node.children.front();
    if (first.is_token("*")) return {node.span, ast::PackDim{name_in(node)}};
    if (first.is_token("_")) return {node.span, ast::AnyDim{}};
    return {node.span, boxed(first)};
}

// ---------------------------------------------------------------- patterns

ast::Pattern TreeBuilder::pattern(const SyntaxNode& node) {
    ast::Pattern result{node.span, "", {}};
    if (const SyntaxNode* single = node.find(Rule::name)) {
        result.name = single->text;
        return result;
    }
    for (const SyntaxNode& child : node.children) {
        if (child.is(Rule::pattern)) result.parts.push_back(pattern(child));
    }
    return result;
}

// ---------------------------------------------------------------- statements

ast::Block TreeBuilder::block(const SyntaxNode& node) {
    ast::Block result{node.span, {}};
    for (const SyntaxNode& child : node.children) {
        if (child.is(Rule::stmt)) result.statements.push_back(statement(child));
    }
    return result;
}

ast::Stmt TreeBuilder::statement(const SyntaxNode& node) {
    const SyntaxNode& first = node.children.front();
    const SyntaxNode& last = node.children.back();
    if (first.is(Rule::ifStmt)) return {node.span, if_statement(first)};
    if (first.is(Rule::assertStmt)) return {node.span, assertion(first)};
    if (first.is(Rule::name)) return {node.span, ast::Assign{name(first), expression(last)}};
    const std::string_view word = first.text;
    if (word == "let")
        return {node.span,
                ast::Let{pattern(*node.find(Rule::pattern)), type_in(node), expression(last)}};
    if (word == "var") return {node.span, ast::Var{name_in(node), type_in(node), expression(last)}};
    if (word == "state")
        return {node.span, ast::State{name_in(node), *type_in(node), expression(last)}};
    if (word == "update") return {node.span, ast::Update{name_in(node), expression(last)}};
    if (word == "yield") return {node.span, ast::Yield{expression(last)}};
    if (word == "return") return {node.span, ast::Return{expression(last)}};
    if (word == "for") {
        return {node.span, ast::For{pattern(*node.find(Rule::pattern)),
                                    expression(node.children[3]), block(last)}};
    }
    ast::Param param{name_in(node), *type_in(node), value_in(node), {}};
    if (const SyntaxNode* attributes = node.find(Rule::withClause))
        param.attributes = arguments(*attributes);
    return {node.span, std::move(param)};
}

// An `else if` becomes a block of one statement.
ast::If TreeBuilder::if_statement(const SyntaxNode& node) {
    ast::If result{expression(node.children[1]), block(node.children[2]), std::nullopt};
    if (node.children.size() <= 3) return result;
    const SyntaxNode& other = node.children.back();
    if (other.is(Rule::block)) {
        result.else_block = block(other);
    } else {
        ast::Block chained{other.span, {}};
        chained.statements.push_back({other.span, if_statement(other)});
        result.else_block = std::move(chained);
    }
    return result;
}

ast::Assert TreeBuilder::assertion(const SyntaxNode& node) {
    ast::Assert result{expression(node.children[1]), {}};
    if (node.children.size() > 2) result.text = interpolated(node.children.back());
    return result;
}

// "width {D} of {heads}": the text between the quotes, cut at its braces.
std::vector<ast::TextPart> TreeBuilder::interpolated(const SyntaxNode& string) {
    std::vector<ast::TextPart> parts;
    const std::size_t end = string.text.size() - 1;
    std::size_t at = 1;
    while (at < end) {
        const std::size_t open = std::min(string.text.find('{', at), end);
        if (open > at) {
            SyntaxNode piece = string;
            piece.text = string.text.substr(
                at - 1, open - at + 2);  // decoded() leaves out its first and last byte
            parts.push_back({decoded(piece), nullptr});
        }
        if (open == end) break;
        const std::size_t close = string.text.find('}', open);
        const auto place = [&](std::size_t offset) {
            return string.span.begin + static_cast<std::uint32_t>(offset);
        };
        if (close == std::string_view::npos) {
            report(diagnose<Code::unclosed_bracket>(
                       {string.span.file, place(open), place(open + 1)}, "{")
                       .text("opened here")
                       .help("braces in the text of an assert hold an expression: `{{x}}`"));
            break;
        }
        if (close == open + 1) {
            report(diagnose<Code::missing_value>({string.span.file, place(close), place(close + 1)},
                                                 "a value", "{")
                       .text("an expression is missing here"));
        } else if (const auto node =
                       parse_expression_({string.span.file, place(open + 1), place(close)})) {
            parts.push_back({"", boxed(*node)});
        } else {
            ok_ = false;
        }
        at = close + 1;
    }
    return parts;
}

}  // namespace netc
