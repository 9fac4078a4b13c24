// Nested lists of numbers: constants, and the initial values of parameters and state.
#pragma once

#include "frontend/elaborate.h"

namespace netc::frontend {

enum class Flattened : std::uint8_t { done, no_numbers, failed };  // failed: reported

// The numbers of a nested list row-major, and its shape; a bare number has none. `no_numbers` where
// something else is among them, or lists of one level differ in length. Each must fit the type.
Flattened flatten_numbers(Context& context, const Datum& list, DType dtype, Span place,
                          Shape& shape, std::vector<double>& values);

}  // namespace netc::frontend
