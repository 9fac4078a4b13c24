// What the parser hands over: the rules that matched, as plain nodes, so that only parse.cpp knows
// which parser it was.
//
// A node is a rule of Net.g4 or a token. Rules that only pass one operand on (`sum` with a single
// `term`, and so on down the ladder of expressions) are left out: a node of such a rule has an
// operator.
#pragma once

#include "ir/source.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace netc {

// The rules in the order of Net.g4; parse.cpp checks that.
enum class Rule : std::uint8_t {
    file,
    versionDecl,
    item,
    importDecl,
    constDecl,
    optionDecl,
    fnDecl,
    layerDecl,
    modelDecl,
    trainDecl,
    paramList,
    formal,
    body,
    block,
    type,
    field,
    shape,
    dim,
    stmt,
    ifStmt,
    assertStmt,
    withClause,
    pattern,
    trainItem,
    expr,
    pipe,
    compose,
    orExpr,
    andExpr,
    notExpr,
    cmp,
    range,
    sum,
    term,
    unary,
    power,
    postfix,
    postOp,
    sliceItem,
    arg,
    argKeyword,
    primary,
    paren,
    list,
    repeatExpr,
    scanExpr,
    name,
    token,  // no rule: a leaf
};

enum class TokenKind : std::uint8_t {
    none,
    sign,
    dtype,
    quantity,
    floating,
    integer,
    string,
    identifier
};

// `# text` or `## text`, with its marks.
struct Comment {
    Span span;
    std::string_view text;

    bool documents() const { return text.starts_with("##"); }
};

// A token of the text, comments left out. The list of a file's tokens ends with one of kind none
// and no text.
struct Token {
    TokenKind kind = TokenKind::none;
    Span span;
    std::string_view text;
    std::uint32_t depth = 0;  // of open brackets around it; a bracket has the depth outside
    bool starts_line = false;
    std::uint32_t column = 0;  // from 0
};

struct SyntaxNode {
    Rule rule = Rule::token;
    TokenKind token = TokenKind::none;
    Span span;
    std::string_view text;  // of a token
    std::vector<SyntaxNode> children;

    bool is(Rule wanted) const { return rule == wanted; }
    bool is_token(std::string_view wanted) const { return rule == Rule::token && text == wanted; }
    // The first child of this rule, or nullptr.
    const SyntaxNode* find(Rule wanted) const {
        for (const SyntaxNode& child : children) {
            if (child.rule == wanted) return &child;
        }
        return nullptr;
    }
    const SyntaxNode* find_token(std::string_view wanted) const {
        for (const SyntaxNode& child : children) {
            if (child.is_token(wanted)) return &child;
        }
        return nullptr;
    }
};

// A whole file as it was written: the version and the items in their order, and all comments.
struct SyntaxText {
    std::vector<SyntaxNode> parts;
    std::vector<Comment> comments;
};

}  // namespace netc
