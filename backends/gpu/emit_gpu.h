// Kernels to a module for a GPU, or for the emulator on the host; see gpu_code.h.
#pragma once

#include <memory>
#include <string>

#include "backends/gpu/device_ops.h"
#include "backends/gpu/gpu_code.h"
#include "backends/gpu/tile_schedule.h"
#include "ir/kernel.h"

namespace netc {

// Adds the functions of a kernel whose functions are expanded (expand_functions.h). `batch_hint` guides the schedule only.
Result<GpuKernel> emit_gpu_kernel(const Kernel& kernel, const std::string& name,
                                  std::int64_t batch_hint, DeviceOps& ops, llvm::Module& module,
                                  const GpuThresholds& thresholds = {});

// Scalars to registers, loops unrolled; the same for both.
void optimize_gpu_module(llvm::Module& module, llvm::TargetMachine& target);

}  // namespace netc
