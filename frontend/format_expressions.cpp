// What stands between the tokens of a line, and where it may break.
#include "frontend/formatter.h"

#include "ir/internal_error.h"

#include <utility>

namespace netc {

namespace {

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

}  // namespace

Part Formatter::assigned(const SyntaxNode& equals, const SyntaxNode& value) {
    const Part sign = token(equals);
    if (breaks_inside(value)) return layout_.sequence({space(), sign, space(), node(value)});
    return layout_.sequence(
        {space(), sign, layout_.group({layout_.nest(kIndent, {layout_.line(), node(value)})})});
}

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

}  // namespace netc
