// The C header of an emitted object: everything its caller must know. docs/abi.md is the reference.
#pragma once

#include <string>

#include "backends/backend.h"
#include "ir/program.h"

namespace netc {

// Status codes of the emitted functions, in the order of the header's enum.
enum class ObjectStatus : int { ok, weights, align, batch, nan, index, cpu, epoch };
struct ObjectStatusInfo {
    const char* name;     // E_WEIGHTS
    const char* message;  // what strerror gives
};
const ObjectStatusInfo& info(ObjectStatus status);
inline constexpr int kObjectStatusCount = 8;

// Rows of the emitted tensor table; the emitter writes the same fields in the same order.
struct TensorTable {
    std::size_t name_size = 0;  // bytes of the name field, its zero included; a multiple of 8
    std::size_t max_rank = 0;   // at least 1
};
TensorTable tensor_table(const Program& program);

// The larger workspace of `gradient` and `train_step`.
Bytes train_workspace(const Program& program);

std::string c_header(const Program& program, const ObjectOptions& options, bool uses_tiles);

}  // namespace netc
