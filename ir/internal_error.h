// The end of the line for bugs of netc: says so and asks for a report. What a user can cause is a
// Result with an Error instead.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include "ir/result.h"

namespace netc {

[[noreturn]] inline void internal_error(const std::string& what) {
    std::fprintf(stderr, "netc: internal error: %s\nThis is a bug in netc; please report it.\n",
                 what.c_str());
    std::_Exit(kExitInternal);
}

}  // namespace netc
