// The public functions of an emitted GPU object, as gpu_header.h declares them: each packs its arguments and calls the
// runtime of object_open.c and object_run.c.
#pragma once

#include <string>

#include "backends/backend.h"
#include "backends/llvm.h"
#include "ir/program.h"

namespace netc {

// `table`: as program_table() gives it.
void add_gpu_functions(llvm::Module& module, const Program& program, const std::string& table,
                       const std::string& ptx, const ObjectOptions& options);

}  // namespace netc
