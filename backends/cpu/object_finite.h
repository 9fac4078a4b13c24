// What an object made with --check-finite adds: E_NAN, and a text that says where.
#pragma once

#include "backends/llvm.h"
#include "ir/program.h"

namespace netc {

bool has_finite_checks(const Entry& entry);

// At the end of a call: `status`, or E_NAN where a check of the entry raised its flag in the workspace. The
// number of the text that names it is then left at the workspace's start.
llvm::Value* status_of_checks(llvm::IRBuilder<>& b, llvm::Function* function,
                              const Program& program, const Entry& entry, llvm::Value* workspace,
                              llvm::Value* status);

// const char *PREFIX_not_finite(const void *workspace)
void add_not_finite(llvm::Module& module, const Program& program, const std::string& prefix);

}  // namespace netc
