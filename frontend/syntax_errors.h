// The wording of syntax errors: from what stands where, and what the grammar would have taken, to a
// message for people.
#pragma once

#include "frontend/diagnostics.h"
#include "frontend/syntax_tree.h"

#include <span>
#include <string_view>
#include <vector>

namespace netc {

// What could have stood there.
struct Expected {
    bool value = false;  // an expression
    bool name = false;   // a name that is being declared
    bool type = false;
    bool string = false;  // text in quotes
    bool statement = false;
    bool item = false;                    // a declaration
    std::vector<std::string_view> signs;  // signs and words of the language

    bool sign(std::string_view wanted) const {
        for (const std::string_view sign : signs) {
            if (sign == wanted) return true;
        }
        return false;
    }
};

struct SyntaxError {
    std::span<const Token> tokens;  // of the file
    std::size_t at = 0;             // the one that does not fit
    Rule rule = Rule::file;         // the innermost rule
    Expected expected;
};

Diagnostic describe(const SyntaxError& error);

}  // namespace netc
