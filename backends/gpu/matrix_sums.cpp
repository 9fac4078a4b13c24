// See the header.
#include "backends/gpu/matrix_sums.h"

#include "backends/gpu/team_schedule.h"

namespace netc {

std::optional<ScalarId> widened(const Kernel& kernel, ScalarId id) {
    const Scalar& cast = kernel.scalars[id];
    if (cast.op != ScalarOp::cast || cast.type != DType::f32 ||
        kernel.scalars.type(cast.operands[0]) != DType::bf16)
        return std::nullopt;
    return cast.operands[0];
}

MatrixUnit matrix_unit(const Kernel& kernel, const Reduction& reduction,
                       const GpuThresholds& thresholds) {
    const Scalar& step = kernel.scalars[reduction.step[0]];
    if (step.op != ScalarOp::fma || step.type != DType::f32 || reduction.states.size() != 1)
        return MatrixUnit::none;
    if (widened(kernel, step.operands[0]) && widened(kernel, step.operands[1]))
        return MatrixUnit::bf16;
    return thresholds.tf32 ? MatrixUnit::tf32 : MatrixUnit::none;
}

void take_terms_forward(Kernel& kernel, const GpuThresholds& thresholds) {
    for (Stage& stage : kernel.stages) {
        if (!stage.reduction ||
            matrix_unit(kernel, *stage.reduction, thresholds) == MatrixUnit::none)
            continue;
        for (const AxisId axis : stage.reduction->axes) {
            const Extent extent = kernel.axes[axis].extent;
            if (!extent.is_static()) continue;
            int backward = 0;
            for (const Read& read : kernel.reads) {
                if (read.source.kind != Buffer::Kind::param) continue;
                const Param& param = kernel.params[read.source.index];
                const std::int64_t step = step_along(param, read.index, axis, 1);
                backward += step < 0 ? 1 : step > 0 ? -1 : 0;
            }
            if (backward <= 0) continue;
            const auto turned = [&](Index& index) {
                index = index.substitute([&](AxisId which) -> std::optional<Index> {
                    if (which != axis) return std::nullopt;
                    return Index(extent.constant - 1) - Index::axis(axis);
                });
            };
            for (Read& read : kernel.reads)
                for (Index& index : read.index) turned(index);
            for (Index& index : kernel.indices) turned(index);
            for (Guard& guard : stage.reduction->guards) turned(guard.index);
        }
    }
}

}  // namespace netc
