// The JIT for GPUs with another emitter than its own, for tests: see gpu_jit() in backends/backend.h.
#pragma once

#include <functional>

#include "backends/gpu/gpu_code.h"
#include "backends/gpu/gpu_executable.h"

namespace netc {

using EmitGpuCode = std::function<Result<GpuCode>(
    const Program&, const std::vector<std::string>& entries, const GpuTarget&)>;

Result<std::unique_ptr<GpuExecutable>> gpu_jit_with(ProgramSource source, const GpuOptions& options,
                                                    EmitGpuCode emitter);

}  // namespace netc
