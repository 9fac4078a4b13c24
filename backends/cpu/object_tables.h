// The tables of an emitted object: texts of the status codes, rows of the tensors.
#pragma once

#include <string>
#include <vector>

#include "backends/llvm.h"
#include "ir/program.h"

namespace netc {

// Texts by number, as one text with offsets into it: a table of pointers would need relocations, and so writable
// memory. `number` beyond the last one gives the last.
llvm::Value* text_of(llvm::IRBuilder<>& b, llvm::Module& module, const std::string& name,
                     const std::vector<std::string>& texts, llvm::Value* number);

// const char *PREFIX_strerror(int status)
void add_strerror(llvm::Module& module, const std::string& prefix);

// const PREFIX_tensor *PREFIX_tensors(size_t *count)
void add_tensors(llvm::Module& module, const Program& program, const std::string& prefix);

}  // namespace netc
