// Parameters, state and asserts of a block: what declares or checks, beside what computes.
#pragma once

#include "frontend/elaborate.h"

namespace netc::frontend {

// Each is false when something is wrong (reported).
bool declare_parameter(Context& context, const ast::Param& node, const ScopePointer& scope);
bool declare_state(Context& context, const ast::State& node, const ScopePointer& scope);
bool update_state(Context& context, const ast::Update& node, Span place, const ScopePointer& scope);
bool check_assert(Context& context, const ast::Assert& node, Span place, const ScopePointer& scope);

// The node that reads a variable in the function under construction.
Datum variable_tensor(Context& context, VariableId id, std::string_view name, Span place);
// Appends a variable to the module, its random stream keyed by the path.
VariableId add_variable(Context& context, Variable variable);
// 64 bits of a text, the same on every machine: FNV-1a with a final mix.
std::uint64_t hash_text(std::string_view text);

}  // namespace netc::frontend
