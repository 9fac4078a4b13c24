// Elements of the tables that functions are made of (expand_functions.h), for each lane of a vector or for one index.
#pragma once

#include <span>
#include <vector>

#include "backends/llvm.h"
#include "backends/table_lookup.h"
#include "ir/dtype.h"

namespace netc {

using LookupTable = std::vector<double>;

// table[index], of the low five bits of the index.
llvm::Value* emit_lookup(llvm::IRBuilder<>& builder, TableLookup how, llvm::Value* index,
                         DType type, const LookupTable& table);

// Indices of 8 or 16 lanes into several tables of f32 at once, where vectors have no instruction for it: the tables' elements
// lie side by side, so that few loads a lane bring all of them, and transposing makes a vector for each table.
std::vector<llvm::Value*> emit_lookups(llvm::IRBuilder<>& builder, llvm::Value* index,
                                       std::span<const LookupTable* const> tables);

}  // namespace netc
