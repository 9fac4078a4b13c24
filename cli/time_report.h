// --time-report as text: passes, what LLVM did, the kernels that took longest to compile.
#pragma once

#include <string>

#include "backends/backend.h"
#include "ir/program.h"
#include "passes/pass_runner.h"

namespace netc {

// Milliseconds, a line each, in the order in which things happened.
std::string time_report(const PassRunner& passes);
// The same for machine code; labels of kernels come from the calls of the program.
std::string time_report(const CompileTimes& times, const Program& program);

}  // namespace netc
