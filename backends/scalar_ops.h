// One scalar operation on LLVM values: single elements or vectors of 16, all operands alike.
#pragma once

#include <span>
#include <vector>

#include "backends/llvm.h"
#include "backends/table_lookup.h"
#include "ir/scalar.h"

namespace netc {

// f16 and bf16 are their bits; b1 is i1 as a value and a byte in memory.
llvm::Type* value_type(llvm::LLVMContext& context, DType type);
llvm::Type* memory_type(llvm::LLVMContext& context, DType type);
llvm::Value* number_constant(llvm::LLVMContext& context, DType type, double number);
llvm::Value* integer_constant(llvm::LLVMContext& context, DType type, std::int64_t value);

// Emits one operation. Operand types are the DAG's; `table` belongs to lookup. Null for an operation that
// must have been expanded before (exp and its kin) or that no code is made for.
llvm::Value* emit_operation(llvm::IRBuilder<>& builder, TableLookup lookup, const Scalar& scalar,
                            std::span<llvm::Value* const> operands,
                            std::span<const DType> operand_types, const std::vector<double>* table);

}  // namespace netc
