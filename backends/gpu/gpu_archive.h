// The fields of code for GPUs for ir/archive.h: what the compile cache keeps, and what files carry to a machine that
// compiles nothing.
#pragma once

#include "backends/gpu/gpu_code.h"
#include "ir/program_archive.h"

namespace netc {

template <class Archive>
void archive_fields(Archive& archive, GridFactor& factor) {
    archive(factor.extent, factor.points, factor.unit, factor.times);
}
template <class Archive>
void archive_fields(Archive& archive, GpuTensor::Dim& dim) {
    archive(dim.extent, dim.stride, dim.box);
}
template <class Archive>
void archive_fields(Archive& archive, GpuTensor& view) {
    archive(view.param, view.dtype, view.start, view.dims);
}
template <class Archive>
void archive_fields(Archive& archive, GpuLaunch& launch) {
    archive(launch.symbol, launch.threads, launch.shared_bytes, launch.grid, launch.tensors);
}
template <class Archive>
void archive_fields(Archive& archive, Layout& layout) {
    archive(layout.order, layout.lanes, layout.extra);
}
template <class Archive>
void archive_fields(Archive& archive, Param& param) {
    archive(param.direction, param.dtype, param.dims, param.layout);
}
template <class Archive>
void archive_fields(Archive& archive, GpuKernel& kernel) {
    archive(kernel.launches, kernel.scratch);
}

}  // namespace netc
