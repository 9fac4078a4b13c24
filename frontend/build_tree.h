// Syntax nodes to the syntax tree of ast.h.
//
// The builder decodes literals, and refuses what the grammar takes but the language does not (see
// the top of Net.g4). It never stops at a problem: it reports it and goes on with a tree that the
// caller must not use, ok() being false.
#pragma once

#include "frontend/ast.h"
#include "frontend/diagnostics.h"
#include "frontend/syntax_tree.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace netc {

// Operators nest in the tree as they are written one behind the other; later stages walk the tree
// recursively.
inline constexpr std::size_t kMaxTreeDepth = 500;

class TreeBuilder {
public:
    using ParseExpression = std::function<std::optional<SyntaxNode>(Span)>;

    TreeBuilder(const SourceMap& sources, Diagnostics& diagnostics,
                ParseExpression parse_expression, const std::vector<Comment>& docs)
        : sources_(sources), diagnostics_(diagnostics),
          parse_expression_(std::move(parse_expression)), docs_(docs) {}

    bool version(const SyntaxNode& node, ast::File& file);  // false when netc does not know it
    void no_version(Span first);
    void item(const SyntaxNode& node, ast::File& file);
    bool ok() const { return ok_; }

private:
    // build_declarations.cpp
    ast::Import import(const SyntaxNode& node);
    ast::Const constant(const SyntaxNode& node);
    ast::Option option(const SyntaxNode& node);
    ast::Callable callable(const SyntaxNode& node);
    ast::Train train(const SyntaxNode& node);
    ast::TrainItem train_item(const SyntaxNode& node);
    ast::FormalList formals(const SyntaxNode& node);
    ast::Body body(const SyntaxNode& node);
    std::string doc_before(Span span);

    // build_statements.cpp
    ast::Block block(const SyntaxNode& node);
    ast::Stmt statement(const SyntaxNode& node);
    ast::If if_statement(const SyntaxNode& node);
    ast::Assert assertion(const SyntaxNode& node);
    std::vector<ast::TextPart> interpolated(const SyntaxNode& string);
    ast::Type type(const SyntaxNode& node);
    std::optional<ast::Type> type_in(const SyntaxNode& node);
    ast::Dim dim(const SyntaxNode& node);
    ast::Pattern pattern(const SyntaxNode& node);
    ast::Name name(const SyntaxNode& node);
    ast::Name name_in(const SyntaxNode& node);

    // build_expressions.cpp
    ast::Expr expression(const SyntaxNode& node);
    ast::ExprPtr boxed(const SyntaxNode& node);
    ast::Expr value_in(const SyntaxNode& node);  // the expression behind `=`
    ast::Expr binary_chain(const SyntaxNode& node);
    ast::Expr token_value(const SyntaxNode& node);
    ast::Expr paren(const SyntaxNode& node);
    ast::Expr lambda(const SyntaxNode& node);
    ast::Expr repeat(const SyntaxNode& node);
    ast::Expr postfix(const SyntaxNode& node);
    ast::SliceItem slice_item(const SyntaxNode& node);
    std::vector<ast::Argument> arguments(const SyntaxNode& node);
    ast::Argument argument(const SyntaxNode& node);
    std::vector<ast::Stage> stages(const SyntaxNode& node);
    std::optional<ast::Pattern>
    pattern_from(const SyntaxNode& node);  // of an expression that should be one
    std::string decoded(const SyntaxNode& string);

    void report(Diagnostic diagnostic) {
        diagnostics_.add(std::move(diagnostic));
        ok_ = false;
    }

    const SourceMap& sources_;
    Diagnostics& diagnostics_;
    ParseExpression parse_expression_;
    const std::vector<Comment>& docs_;
    std::size_t next_doc_ = 0;
    std::size_t depth_ = 0;
    bool ok_ = true;
};

}  // namespace netc
