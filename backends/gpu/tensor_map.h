// Tensor maps: what a launch gets of a GpuTensor, made by the driver for an address and a batch.
#pragma once

#include <array>

#include "backends/gpu/device.h"
#include "backends/gpu/gpu_code.h"

namespace netc {

// What cuTensorMapEncodeTiled is asked for. The values of `type` and `swizzle` are the driver's.
struct TensorMapRequest {
    static constexpr std::size_t kMostDims = 5;
    cuda::Address address = 0;
    std::array<std::uint64_t, kMostDims> extents{},
        strides{};  // elements, bytes; no stride of the first
    std::uint32_t rank = 0;
    std::array<std::uint32_t, kMostDims> box{};
    std::int32_t type = 0, swizzle = 0;

    static constexpr std::int32_t kF32 = 7, kBf16 = 9;
    static constexpr std::int32_t kSwizzle32 = 1, kSwizzle64 = 2, kSwizzle128 = 3;
    std::int64_t element_bytes() const { return type == kBf16 ? 2 : 4; }
    std::int64_t row_bytes() const { return swizzle == 0 ? 16 : std::int64_t{16} << swizzle; }
    std::int64_t box_bytes() const {
        std::int64_t bytes = element_bytes();
        for (std::uint32_t dim = 0; dim < rank; ++dim) bytes *= box[dim];
        return bytes;
    }
};

TensorMapRequest tensor_map_request(const GpuTensor& view, cuda::Address parameter,
                                    std::int64_t batch);
Result<cuda::TensorMap> make_tensor_map(const Device& device, const TensorMapRequest& request);

}  // namespace netc
