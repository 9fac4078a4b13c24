// What calls and configuring share.
#pragma once

#include <string_view>
#include <vector>

#include "frontend/builtins.h"
#include "frontend/elaborate.h"

namespace netc::frontend {

std::vector<std::string_view> names_of(const std::vector<ast::Formal>& formals);
std::vector<std::string_view> names_of(const std::vector<BuiltinFormal>& formals);
// Whether it has two lists of arguments.
bool has_configuration(const FunctionValue& function);
// E0202.
Datum missing(Context& context, const FunctionValue& function, std::string_view name, Span place);
// The value with this configuration; null when something is wrong (reported).
FunctionPointer configure(Context& context, const FunctionValue& function,
                          const std::vector<Actual>& actuals, Span place);

}  // namespace netc::frontend
