// A program and the launches of its kernels as the constant data of an emitted GPU object, see object_program.h.
#pragma once

#include <cstdint>
#include <string>

#include "backends/backend.h"
#include "backends/gpu/gpu_code.h"
#include "ir/program.h"

namespace netc {

// The largest batch for which the GPU's 32 bits count the elements of every tensor and the blocks of every launch of an
// entry; 0 where there is none.
std::int64_t largest_batch(const Program& program, const Entry& entry, const GpuCode& code);

// Bytes of the table, to be aligned to 8. Of the entries, gradient and train_step only where `options.train`.
std::string program_table(const Program& program, const GpuCode& code, const GpuTarget& target,
                          const ObjectOptions& options);

}  // namespace netc
