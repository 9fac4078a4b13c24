// Expressions: operators, calls, literals.
#include "frontend/build_tree.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <utility>

namespace netc {
namespace {

using ast::BinaryOperator;

constexpr std::pair<std::string_view, BinaryOperator> kBinaryOperators[] = {
    {"+", BinaryOperator::add},
    {"-", BinaryOperator::subtract},
    {"++", BinaryOperator::concat},
    {"*", BinaryOperator::multiply},
    {"/", BinaryOperator::divide},
    {"//", BinaryOperator::floor_divide},
    {"%", BinaryOperator::modulo},
    {"@", BinaryOperator::matmul},
    {"^", BinaryOperator::power},
    {"==", BinaryOperator::equal},
    {"!=", BinaryOperator::not_equal},
    {"<", BinaryOperator::less},
    {"<=", BinaryOperator::less_equal},
    {">", BinaryOperator::greater},
    {">=", BinaryOperator::greater_equal},
    {"and", BinaryOperator::logical_and},
    {"or", BinaryOperator::logical_or},
    {"..", BinaryOperator::range},
};

BinaryOperator binary_operator(std::string_view sign) {
    for (const auto& [spelled, op] : kBinaryOperators) {
        if (spelled == sign) return op;
    }
    return BinaryOperator::add;
}

// A number without its underscores.
std::string digits_of(std::string_view text) {
    std::string digits;
    for (const char c : text) {
        if (c != '_') digits += c;
    }
    return digits;
}

template <class Kind>
ast::Expr make(Span span, Kind kind) {
    return {span, false, std::move(kind)};
}

// Counts how deep the tree is while a scope lasts.
class Deeper {
public:
    Deeper(std::size_t& depth, std::size_t by) : depth_(depth), by_(by) { depth_ += by_; }
    ~Deeper() { depth_ -= by_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;

private:
    std::size_t& depth_;
    std::size_t by_;
};

}  // namespace

ast::ExprPtr TreeBuilder::boxed(const SyntaxNode& node) {
    return std::make_unique<ast::Expr>(expression(node));
}

ast::Expr TreeBuilder::value_in(const SyntaxNode& node) {
    std::size_t at = 0;
    while (!node.children[at].is_token("=")) ++at;
    return expression(node.children[at + 1]);
}

ast::Expr TreeBuilder::expression(const SyntaxNode& node) {
    // A chain `a + b + c` makes a tree as deep as it is long.
    const bool chain = node.is(Rule::orExpr) || node.is(Rule::andExpr) || node.is(Rule::sum) ||
                       node.is(Rule::term);
    const Deeper deeper(depth_, chain || node.is(Rule::postfix) ? node.children.size() / 2 : 1);
    if (depth_ > kMaxTreeDepth) {
        report(diagnose<Code::nested_too_deeply>(node.span, "this expression", kMaxTreeDepth)
                   .help("bind parts of it to names with `let`"));
        return make(node.span, ast::BoolLiteral{false});
    }
    const auto& parts = node.children;
    if (node.is(Rule::token)) return token_value(node);
    if (node.is(Rule::name)) return make(node.span, ast::NameRef{std::string(node.text)});
    if (node.is(Rule::paren)) return paren(node);
    if (node.is(Rule::repeatExpr)) return repeat(node);
    if (node.is(Rule::postfix)) return postfix(node);
    if (node.is(Rule::pipe)) return make(node.span, ast::Pipe{boxed(parts[0]), stages(node)});
    if (node.is(Rule::compose)) return make(node.span, ast::Compose{boxed(parts[0]), stages(node)});
    if (node.is(Rule::scanExpr)) {
        return make(node.span, ast::Scan{pattern(parts[1]), boxed(parts[3]), block(parts[4])});
    }
    if (node.is(Rule::list)) {
        ast::List list;
        for (const SyntaxNode& child : parts) {
            if (child.token != TokenKind::sign || child.is_token("true") ||
                child.is_token("false")) {
                list.items.push_back(expression(child));
            }
        }
        return make(node.span, std::move(list));
    }
    if (node.is(Rule::expr)) {
        if (!parts[0].is_token("if")) return lambda(node);
        return make(node.span, ast::IfExpr{boxed(parts[1]), boxed(parts[3]), boxed(parts[5])});
    }
    if (node.is(Rule::unary)) {
        return make(node.span,
                    ast::Unary{ast::UnaryOperator::negate, parts[0].span, boxed(parts[1])});
    }
    if (node.is(Rule::notExpr)) {
        return make(node.span,
                    ast::Unary{ast::UnaryOperator::logical_not, parts[0].span, boxed(parts[1])});
    }
    return binary_chain(node);
}

// a op b op c, grouped from the left. (`^` groups from the right: the grammar nests it.)
ast::Expr TreeBuilder::binary_chain(const SyntaxNode& node) {
    ast::Expr left = expression(node.children[0]);
    for (std::size_t at = 1; at + 1 < node.children.size(); at += 2) {
        const SyntaxNode& sign = node.children[at];
        ast::Expr right = expression(node.children[at + 1]);
        const Span span = cover(left.span, right.span);
        left = make(span, ast::Binary{binary_operator(sign.text), sign.span,
                                      std::make_unique<ast::Expr>(std::move(left)),
                                      std::make_unique<ast::Expr>(std::move(right))});
    }
    return left;
}

std::vector<ast::Stage> TreeBuilder::stages(const SyntaxNode& node) {
    std::vector<ast::Stage> stages;
    for (std::size_t at = 1; at + 1 < node.children.size(); at += 2) {
        stages.push_back({node.children[at].span, expression(node.children[at + 1])});
    }
    return stages;
}

// ---------------------------------------------------------------- literals

ast::Expr TreeBuilder::token_value(const SyntaxNode& node) {
    if (node.token == TokenKind::string) return make(node.span, ast::StringLiteral{decoded(node)});
    if (node.token == TokenKind::dtype)
        return make(node.span, ast::DtypeLiteral{*ast::parse_dtype(node.text)});
    if (node.token == TokenKind::sign)
        return make(node.span, ast::BoolLiteral{node.text == "true"});
    const std::string digits = digits_of(node.text);
    const char* const end = digits.data() + digits.size();
    if (node.token == TokenKind::integer) {
        std::int64_t value = 0;
        if (std::from_chars(digits.data(), end, value).ec != std::errc()) {
            report(diagnose<Code::number_too_large>(node.span, node.text, "an int of 64 bits"));
        }
        return make(node.span, ast::IntLiteral{value});
    }
    double value = 0;
    const auto [stop, error] = std::from_chars(digits.data(), end, value);
    if (error != std::errc()) {
        // Too large, or so small that it is zero.
        value = std::strtod(digits.c_str(), nullptr);
        if (std::isinf(value))
            report(diagnose<Code::number_too_large>(node.span, node.text, "a float of 64 bits"));
    }
    if (node.token == TokenKind::floating) return make(node.span, ast::FloatLiteral{value});
    const std::string_view unit(stop, static_cast<std::size_t>(end - stop));
    for (const ast::Unit known : {ast::Unit::epochs, ast::Unit::steps, ast::Unit::seconds,
                                  ast::Unit::minutes, ast::Unit::hours}) {
        if (spelling(known) == unit) return make(node.span, ast::QuantityLiteral{value, known});
    }
    return make(node.span, ast::QuantityLiteral{value, ast::Unit::steps});
}

// The text of a string without its quotes, its escapes resolved.
std::string TreeBuilder::decoded(const SyntaxNode& string) {
    std::string text;
    const std::string_view raw = string.text.substr(1, string.text.size() - 2);
    for (std::size_t at = 0; at < raw.size(); ++at) {
        if (raw[at] != '\\' || at + 1 == raw.size()) {
            text += raw[at];
            continue;
        }
        const char escape = raw[++at];
        if (escape == 'n')
            text += '\n';
        else if (escape == 't')
            text += '\t';
        else if (escape == '"' || escape == '\\')
            text += escape;
        else {
            report(diagnose<Code::unexpected_text>(string.span,
                                                   fmt::format("`\\{}` in a string", escape))
                       .help("the escapes are \\n, \\t, \\\" and \\\\"));
        }
    }
    return text;
}

// ---------------------------------------------------------------- what the grammar takes too
// freely

// (a), (a, b)
ast::Expr TreeBuilder::paren(const SyntaxNode& node) {
    ast::Tuple tuple;
    for (std::size_t at = 1; at < node.children.size(); at += 2) {
        if (!node.children[at].is_token(")")) tuple.items.push_back(expression(node.children[at]));
    }
    if (tuple.items.size() > 1) return make(node.span, std::move(tuple));
    if (node.children.size() > 3) {
        report(diagnose<Code::unexpected_text>(node.children[2].span, "`,` after a single value")
                   .text("a tuple has two values or more")
                   .help("leave out the `,`; for a list of one value write `[x]`"));
    }
    ast::Expr inner = std::move(tuple.items.front());
    inner.span = node.span;
    inner.parenthesized = true;
    return inner;
}

// x -> e, (x, y) -> e
ast::Expr TreeBuilder::lambda(const SyntaxNode& node) {
    const SyntaxNode& head = node.children[0];
    ast::Lambda result;
    const std::optional<ast::Pattern> names = pattern_from(head);
    bool flat = names.has_value();
    if (names && !names->is_tuple()) result.parameters.push_back({names->name, names->span});
    if (names) {
        for (const ast::Pattern& part : names->parts) {
            flat = flat && !part.is_tuple();
            result.parameters.push_back({part.name, part.span});
        }
    }
    if (!flat) {
        report(diagnose<Code::unexpected_text>(head.span, "text before `->`")
                   .text("the left side of `->` is a name, or names in parentheses")
                   .help("for example `x -> x * x` or `(x, y) -> x + y`"));
    }
    result.body = boxed(node.children[2]);
    return make(node.span, std::move(result));
}

// repeat n { e }, repeat p in list { e }
ast::Expr TreeBuilder::repeat(const SyntaxNode& node) {
    const auto& parts = node.children;
    if (!parts[2].is_token("in"))
        return make(node.span, ast::Repeat{std::nullopt, boxed(parts[1]), boxed(parts[3])});
    std::optional<ast::Pattern> pattern = pattern_from(parts[1]);
    if (!pattern) {
        report(diagnose<Code::unexpected_text>(parts[1].span, "text between `repeat` and `in`")
                   .text("this is a name, or names in parentheses")
                   .help("for example `repeat i in 0..4 {{ ... }}`"));
    }
    return make(node.span, ast::Repeat{std::move(pattern), boxed(parts[3]), boxed(parts[5])});
}

std::optional<ast::Pattern> TreeBuilder::pattern_from(const SyntaxNode& node) {
    if (node.is(Rule::name)) return ast::Pattern{node.span, std::string(node.text), {}};
    if (!node.is(Rule::paren)) return std::nullopt;
    ast::Pattern result{node.span, "", {}};
    for (std::size_t at = 1; at + 1 < node.children.size(); at += 2) {
        std::optional<ast::Pattern> part = pattern_from(node.children[at]);
        if (!part) return std::nullopt;
        result.parts.push_back(std::move(*part));
    }
    if (result.parts.size() == 1) {
        ast::Pattern only = std::move(result.parts.front());
        return only;
    }
    return result;
}

// ---------------------------------------------------------------- calls, indices, members

ast::Expr TreeBuilder::postfix(const SyntaxNode& node) {
    ast::Expr base = expression(node.children[0]);
    for (std::size_t at = 1; at < node.children.size(); ++at) {
        const SyntaxNode& op = node.children[at];
        const Span span = cover(base.span, op.span);
        auto inner = std::make_unique<ast::Expr>(std::move(base));
        const SyntaxNode& sign = op.children.front();
        if (sign.is_token("(")) {
            base = make(span, ast::Call{std::move(inner), arguments(op), op.span});
        } else if (sign.is_token(".")) {
            base = make(span, ast::Member{std::move(inner), name(op.children[1])});
        } else if (sign.is_token("as")) {
            base = make(span, ast::Ascribe{std::move(inner), *type_in(op)});
        } else {
            ast::Index index{std::move(inner), {}};
            for (const SyntaxNode& child : op.children) {
                if (child.is(Rule::sliceItem)) index.items.push_back(slice_item(child));
            }
            base = make(span, std::move(index));
        }
    }
    return base;
}

ast::SliceItem TreeBuilder::slice_item(const SyntaxNode& node) {
    const auto& parts = node.children;
    const SyntaxNode& first = parts.front();
    if (first.is_token(":")) return {node.span, ast::WholeAxis{}};
    if (first.is_token("...")) return {node.span, ast::Ellipsis{}};
    if (first.is_token(".."))
        return {node.span, ast::SliceRange{nullptr, parts.size() > 1 ? boxed(parts[1]) : nullptr}};
    if (parts.size() > 1) return {node.span, ast::SliceRange{boxed(first), nullptr}};
    if (first.is(Rule::range))
        return {node.span, ast::SliceRange{boxed(first.children[0]), boxed(first.children[2])}};
    return {node.span, ast::SliceIndex{boxed(first)}};
}

std::vector<ast::Argument> TreeBuilder::arguments(const SyntaxNode& node) {
    std::vector<ast::Argument> list;
    for (const SyntaxNode& child : node.children) {
        if (child.is(Rule::arg)) list.push_back(argument(child));
    }
    return list;
}

ast::Argument TreeBuilder::argument(const SyntaxNode& node) {
    const auto& parts = node.children;
    if (parts.size() == 1) return {node.span, std::nullopt, expression(parts[0])};
    if (!parts[0].is(Rule::name) && !parts[0].is(Rule::argKeyword)) {
        report(diagnose<Code::unexpected_text>(parts[1].span, "`=`")
                   .label(parts[0].span, "this is not the name of an argument")
                   .help("an argument by name is `name = value`; compare with `==`"));
    }
    return {node.span, name(parts[0]), expression(parts[2])};
}

}  // namespace netc
