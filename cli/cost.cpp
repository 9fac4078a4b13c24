#include "cli/cost.h"

namespace netc {
namespace {

bool is_contraction(const Kernel& kernel, const Reduction& reduction) {
    if (reduction.step.size() != 1) return false;
    const Scalar& step = kernel.scalars[reduction.step[0]];
    return step.op == ScalarOp::fma && kernel.scalars[step.operands[2]].op == ScalarOp::state;
}

}  // namespace

double contraction_flops(const Kernel& kernel, std::int64_t batch) {
    double total = 0;
    for (const Stage& stage : kernel.stages) {
        if (!stage.reduction || !is_contraction(kernel, *stage.reduction)) continue;
        double points = 2;
        auto times = [&](const std::vector<AxisId>& axes) {
            for (AxisId axis : axes)
                points *= static_cast<double>(kernel.axes[axis].extent.at(batch));
        };
        times(kernel.outer);
        times(stage.axes);
        times(stage.reduction->axes);
        total += points;
    }
    return total;
}

double contraction_flops(const Program& program, const Entry& entry, std::int64_t batch) {
    double total = 0;
    for (std::size_t c = 0; c < entry.calls.size(); ++c) {
        total += static_cast<double>(times_called(entry, c)) *
                 contraction_flops(program.kernels[entry.calls[c].kernel], batch);
    }
    return total;
}

double traffic_bytes(const Kernel& kernel, std::int64_t batch) {
    double total = 0;
    for (const Param& param : kernel.params) {
        const double bytes =
            static_cast<double>(element_count(param, batch) * size_of(param.dtype));
        total += param.direction == Direction::inout ? 2 * bytes : bytes;
    }
    return total;
}

}  // namespace netc
