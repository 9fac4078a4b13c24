// Words for syntax errors. Each function below knows one kind of mistake and answers when it sees
// it; the order in describe() goes from the special to the general.
#include "frontend/syntax_errors.h"

#include "frontend/suggest.h"

#include <algorithm>
#include <cctype>
#include <optional>

namespace netc {
namespace {

constexpr std::string_view kDeclarationWords[] = {"import", "const", "option", "fn",
                                                  "layer",  "model", "train",  "assert"};
constexpr std::string_view kStatementWords[] = {"let", "var", "param",  "state", "update",
                                                "for", "if",  "assert", "yield", "return"};
constexpr std::string_view kTypeWords[] = {
    "f64", "f32", "f16",   "bf16", "i64",    "i32",  "i16", "i8",    "u8",   "b1",   "real",
    "any", "int", "float", "bool", "string", "list", "fn",  "layer", "init", "dtype"};

// What a value after `name =` may be, for names whose values are known.
struct Example {
    std::string_view name;
    std::string_view what;
    std::string_view help;
};
constexpr Example kExamples[] = {
    {"lr", "a number or a schedule",
     "for example `adam(lr = 1e-3)` or `adam(lr = cosine(1e-3, over = 20ep))`"},
    {"loss", "an expression", "for example `loss = cross_entropy(out, y)`"},
    {"optimizer", "an optimizer", "for example `optimizer = adam(lr = 1e-3)`"},
    {"data", "a data source",
     "for example `data = csv(\"points.csv\", x = cols(0..2), y = col(2))`"},
    {"valid", "a data source",
     "for example `valid = csv(\"held-out.csv\", x = cols(0..2), y = col(2))`"},
    {"split", "a split", "for example `split = random(train = 0.8, valid = 0.2)`"},
    {"penalty", "a penalty", "for example `penalty = l2(1e-4)`"},
    {"batch", "a number", "for example `batch = 64`"},
    {"epochs", "a number", "for example `epochs = 20`"},
    {"steps", "a number", "for example `steps = 10_000`"},
    {"over", "a duration", "for example `over = 20ep`"},
    {"warmup", "a duration", "for example `warmup = 500st`"},
    {"every", "a duration", "for example `every = 10ep`"},
};

bool is_word(std::string_view text) {
    return !text.empty() && std::isalpha(static_cast<unsigned char>(text.front())) != 0;
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
    return std::find(words.begin(), words.end(), text) != words.end();
}

bool is_one_of(Rule rule, std::initializer_list<Rule> rules) {
    return std::find(rules.begin(), rules.end(), rule) != rules.end();
}

bool is_literal(TokenKind kind) {
    return kind == TokenKind::quantity || kind == TokenKind::floating ||
           kind == TokenKind::integer || kind == TokenKind::string;
}

bool is_number(TokenKind kind) { return is_literal(kind) && kind != TokenKind::string; }

// A token that ends a value: behind it an operator may follow, a value may not.
bool ends_value(const Token& token) {
    return is_literal(token.kind) || token.kind == TokenKind::identifier ||
           token.kind == TokenKind::dtype ||
           is_one_of(token.text, {")", "]", "}", "true", "false"});
}

bool begins_value(const Token& token) {
    return is_literal(token.kind) || token.kind == TokenKind::identifier ||
           token.kind == TokenKind::dtype ||
           is_one_of(token.text, {"(", "[", "true", "false", "repeat", "scan", "not", "if"});
}

// The operators that want a value on their right.
bool wants_value(std::string_view text) {
    return is_one_of(text,
                     {"=",   "+",  "-",   "++",     "*",     "/",  "//",   "%",     "@",  "^",
                      "==",  "!=", "<",   "<=",     ">",     ">=", "|>",   ">>",    "->", "..",
                      "and", "or", "not", "return", "yield", "in", "then", "assert"});
}

std::string quoted(std::string_view text) {
    constexpr std::size_t kLongest = 40;
    if (text.size() <= kLongest) return fmt::format("`{}`", text);
    std::size_t cut = kLongest;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0u) == 0x80u) --cut;
    return fmt::format("`{}...`", text.substr(0, cut));
}

class Describer {
public:
    explicit Describer(const SyntaxError& error)
        : error_(error), token_(error.tokens[error.at]),
          before_(error.at > 0 ? error.tokens[error.at - 1] : Token{}) {}

    Diagnostic describe() const {
        for (const auto attempt :
             {&Describer::version, &Describer::glued_number, &Describer::missing_value,
              &Describer::missing_type, &Describer::comparison, &Describer::between,
              &Describer::missing_name, &Describer::missing_string, &Describer::declaration,
              &Describer::lone_value, &Describer::missing_body, &Describer::missing_sign,
              &Describer::missing_comma}) {
            if (std::optional<Diagnostic> diagnostic = (this->*attempt)())
                return std::move(*diagnostic);
        }
        return unexpected();
    }

private:
    using Attempt = std::optional<Diagnostic>;

    bool at_end() const { return token_.kind == TokenKind::none; }

    // The place of what is missing: the odd token, or, where that stands on a later line, right
    // behind the one before.
    Span gap() const {
        if (before_.text.empty() || (!token_.starts_line && !at_end())) return token_.span;
        return {before_.span.file, before_.span.end, before_.span.end};
    }

    // The text before the gap, as far as it helps: `lr =`, `x:`, `+`.
    std::string lead() const {
        if (error_.at >= 2 && is_one_of(before_.text, {"=", ":"})) {
            const Token& name = error_.tokens[error_.at - 2];
            if (name.kind == TokenKind::identifier)
                return std::string(name.text) + (before_.text == "=" ? " =" : ":");
        }
        return std::string(before_.text);
    }

    Diagnostic missing(std::string_view what) const {
        return diagnose<Code::missing_value>(gap(), what,
                                             before_.text.empty() ? "the beginning" : lead());
    }

    Diagnostic unexpected() const {
        if (at_end())
            return diagnose<Code::unexpected_text>(
                gap(), fmt::format("end of the file after `{}`", before_.text));
        const std::string text =
            before_.text.empty()
                ? quoted(token_.text)
                : fmt::format("{} after {}", quoted(token_.text), quoted(before_.text));
        return diagnose<Code::unexpected_text>(token_.span, text);
    }

    Attempt version() const {
        if (error_.rule == Rule::versionDecl) {
            return missing("a version number")
                .text("which version of the language is it?")
                .help("write `net 1`");
        }
        if (error_.rule == Rule::item && token_.text == "net") {
            return unexpected().text("the version is stated once, on the first line");
        }
        return std::nullopt;
    }

    // 20epochs, 3x
    Attempt glued_number() const {
        if (!is_number(before_.kind) || !is_word(token_.text) ||
            before_.span.end != token_.span.begin)
            return std::nullopt;
        const Span whole = cover(before_.span, token_.span);
        return diagnose<Code::unexpected_text>(
                   whole, quoted(std::string(before_.text) + std::string(token_.text)))
            .text("neither a number nor a name")
            .help("units are `ep` (epochs), `st` (steps), `s`, `min` and `h`; names begin with a "
                  "letter; a product needs its `*`");
    }

    Attempt missing_value() const {
        const bool empty = token_.text == "," && is_one_of(before_.text, {"(", "[", ","});
        const bool wanted =
            error_.expected.value || empty || (wants_value(before_.text) && !begins_value(token_));
        if (!wanted || error_.expected.type || (ends_value(before_) && !wants_value(before_.text)))
            return std::nullopt;
        if (before_.text == "=" && error_.at >= 2) {
            const std::string_view name = error_.tokens[error_.at - 2].text;
            for (const Example& example : kExamples) {
                if (example.name != name) continue;
                return missing("a value")
                    .text("{} is missing here", example.what)
                    .help("{}", example.help);
            }
        }
        if (token_.text == "=" && before_.text == "=") {
            return missing("a value")
                .text("a value is missing here")
                .help("compare with `==`, without a space");
        }
        return missing("a value").text("a value is missing here");
    }

    Attempt missing_type() const {
        if (!error_.expected.type) return std::nullopt;
        if (token_.kind == TokenKind::identifier) {
            Diagnostic diagnostic = unexpected().text("this is not a type");
            const auto better = suggest(token_.text, std::span<const std::string_view>(kTypeWords));
            if (better)
                return std::move(diagnostic)
                    .help("a type with a similar meaning or name exists: `{}`", *better);
            return std::move(diagnostic)
                .help("tensors are written `real[B, I]` or `f32[B, 10]`, settings `int`, `float`, "
                      "`bool`, ...");
        }
        if (token_.text == "[") {
            return missing("a type")
                .text("the type of the elements is missing here")
                .help("for example `real[B, I]` or `f32[B, 10]`");
        }
        return missing("a type")
            .text("a type is missing here")
            .help("for example `real[B, I]`, `f32[B, 10]` or `int`");
    }

    Attempt missing_name() const {
        const bool formal = error_.rule == Rule::paramList && is_one_of(before_.text, {"(", ","});
        if (!error_.expected.name && !formal) return std::nullopt;
        const bool member = error_.rule == Rule::postOp;
        if (is_word(token_.text) && !token_.starts_line) {
            return unexpected().text("`{}` is a word of the language and cannot be a name",
                                     token_.text);
        }
        if (error_.expected.sign(")")) return std::nullopt;  // the end of a list would do as well
        return missing("a name").text("{} is missing here",
                                      member ? "the name of a member" : "a name");
    }

    Attempt missing_string() const {
        if (!error_.expected.string || error_.expected.statement || ends_value(before_))
            return std::nullopt;
        return missing("text in quotes")
            .text("text in quotes is missing here")
            .help_text(before_.text == "import" ? "for example `import \"blocks.net\"`" : "");
    }

    // Between declarations.
    Attempt declaration() const {
        if (error_.rule != Rule::item && !error_.expected.item) return std::nullopt;
        if (ends_value(before_) && !token_.starts_line) return missing_comma();
        Diagnostic diagnostic = unexpected().text(
            "a declaration begins with a word such as `model`, `layer` or `train`");
        const auto better =
            suggest(token_.text, std::span<const std::string_view>(kDeclarationWords));
        if (better)
            return std::move(diagnostic)
                .help("a word with a similar meaning or name exists: `{}`", *better);
        const auto statement =
            std::find(std::begin(kStatementWords), std::end(kStatementWords), token_.text);
        if (statement != std::end(kStatementWords)) {
            return std::move(diagnostic)
                .help("statements stand in the block of a layer, a function or a model; a value "
                      "for the whole file "
                      "is a `const`");
        }
        return diagnostic;
    }

    // A statement that is only a value, or begins with a word that is none of the language's.
    Attempt lone_value() const {
        if (error_.rule != Rule::stmt || error_.at == 0 || before_.kind != TokenKind::identifier ||
            !error_.expected.sign("=")) {
            return std::nullopt;
        }
        if (error_.at >= 2 &&
            is_one_of(error_.tokens[error_.at - 2].text, {"let", "var", "state", "update"}))
            return std::nullopt;
        if (is_one_of(before_.text, {"elif", "elseif", "elsif"})) {
            return diagnose<Code::unexpected_text>(before_.span, quoted(before_.text))
                .help("write `else if`");
        }
        const bool value =
            is_one_of(token_.text, {"(", "|>", ">>", "[", "."}) || wants_value(token_.text);
        const bool follows = !token_.starts_line && begins_value(token_) && token_.text != "(";
        const auto better =
            suggest(before_.text, std::span<const std::string_view>(kStatementWords));
        if (better && follows) {
            return diagnose<Code::unexpected_text>(before_.span, quoted(before_.text))
                .text("no statement begins like this")
                .help("a word with a similar meaning or name exists: `{}`", *better);
        }
        if (token_.text == "==") return std::nullopt;
        if (value || token_.text == "}" || token_.starts_line) {
            return diagnose<Code::unexpected_text>(
                       before_.span,
                       fmt::format("value, `{}`, where a statement belongs", before_.text))
                .text("a value on its own does nothing")
                .help("bind it, `let y = {} ...`, or give it back, `return {} ...`", before_.text,
                      before_.text);
        }
        return std::nullopt;
    }

    // `=` where `==` is meant.
    Attempt comparison() const {
        const bool condition = error_.rule == Rule::block && error_.expected.sign("{");
        const bool inside =
            condition || is_one_of(error_.rule, {Rule::expr, Rule::ifStmt, Rule::assertStmt,
                                                 Rule::paren, Rule::list, Rule::item});
        if (token_.text != "=" || !ends_value(before_) || !inside) return std::nullopt;
        return unexpected().text("`=` gives a name to a value").help("compare with `==`");
    }

    Attempt missing_body() const {
        if (!error_.expected.sign("=") || !error_.expected.sign("{")) return std::nullopt;
        Diagnostic diagnostic = missing("a body").text("the body is missing here");
        const bool type = token_.kind == TokenKind::dtype || is_one_of(token_.text, {":", "=>"});
        if (type) return std::move(diagnostic).help("the type of the result follows `->`");
        return std::move(diagnostic)
            .help("write `= expression`, or a block `{{ ... return ... }}`");
    }

    // Where only one sign would do.
    Attempt missing_sign() const {
        const std::vector<std::string_view>& signs = error_.expected.signs;
        if (error_.expected.statement || error_.expected.value) return std::nullopt;
        if (error_.expected.sign(":") && error_.rule == Rule::formal) {
            return missing("`:` and a type")
                .text("the type of `{}` is missing here", before_.text)
                .help("for example `{0}: real[B, I]` for a tensor, `{0}: int` for a setting",
                      before_.text);
        }
        if (before_.kind == TokenKind::dtype && error_.expected.sign("[")) {
            return missing("`[`")
                .text("the shape is missing here")
                .help("`{0}[B, 10]` has two dimensions, `{0}[]` is a single number", before_.text);
        }
        for (const std::string_view wanted : {"=", "in", "then", "else", "{", "->"}) {
            const bool only = signs.size() == 1 || wanted == "=" || wanted == "then" ||
                              wanted == "else" || wanted == "in";
            if (!only || !error_.expected.sign(wanted)) continue;
            if (ends_value(before_) && token_.text == "=") continue;
            return missing(quoted(wanted)).text("{} is missing here", quoted(wanted));
        }
        if (error_.expected.sign("{") && !error_.expected.sign("=") && !token_.starts_line &&
            !begins_value(token_)) {
            return missing("`{`").text("`{{` is missing here");
        }
        return std::nullopt;
    }

    // `loss =`, a line break, `batch = 3`: the parser has taken `batch` for the value of `loss`.
    Attempt value_missing_earlier() const {
        if (token_.text != "=" || error_.at < 2 || !before_.starts_line ||
            !wants_value(error_.tokens[error_.at - 2].text)) {
            return std::nullopt;
        }
        SyntaxError earlier = error_;
        earlier.at = error_.at - 1;
        earlier.expected = Expected{};
        earlier.expected.value = true;
        return Describer(earlier).missing_value();
    }

    // Between the statements of a block or the settings of a train section.
    Attempt between() const {
        if (error_.rule != Rule::trainDecl && error_.rule != Rule::block) return std::nullopt;
        if (error_.expected.sign("{") && !error_.expected.statement)
            return missing("`{`").text("`{{` is missing here");
        if (const Attempt earlier = value_missing_earlier()) return earlier;
        if (!token_.starts_line && ends_value(before_) && begins_value(token_)) {
            return unexpected().text(
                "an operator is missing before this, or it does not belong here");
        }
        if (error_.rule == Rule::trainDecl) {
            return unexpected().text("a train section holds settings, `name = value`, with "
                                     "`target`, `metric` and `augment`");
        }
        if (std::ranges::find(kDeclarationWords, token_.text) != std::end(kDeclarationWords)) {
            return unexpected().text("`{}` cannot stand inside a block", token_.text);
        }
        return unexpected().text("no statement begins like this");
    }

    Attempt missing_comma() const {
        if (error_.rule == Rule::paramList && is_word(token_.text)) {
            return unexpected().text("a `,` is missing before this");
        }
        if (!error_.expected.sign(",") || !ends_value(before_)) return std::nullopt;
        if (!begins_value(token_)) return std::nullopt;
        return unexpected().text("a `,` or an operator is missing before this");
    }

    const SyntaxError& error_;
    Token token_;
    Token before_;
};

}  // namespace

Diagnostic describe(const SyntaxError& error) { return Describer(error).describe(); }

}  // namespace netc
