// How a program that checks for NaN and infinity is told from one that does not: passes/check_finite.h
// puts calls between the others, whoever runs the program looks at the flags that they leave.
#pragma once

#include <cstdint>
#include <string_view>

namespace netc {

// The label of such a call begins so; what follows names the values and their place. Its second argument is
// the flag, an i32 in the workspace.
inline constexpr std::string_view kFiniteCheck = "check finite: ";

enum class Finite : std::int32_t { all = 0, infinity = 1, nan = 2 };

}  // namespace netc
