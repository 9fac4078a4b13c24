// The first look at a text: encoding, characters, strings, brackets, size.
#include "frontend/scan.h"

#include "frontend/utf8.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <vector>

namespace netc {
namespace {

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

char closer_of(char opener) { return opener == '(' ? ')' : opener == '[' ? ']' : '}'; }

// Signs of other languages, and what to write here.
struct Foreign {
    std::string_view text;
    std::string_view help;
};
constexpr Foreign kForeign[] = {
    {"&&", "write `and`"},
    {"||", "write `or`"},
    {"&", "write `and`"},
    {"|", "a pipe is written `|>`, a logical or `or`"},
    {"!", "write `not`; unequal is `!=`"},
    {"'", "strings stand in double quotes: \"text\""},
    {";", "statements need no separator: leave it out"},
    {"\\", "a lambda is written `x -> e`; a line needs no mark to be continued"},
    {"~", "write `not`"},
    {"`", "names stand without quotes"},
};

constexpr std::array<std::string_view, 6> kDeclarations = {"model", "layer",  "fn",
                                                           "train", "import", "const"};

class Scanner {
public:
    Scanner(const SourceMap& sources, std::uint32_t file, Diagnostics& diagnostics)
        : text_(sources.text(file)), file_(file), diagnostics_(diagnostics) {}

    bool run();

private:
    struct Opener {
        char bracket;
        std::size_t at;
    };

    // A declaration that stands inside an open bracket.
    struct Suspicion {
        Opener opener;
        Span declaration;
    };

    // Each step consumes what begins at at_; false ends the scan.
    bool string();
    bool open();
    bool close();
    bool foreign();
    void comment();
    void word();

    void never_closed(const Opener& opener, Span noticed, std::string label);
    void unclosed_at_end();
    bool report(Diagnostic diagnostic) {
        diagnostics_.add(std::move(diagnostic));
        ok_ = false;
        return true;
    }
    Span span(std::size_t begin, std::size_t end) const {
        return {file_, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)};
    }
    bool starts_line(std::size_t at) const;
    bool name_follows(std::size_t at) const;

    std::string_view text_;
    std::uint32_t file_;
    Diagnostics& diagnostics_;
    std::size_t at_ = 0;
    std::size_t tokens_ = 0;
    std::vector<Opener> open_;
    std::optional<Suspicion> suspicion_;  // the first one
    bool ok_ = true;
};

bool Scanner::run() {
    if (text_.size() > kMaxFileBytes) {
        return !report(
            diagnose<Code::file_too_large>(span(0, 0), kMaxFileBytes >> 20u, "MiB of text"));
    }
    for (std::size_t at = 0; at < text_.size();) {
        const std::size_t length = utf8_length(text_, at);
        if (length == 0) {
            const auto byte = static_cast<unsigned char>(text_[at]);
            return !report(
                diagnose<Code::not_utf8>(span(at, at + 1), fmt::format("0x{:02X}", byte)));
        }
        at += length;
    }
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;  // the mark that some editors put first
    while (at_ < text_.size()) {
        const char c = text_[at_];
        bool proceed = true;
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            ++at_;
            continue;
        }
        if (c == '#') {
            comment();
            continue;
        }
        if (++tokens_ > kMaxTokens) {
            return !report(
                diagnose<Code::file_too_large>(span(at_, at_ + 1), kMaxTokens, "words and signs"));
        }
        if (c == '"')
            proceed = string();
        else if (c == '(' || c == '[' || c == '{')
            proceed = open();
        else if (c == ')' || c == ']' || c == '}')
            proceed = close();
        else if (is_word(c))
            word();
        else
            proceed = foreign();
        if (!proceed) return false;
    }
    if (tokens_ == 0)
        return !report(diagnose<Code::empty_file>(span(0, 0))
                           .help("begin with `net 1`, then declare a model"));
    if (!open_.empty()) unclosed_at_end();
    return ok_;
}

void Scanner::comment() {
    const std::size_t end = text_.find_first_of("\r\n", at_);
    at_ = end == std::string_view::npos ? text_.size() : end;
}

bool Scanner::string() {
    const std::size_t begin = at_++;
    while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\n' && text_[at_] != '\r') {
        const bool escape = text_[at_] == '\\' && at_ + 1 < text_.size() &&
                            text_[at_ + 1] != '\n' && text_[at_ + 1] != '\r';
        at_ += escape ? 2 : 1;
    }
    if (at_ < text_.size() && text_[at_] == '"') {
        ++at_;
        return true;
    }
    report(
        diagnose<Code::unclosed_bracket>(span(begin, begin + 1), "\"")
            .text("opened here")
            .help(
                "a string ends on its own line, with `\"`; a line break inside is written `\\n`"));
    return false;  // what follows may be text or program, nobody knows
}

bool Scanner::open() {
    open_.push_back({text_[at_], at_});
    if (open_.size() > kMaxBracketDepth) {
        report(
            diagnose<Code::nested_too_deeply>(span(at_, at_ + 1), "this bracket", kMaxBracketDepth)
                .help("bind inner parts to names with `let`"));
        return false;
    }
    ++at_;
    return true;
}

bool Scanner::close() {
    const char c = text_[at_];
    const Span here = span(at_, at_ + 1);
    ++at_;
    std::size_t match = open_.size();
    while (match > 0 && closer_of(open_[match - 1].bracket) != c) --match;
    if (match > 0) {
        if (match < open_.size()) {
            never_closed(
                open_.back(), here,
                fmt::format("`{}` is wanted before this `{}`", closer_of(open_.back().bracket), c));
        }
        open_.resize(match - 1);
        return true;
    }
    if (open_.empty()) {
        report(diagnose<Code::unexpected_text>(here, fmt::format("`{}`", c))
                   .text("no bracket is open here"));
        return false;
    }
    const Opener opener = open_.back();
    never_closed(opener, here,
                 fmt::format("`{}` does not close it; `{}` does", c, closer_of(opener.bracket)));
    open_.pop_back();
    return true;
}

void Scanner::never_closed(const Opener& opener, Span noticed, std::string label) {
    if (!ok_) return;  // one missing bracket upsets all that follow: the first is the cause
    report(diagnose<Code::unclosed_bracket>(span(opener.at, opener.at + 1),
                                            std::string(1, opener.bracket))
               .text("opened here")
               .label(noticed, "{}", label));
}

void Scanner::unclosed_at_end() {
    const auto suspected = [&](const Opener& opener) { return opener.at == suspicion_->opener.at; };
    if (!suspicion_ || std::none_of(open_.begin(), open_.end(), suspected)) {
        never_closed(open_.back(), {}, "");
        return;
    }
    const char bracket = suspicion_->opener.bracket;
    never_closed(suspicion_->opener, suspicion_->declaration,
                 fmt::format("a declaration cannot stand inside `{}`, so the `{}` was probably "
                             "forgotten before this line",
                             bracket, closer_of(bracket)));
}

bool Scanner::starts_line(std::size_t at) const {
    while (at > 0 && (text_[at - 1] == ' ' || text_[at - 1] == '\t')) --at;
    return at == 0 || text_[at - 1] == '\n' || text_[at - 1] == '\r';
}

bool Scanner::name_follows(std::size_t at) const {
    while (at < text_.size() && (text_[at] == ' ' || text_[at] == '\t')) ++at;
    return at < text_.size() &&
           (std::isalpha(static_cast<unsigned char>(text_[at])) != 0 || text_[at] == '_');
}

// A word. A declaration at the start of a line cannot stand inside brackets: if a bracket turns
// out to be missing, it is the one that is open here.
void Scanner::word() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    if (suspicion_ || open_.empty() || !starts_line(begin)) return;
    const std::string_view word = text_.substr(begin, at_ - begin);
    for (const std::string_view declaration : kDeclarations) {
        if (word != declaration || !name_follows(at_)) continue;
        suspicion_ = Suspicion{open_.back(), span(begin, at_)};
        return;
    }
}

// Any other sign: one of the language's, one of another language's, or a character that has no
// meaning.
bool Scanner::foreign() {
    const std::string_view rest = text_.substr(at_);
    for (const std::string_view sign : {"|>", "!=", "!="}) {
        if (rest.starts_with(sign)) {
            at_ += sign.size();
            return true;
        }
    }
    if (std::string_view("=<>+-*/%@^.,:").find(rest.front()) != std::string_view::npos) {
        ++at_;
        return true;
    }
    std::size_t length = utf8_length(text_, at_);
    std::string_view help;
    for (const Foreign& entry : kForeign) {
        if (!rest.starts_with(entry.text)) continue;
        length = entry.text.size();
        help = entry.help;
        break;
    }
    if (rest.front() == '\'') {  // a string of another language, as a whole
        const std::size_t end = rest.find_first_of("'\n\r", 1);
        if (end != std::string_view::npos && rest[end] == '\'') length = end + 1;
    }
    const std::size_t run = std::min(rest.find_first_not_of(rest.front()), rest.size());
    if (run > 3) length = run;  // a drawn line is one mistake
    const auto byte = static_cast<unsigned char>(rest.front());
    const std::uint32_t character = code_point(rest);
    const std::string shown = is_invisible(character) ? fmt::format("character U+{:04X}", character)
                                                      : fmt::format("`{}`", rest.substr(0, length));
    report(diagnose<Code::unexpected_text>(span(at_, at_ + length), shown)
               .text("{}", byte >= 0x80 ? "names are made of the letters a to z, digits and `_`"
                                        : "this sign has no meaning here")
               .help_text(std::string(help)));
    if (byte < 0x20 || byte >= 0x7F)
        return false;  // probably not a program at all: one message is enough
    at_ += length;
    return true;
}

}  // namespace

bool scan(const SourceMap& sources, std::uint32_t file, Diagnostics& diagnostics) {
    return Scanner(sources, file, diagnostics).run();
}

}  // namespace netc
