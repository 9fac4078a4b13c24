// lower_module: a grouped module becomes a Program: kernels shared by text, entries as sequences of
// calls, every buffer at its place.
#pragma once

#include "ir/graph.h"
#include "ir/program.h"
#include "ir/result.h"

namespace netc {

Result<Program> lower_module(const Module& module, std::int64_t batch_hint);

// What a weights region belongs to: names, types and kinds of parameters and state.
std::uint64_t model_hash(const Module& module);

}  // namespace netc
