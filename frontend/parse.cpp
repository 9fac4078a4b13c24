// Runs the parser that ANTLR generates from Net.g4 and turns its result into plain syntax nodes;
// the only file that knows ANTLR.
//
// The items of a file are parsed one by one. An error ends the statement, the train setting or the
// item that it stands in, and the parser goes on behind it, so one cause gives one message and
// several causes give several. Expectations are handed to syntax_errors.cpp, which words them;
// nothing of ANTLR's own text reaches a user.
#include "frontend/parse.h"

#include "frontend/build_tree.h"
#include "frontend/recovery.h"
#include "frontend/scan.h"
#include "frontend/syntax_errors.h"
#include "frontend/syntax_tree.h"
#include "frontend/utf8.h"

#include <antlr4-runtime.h>

#include "NetLexer.h"
#include "NetParser.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace netc {
namespace {

static_assert(static_cast<std::size_t>(Rule::file) == NetParser::RuleFile);
static_assert(static_cast<std::size_t>(Rule::body) == NetParser::RuleBody);
static_assert(static_cast<std::size_t>(Rule::stmt) == NetParser::RuleStmt);
static_assert(static_cast<std::size_t>(Rule::expr) == NetParser::RuleExpr);
static_assert(static_cast<std::size_t>(Rule::primary) == NetParser::RulePrimary);
static_assert(static_cast<std::size_t>(Rule::name) == NetParser::RuleName);

// Rules inside rules. A level of brackets takes seventeen of them, so brackets reach their own
// limit first; this one stops chains of prefix operators.
constexpr std::size_t kMaxRuleDepth = 20 * kMaxBracketDepth;

struct TooDeep {
    std::size_t token;
};

// ---------------------------------------------------------------- text and tokens

TokenKind kind_of(std::size_t type) {
    switch (type) {
        case NetLexer::DTYPE: return TokenKind::dtype;
        case NetLexer::QUANTITY: return TokenKind::quantity;
        case NetLexer::FLOAT: return TokenKind::floating;
        case NetLexer::INT: return TokenKind::integer;
        case NetLexer::STRING: return TokenKind::string;
        case NetLexer::ID: return TokenKind::identifier;
        case antlr4::Token::EOF: return TokenKind::none;
        default: return TokenKind::sign;  // an integer of ANTLR's, no enum of ours
    }
}

// ANTLR's tokens as ours; `numbers` maps the index of each of ANTLR's to that of ours. Comments go
// to `comments`.
std::vector<Token> convert_tokens(const std::vector<antlr4::Token*>& theirs, std::uint32_t file,
                                  std::string_view text, std::uint32_t base,
                                  std::vector<std::size_t>& numbers,
                                  std::vector<Comment>& comments) {
    const ByteOffsets bytes(text.substr(base));
    std::vector<Token> tokens;
    tokens.reserve(theirs.size());
    std::uint32_t depth = 0;
    std::size_t line = 0;
    for (antlr4::Token* token : theirs) {
        numbers.push_back(tokens.size());
        const bool end = token->getType() == antlr4::Token::EOF;
        const std::uint32_t begin =
            end ? static_cast<std::uint32_t>(text.size()) : base + bytes(token->getStartIndex());
        const std::uint32_t stop = end ? begin : base + bytes(token->getStopIndex() + 1);
        const Span span{file, begin, stop};
        const std::string_view spelled = text.substr(begin, stop - begin);
        if (token->getChannel() != antlr4::Token::DEFAULT_CHANNEL) {
            comments.push_back({span, spelled});
            continue;
        }
        const bool closes = spelled == ")" || spelled == "]" || spelled == "}";
        if (closes && depth > 0) --depth;
        tokens.push_back({kind_of(token->getType()), span, spelled, depth, token->getLine() != line,
                          static_cast<std::uint32_t>(token->getCharPositionInLine())});
        if (spelled == "(" || spelled == "[" || spelled == "{") ++depth;
        line = token->getLine();
    }
    return tokens;
}

// ---------------------------------------------------------------- errors

// What the parser passes between its parts: our tokens, and the errors so far.
struct Context {
    std::vector<Token> tokens;
    std::vector<std::size_t> numbers;
    std::vector<SyntaxError> errors;
    std::vector<std::string>
        signs;  // the spelling of ANTLR's tokens; made when the first error asks

    std::size_t number(const antlr4::Token* token) const {
        return numbers[std::min(token->getTokenIndex(), numbers.size() - 1)];
    }
};

Rule rule_of(const antlr4::ParserRuleContext* context) {
    return context == nullptr ? Rule::file : static_cast<Rule>(context->getRuleIndex());
}

class Strategy final : public antlr4::DefaultErrorStrategy {
public:
    explicit Strategy(Context& context) : context_(context) {}

    void reportError(antlr4::Parser* parser, const antlr4::RecognitionException& error) override {
        if (raised_) return;  // on its way up from an inner rule
        raised_ = true;
        add(parser, error.getOffendingToken());
    }

    antlr4::Token* recoverInline(antlr4::Parser* parser) override {
        throw antlr4::InputMismatchException(parser);
    }

    // Called in every rule that an error passes through: the ones that repeat go on, the others
    // pass it up.
    void recover(antlr4::Parser* parser, std::exception_ptr error) override {
        const Rule rule = rule_of(parser->getRuleContext());
        if (rule != Rule::stmt && rule != Rule::trainItem && rule != Rule::item &&
            rule != Rule::versionDecl) {
            std::rethrow_exception(error);
        }
        raised_ = false;
        const std::size_t start = context_.number(parser->getRuleContext()->getStart());
        if (rule == Rule::item || rule == Rule::versionDecl)
            skip_to_item(parser, start);
        else
            skip_to_statement(parser, start, context_.tokens[start].depth);
    }

    // Between the statements of a block and the items of a train section: text that begins none is
    // skipped.
    void sync(antlr4::Parser* parser) override {
        const Rule rule = rule_of(parser->getRuleContext());
        if (rule != Rule::block && rule != Rule::trainDecl) return;
        const std::size_t at = current(parser);
        const std::size_t start = context_.number(parser->getRuleContext()->getStart());
        const Token& token = context_.tokens[at];
        if (at == start || context_.tokens[at].kind == TokenKind::none || token.text == "}") return;
        const antlr4::misc::IntervalSet expected = parser->getExpectedTokens();
        if (expected.contains(parser->getCurrentToken()->getType())) return;
        if (!expected.contains(std::size_t{NetParser::ID}) ||
            context_.tokens[at - 1].text == "train")
            return;
        if (rule == Rule::trainDecl && token.depth == context_.tokens[start].depth)
            return;  // before its `{`
        add(parser, parser->getCurrentToken());
        skip_to_statement(parser, at, context_.tokens[start].depth + 1);
    }

private:
    std::size_t current(antlr4::Parser* parser) const {
        return context_.number(parser->getCurrentToken());
    }

    void skip_to_statement(antlr4::Parser* parser, std::size_t start, std::uint32_t depth) {
        while (true) {
            const std::size_t at = current(parser);
            const Token& token = context_.tokens[at];
            if (token.kind == TokenKind::none || token.depth < depth) return;
            if (at > start && token.depth == depth &&
                begins_statement(token, context_.tokens[start]))
                return;
            parser->consume();
        }
    }
    void skip_to_item(antlr4::Parser* parser, std::size_t start) {
        while (true) {
            const std::size_t at = current(parser);
            const Token& token = context_.tokens[at];
            if (token.kind == TokenKind::none) return;
            if (at > start && token.depth == 0 && begins_item(token, context_.tokens[start]))
                return;
            parser->consume();
        }
    }

    void add(antlr4::Parser* parser, const antlr4::Token* offending) {
        SyntaxError error;
        error.at = context_.number(offending);
        error.rule = rule_of(parser->getRuleContext());
        if (error.at == current(parser))
            error.expected = expected_of(parser);
        else
            error.expected = expected_behind(error, context_.tokens[error.at - 1]);
        context_.errors.push_back(std::move(error));
    }

    Expected expected_of(antlr4::Parser* parser) {
        const antlr4::misc::IntervalSet set = parser->getExpectedTokens();
        Expected expected;
        expected.value = set.contains(std::size_t{NetParser::INT});
        expected.type = set.contains(std::size_t{NetParser::DTYPE}) && !expected.value;
        expected.string = set.contains(std::size_t{NetParser::STRING}) && !expected.value;
        for (const ssize_t type : set.toList()) {
            const std::string& literal =
                signs(parser)[static_cast<std::size_t>(std::max<ssize_t>(type, 0))];
            if (!literal.empty()) expected.signs.push_back(literal);
        }
        expected.statement = expected.sign("let");
        expected.item = expected.sign("import");
        expected.name = set.contains(std::size_t{NetParser::ID}) && !expected.value &&
                        !expected.type && !expected.statement && !expected.item;
        return expected;
    }

    // The words and signs of the language by ANTLR's number of the token, without their quotes.
    const std::vector<std::string>& signs(antlr4::Parser* parser) {
        for (std::size_t type = context_.signs.size(); type <= parser->getATN().maxTokenType;
             ++type) {
            const std::string quoted = parser->getVocabulary().getLiteralName(type);
            context_.signs.push_back(quoted.size() > 2 ? quoted.substr(1, quoted.size() - 2) : "");
        }
        return context_.signs;
    }

    Context& context_;
    bool raised_ = false;
};

// The generated parser with a limit on the depth of its recursion.
class LimitedParser final : public NetParser {
public:
    LimitedParser(antlr4::TokenStream* input, const Context& context)
        : NetParser(input), context_(context) {}

    void enterRule(antlr4::ParserRuleContext* local, std::size_t state, std::size_t rule) override {
        NetParser::enterRule(local, state, rule);
        while (!active_.empty() && active_.back() != local->parent) active_.pop_back();
        active_.push_back(local);
        if (active_.size() > kMaxRuleDepth) throw TooDeep{context_.number(getCurrentToken())};
    }

private:
    const Context& context_;
    std::vector<antlr4::tree::ParseTree*>
        active_;  // the rules that are being matched, outermost first
};

// ---------------------------------------------------------------- from ANTLR's tree to ours

// A rule that may stand for its only operand.
bool passes_on(Rule rule) {
    return (rule >= Rule::expr && rule <= Rule::postfix) || rule == Rule::primary;
}

SyntaxNode convert(antlr4::tree::ParseTree* tree, const Context& context) {
    auto* rule = dynamic_cast<antlr4::ParserRuleContext*>(tree);
    while (rule != nullptr && passes_on(rule_of(rule)) && rule->children.size() == 1) {
        tree = rule->children.front();
        rule = dynamic_cast<antlr4::ParserRuleContext*>(tree);
    }
    SyntaxNode node;
    if (rule == nullptr) {
        const antlr4::Token* symbol = dynamic_cast<antlr4::tree::TerminalNode&>(*tree).getSymbol();
        const Token& token = context.tokens[context.number(symbol)];
        node.token = token.kind;
        node.span = token.span;
        node.text = token.text;
        return node;
    }
    node.rule = rule_of(rule);
    node.children.reserve(rule->children.size());
    for (antlr4::tree::ParseTree* child : rule->children)
        node.children.push_back(convert(child, context));
    if (node.children.empty()) {  // a train section without items has none in its list
        node.span = context.tokens[context.number(rule->getStart())].span;
        return node;
    }
    node.span = cover(node.children.front().span, node.children.back().span);
    if (node.rule == Rule::name || node.rule == Rule::argKeyword)
        node.text = node.children.front().text;
    return node;
}

// A part of a file on its way through the lexer and the parser.
class Session {
public:
    Session(const SourceMap& sources, std::uint32_t file, std::size_t begin, std::size_t end)
        : input_(std::string(sources.text(file).substr(begin, end - begin))), lexer_(&input_),
          stream_(&lexer_) {
        lexer_.removeErrorListeners();
        stream_.fill();
        const std::string_view text = sources.text(file).substr(0, end);
        context.tokens =
            convert_tokens(stream_.getTokens(), file, text, static_cast<std::uint32_t>(begin),
                           context.numbers, comments);
        parser.emplace(&stream_, context);
        parser->removeErrorListeners();
        parser->setErrorHandler(std::make_shared<Strategy>(context));
        // No decision depends on the rules around it, so the fast prediction takes the same ones as
        // the full one.
        auto* interpreter = parser->getInterpreter<antlr4::atn::ParserATNSimulator>();
        interpreter->setPredictionMode(antlr4::atn::PredictionMode::SLL);
    }

    const Token& token() { return context.tokens[context.number(parser->getCurrentToken())]; }
    bool at_end() { return parser->getCurrentToken()->getType() == antlr4::Token::EOF; }
    // Hands the errors so far over; true when there were none.
    bool report_errors(Diagnostics& diagnostics) {
        for (SyntaxError& error : context.errors) {
            error.tokens = context.tokens;
            diagnostics.add(describe(error));
        }
        const bool none = context.errors.empty();
        context.errors.clear();
        return none;
    }
    void report(const TooDeep& deep, Diagnostics& diagnostics) {
        diagnostics.add(diagnose<Code::nested_too_deeply>(context.tokens[deep.token].span,
                                                          "this expression", kMaxBracketDepth)
                            .help("bind inner parts to names with `let`"));
    }

    Context context;
    std::vector<Comment> comments;

private:
    antlr4::ANTLRInputStream input_;
    NetLexer lexer_;
    antlr4::CommonTokenStream stream_;

public:
    std::optional<LimitedParser> parser;
};

// The expression in braces in an assert's text.
std::optional<SyntaxNode> parse_expression(const SourceMap& sources, Span span,
                                           Diagnostics& diagnostics) {
    Session session(sources, span.file, span.begin, span.end);
    std::optional<SyntaxNode> node;
    try {
        antlr4::ParserRuleContext* expression = session.parser->expr();
        if (!session.at_end()) {
            SyntaxError error;
            error.at = session.context.number(session.parser->getCurrentToken());
            session.context.errors.push_back(std::move(error));
        }
        if (session.context.errors.empty()) node = convert(expression, session.context);
    } catch (const antlr4::RecognitionException&) {  // in the list of errors already
    } catch (const TooDeep& deep) {
        session.report(deep, diagnostics);
    }
    session.report_errors(diagnostics);
    return node;
}

}  // namespace

ParsedFile parse(const SourceMap& sources, std::uint32_t file, Diagnostics& diagnostics,
                 SyntaxText* written) {
    ParsedFile parsed;
    parsed.file.file = file;
    parsed.ok = scan(sources, file, diagnostics);
    if (!parsed.ok) return parsed;
    const std::string_view text = sources.text(file);
    Session session(sources, file, text.starts_with("\xEF\xBB\xBF") ? 3 : 0, text.size());
    const auto expressions = [&](Span span) {
        return parse_expression(sources, span, diagnostics);
    };
    std::vector<Comment> docs;
    std::ranges::copy_if(session.comments, std::back_inserter(docs), &Comment::documents);
    TreeBuilder builder(sources, diagnostics, expressions, docs);
    const auto convert_part = [&](antlr4::ParserRuleContext* part) {
        SyntaxNode node = convert(part, session.context);
        if (written != nullptr) written->parts.push_back(node);
        return node;
    };
    try {
        if (session.token().text == "net") {
            antlr4::ParserRuleContext* version = session.parser->versionDecl();
            if (!session.report_errors(diagnostics)) {
                parsed.ok = false;
            } else if (!builder.version(convert_part(version), parsed.file)) {
                parsed.ok = false;
                return parsed;
            }
        } else {
            builder.no_version(session.token().span);
        }
        while (!session.at_end()) {
            antlr4::ParserRuleContext* item = session.parser->item();
            if (session.report_errors(diagnostics))
                builder.item(convert_part(item), parsed.file);
            else
                parsed.ok = false;
            session.parser->getTreeTracker().reset();
        }
    } catch (const TooDeep& deep) {
        session.report(deep, diagnostics);
        parsed.ok = false;
    }
    if (!builder.ok()) parsed.ok = false;
    if (written != nullptr) written->comments = std::move(session.comments);
    return parsed;
}

}  // namespace netc
