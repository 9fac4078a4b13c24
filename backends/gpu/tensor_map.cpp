// See the header.
#include "backends/gpu/tensor_map.h"

namespace netc {

TensorMapRequest tensor_map_request(const GpuTensor& view, cuda::Address parameter,
                                    std::int64_t batch) {
    const std::int64_t element = size_of(view.dtype);
    TensorMapRequest request;
    request.address = parameter + static_cast<cuda::Address>(view.start * element);
    request.rank = static_cast<std::uint32_t>(view.dims.size());
    for (std::size_t dim = 0; dim < view.dims.size(); ++dim) {
        request.extents[dim] = static_cast<std::uint64_t>(view.dims[dim].extent.at(batch));
        request.strides[dim] = static_cast<std::uint64_t>(view.dims[dim].stride * element);
        request.box[dim] = static_cast<std::uint32_t>(view.dims[dim].box);
    }
    request.type = view.dtype == DType::bf16 ? TensorMapRequest::kBf16 : TensorMapRequest::kF32;
    request.swizzle = view.row_bytes() == 128  ? TensorMapRequest::kSwizzle128
                      : view.row_bytes() == 64 ? TensorMapRequest::kSwizzle64
                                               : TensorMapRequest::kSwizzle32;
    return request;
}

Result<cuda::TensorMap> make_tensor_map(const Device& device, const TensorMapRequest& request) {
    constexpr int kNoInterleave = 0, kPromoteTo128 = 2, kZeros = 0;
    constexpr std::array<std::uint32_t, TensorMapRequest::kMostDims> kEach{1, 1, 1, 1, 1};
    cuda::TensorMap map{};
    const cuda::Code code = device.functions().tensor_map_encode(
        &map, request.type, request.rank, reinterpret_cast<void*>(request.address),
        request.extents.data(), request.strides.data() + 1, request.box.data(), kEach.data(),
        kNoInterleave, request.swizzle, kPromoteTo128, kZeros);
    if (Status s = device.check(code, "describing a tensor"); !s) return s.error();
    return map;
}

}  // namespace netc
