// Where parsing goes on after an error, and what was wanted where the parser looked ahead.
#pragma once

#include "frontend/syntax_errors.h"
#include "frontend/syntax_tree.h"

namespace netc {

// Whether `token` begins a statement or train setting, or an item of the file, behind a broken one
// that begins with `broken`.
bool begins_statement(const Token& token, const Token& broken);
bool begins_item(const Token& token, const Token& broken);

// What may stand behind the token before error.at, for the few places where the parser decides on
// two tokens.
Expected expected_behind(const SyntaxError& error, const Token& before);

}  // namespace netc
