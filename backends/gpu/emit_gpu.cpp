// See gpu_code.h.
#include "backends/gpu/gpu_code.h"

namespace netc {

Result<GpuCode> emit_gpu_code(const Program&, const std::vector<std::string>&, const GpuTarget&,
                              int) {
    return Error{kExitInternal, "no code is made for GPUs yet"};
}

}  // namespace netc
