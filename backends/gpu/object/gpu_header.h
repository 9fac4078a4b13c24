// The C header of an emitted GPU object, see c_header.h; docs/abi.md is the reference.
#pragma once

#include <string>
#include <vector>

#include "backends/backend.h"
#include "backends/gpu/gpu_code.h"
#include "ir/program.h"

namespace netc {

// What PREFIX_strerror gives for the codes of object_status.h: those of the CPU's objects first, then -1, -2, ...
std::vector<std::string> gpu_status_messages();

std::string gpu_header(const Program& program, const GpuTarget& target,
                       const ObjectOptions& options);

}  // namespace netc
