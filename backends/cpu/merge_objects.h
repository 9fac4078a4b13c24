// Several relocatable ELF objects become one, as `ld -r` does it: sections of one name are put one behind the
// other, calls from one object into another are bound to the symbol there. For objects that LLVM made of our
// modules, so that they can be compiled side by side and kept one by one; whatever else an object may have is
// refused.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "ir/result.h"

namespace netc {

// What only the JIT needs: functions in this section are left out.
inline constexpr const char* kJitSection = ".text.netc_jit";

// Global symbols stay global where they begin with `prefix`, all others become local. The order of the objects
// is that of their code.
Result<std::string> merge_objects(std::span<const std::string_view> objects,
                                  std::string_view prefix);

}  // namespace netc
