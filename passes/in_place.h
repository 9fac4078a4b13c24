// Whether a kernel may write a result over one of its operands: each element is read once, at the very point that
// stores it, and by nothing else.
#pragma once

#include <cstdint>

#include "ir/kernel.h"

namespace netc {

bool can_overwrite(const Kernel& kernel, std::uint32_t operand, std::uint32_t result);

}  // namespace netc
