// Where parsing goes on after an error.
#include "frontend/recovery.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>

namespace netc {
namespace {

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
    return std::find(words.begin(), words.end(), text) != words.end();
}

// A word at the start of a line that is not indented further than the broken statement, and no word that goes on
// with what stands before it.
bool begins_line(const Token& token, const Token& broken) {
    if (is_one_of(token.text, {"else", "then", "and", "or", "not", "in", "as", "with"}))
        return false;
    return token.starts_line && token.column <= broken.column &&
           std::isalpha(static_cast<unsigned char>(token.text.front())) != 0;
}
}  // namespace

bool begins_statement(const Token& token, const Token& broken) {
    return begins_line(token, broken) ||
           is_one_of(token.text, {"let", "var", "param", "for", "assert", "yield", "return"});
}
bool begins_item(const Token& token, const Token& broken) {
    return begins_line(token, broken) ||
           (token.starts_line &&
            is_one_of(token.text, {"import", "const", "fn", "layer", "model", "train", "assert"}));
}

Expected expected_behind(const SyntaxError& error, const Token& before) {
    Expected expected;
    if (is_one_of(before.text, {"state", "update", "target", "metric", "augment"})) {
        expected.name = true;
    } else if (before.text == ",") {
        expected.name = error.rule == Rule::paramList;
        expected.type = error.rule == Rule::type;
        expected.value = !expected.name && !expected.type;
    }
    return expected;
}

}  // namespace netc
