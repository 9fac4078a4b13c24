// Files, declarations and train sections.
#include "frontend/build_tree.h"

#include <utility>

namespace netc {
namespace {

// The first token child that is a string, or nullptr.
const SyntaxNode* string_in(const SyntaxNode& node) {
    for (const SyntaxNode& child : node.children) {
        if (child.token == TokenKind::string) return &child;
    }
    return nullptr;
}

}  // namespace

bool TreeBuilder::version(const SyntaxNode& node, ast::File& file) {
    const SyntaxNode& number = node.children.back();
    file.version_span = node.span;
    if (number.text == "1") return true;
    report(diagnose<Code::unsupported_version>(number.span, number.text)
               .text("this netc understands version 1")
               .help("write `net 1`, or use a newer netc"));
    return false;
}

void TreeBuilder::no_version(Span first) {
    diagnostics_.add(diagnose<Code::no_version>(first)
                         .text("the program begins here")
                         .help("begin the file with `net 1`"));
}

void TreeBuilder::item(const SyntaxNode& node, ast::File& file) {
    const SyntaxNode& declaration = node.children.front();
    ast::Item item{declaration.span, doc_before(declaration.span), ast::Import{}};
    if (declaration.is(Rule::importDecl))
        item.kind = import(declaration);
    else if (declaration.is(Rule::constDecl))
        item.kind = constant(declaration);
    else if (declaration.is(Rule::optionDecl))
        item.kind = option(declaration);
    else if (declaration.is(Rule::trainDecl))
        item.kind = train(declaration);
    else if (declaration.is(Rule::assertStmt))
        item.kind = assertion(declaration);
    else
        item.kind = callable(declaration);
    file.items.push_back(std::move(item));
}

// The `##` lines right above a declaration: without a line of something else, or an empty one, in
// between.
std::string TreeBuilder::doc_before(Span span) {
    const std::size_t first = next_doc_;
    while (next_doc_ < docs_.size() && docs_[next_doc_].span.begin < span.begin) ++next_doc_;
    std::size_t begin = next_doc_;
    std::uint32_t line = sources_.begin(span).line;
    while (begin > first && sources_.begin(docs_[begin - 1].span).line + 1 == line) {
        --begin;
        --line;
    }
    std::string text;
    for (std::size_t i = begin; i < next_doc_; ++i) {
        std::string_view content = docs_[i].text.substr(2);
        if (content.starts_with(" ")) content.remove_prefix(1);
        if (!text.empty()) text += '\n';
        text += content;
    }
    return text;
}

ast::Import TreeBuilder::import(const SyntaxNode& node) {
    const SyntaxNode& path = *string_in(node);
    ast::Import result{decoded(path), path.span, std::nullopt};
    if (node.find(Rule::name) != nullptr) result.alias = name_in(node);
    return result;
}

ast::Const TreeBuilder::constant(const SyntaxNode& node) {
    return {name_in(node), type_in(node), value_in(node)};
}

ast::Option TreeBuilder::option(const SyntaxNode& node) {
    const SyntaxNode& last = node.children.back();
    const bool has_help =
        last.token == TokenKind::string && !node.children[node.children.size() - 2].is_token("=");
    return {name_in(node), *type_in(node), value_in(node), has_help ? decoded(last) : ""};
}

ast::Callable TreeBuilder::callable(const SyntaxNode& node) {
    const SyntaxNode& keyword = node.children.front();
    const ast::CallableKind kind = node.is(Rule::fnDecl)      ? ast::CallableKind::fn
                                   : node.is(Rule::layerDecl) ? ast::CallableKind::layer
                                                              : ast::CallableKind::model;
    ast::Callable result{kind,
                         keyword.span,
                         name_in(node),
                         std::nullopt,
                         {},
                         type_in(node),
                         body(*node.find(Rule::body))};
    std::vector<ast::FormalList> lists;
    for (const SyntaxNode& child : node.children) {
        if (child.is(Rule::paramList)) lists.push_back(formals(child));
    }
    if (lists.size() == 2) result.configuration = std::move(lists.front());
    result.inputs = std::move(lists.back());
    return result;
}

ast::FormalList TreeBuilder::formals(const SyntaxNode& node) {
    ast::FormalList list{node.span, {}};
    for (const SyntaxNode& child : node.children) {
        if (!child.is(Rule::formal)) continue;
        ast::Formal formal{child.span, name_in(child), *type_in(child), nullptr};
        if (child.find_token("=") != nullptr) formal.default_value = boxed(child.children.back());
        list.formals.push_back(std::move(formal));
    }
    return list;
}

ast::Body TreeBuilder::body(const SyntaxNode& node) {
    if (const SyntaxNode* statements = node.find(Rule::block)) return block(*statements);
    return boxed(node.children.back());
}

ast::Train TreeBuilder::train(const SyntaxNode& node) {
    ast::Train result{node.children.front().span, name_in(node), std::nullopt, {}};
    if (node.find_token("as") != nullptr) result.name = name(node.children[3]);
    for (const SyntaxNode& child : node.children) {
        if (child.is(Rule::trainItem)) result.items.push_back(train_item(child));
    }
    return result;
}

ast::TrainItem TreeBuilder::train_item(const SyntaxNode& node) {
    const SyntaxNode& first = node.children.front();
    std::string doc = doc_before(node.span);
    if (first.is_token("target"))
        return {node.span, std::move(doc), ast::Target{name_in(node), *type_in(node)}};
    if (first.is_token("augment"))
        return {node.span, std::move(doc), ast::Augment{name_in(node), value_in(node)}};
    if (first.is_token("metric"))
        return {node.span, std::move(doc), ast::Metric{name_in(node), value_in(node)}};
    return {node.span, std::move(doc), ast::Setting{name_in(node), value_in(node)}};
}

}  // namespace netc
