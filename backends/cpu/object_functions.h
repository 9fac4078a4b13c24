// The public functions of an emitted object, as docs/abi.md and the C header describe them: argument
// checks, then the internal entry. Used by emit_object only.
#pragma once

#include "backends/backend.h"
#include "backends/cpu/emit_program.h"
#include "ir/result.h"

namespace netc {

// Adds PREFIX_init, PREFIX_prepare, PREFIX_forward ... to a module made by emit_program.
void add_object_functions(llvm::Module& module, const ProgramCode& code,
                          const ObjectOptions& options);

}  // namespace netc
