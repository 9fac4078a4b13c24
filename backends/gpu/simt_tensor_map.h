// Tensor maps as the emulator reads them and the fake driver writes them: the request itself, marked.
#pragma once

#include <cstring>
#include <string>

#include "backends/gpu/tensor_map.h"

namespace netc {

// What the documentation of cuTensorMapEncodeTiled forbids, in words; empty: nothing.
inline std::string wrong_with(const TensorMapRequest& request) {
    constexpr std::uint64_t kChunk = 16, kMostBox = 256;
    constexpr std::uint64_t kMostExtent = std::uint64_t{1} << 32,
                            kMostStride = std::uint64_t{1} << 40;
    const auto of = [](const char* what, auto value) { return what + std::to_string(value); };
    if (request.rank == 0 || request.rank > TensorMapRequest::kMostDims)
        return of("dimensions: ", request.rank);
    if (request.address % kChunk != 0) return "an address that is not aligned to 16";
    for (std::uint32_t dim = 0; dim < request.rank; ++dim) {
        const std::uint64_t extent = request.extents[dim], stride = request.strides[dim];
        if (extent == 0 || extent > kMostExtent) return of("an extent of ", extent);
        if (request.box[dim] == 0 || request.box[dim] > kMostBox)
            return of("a box of ", request.box[dim]);
        if (dim == 0) continue;
        if (stride == 0 || stride % kChunk != 0 || stride >= kMostStride)
            return of("a stride of so many bytes: ", stride);
        if (dim > 1 && stride % request.strides[dim - 1] != 0)
            return of("a stride that is no multiple of the one before: ", stride);
    }
    const std::int64_t row = request.box[0] * request.element_bytes();
    if (row % static_cast<std::int64_t>(kChunk) != 0) return "rows that are no whole chunks";
    if (request.swizzle != 0 && row > request.row_bytes())
        return of("rows that are longer than the swizzle's: ", row);
    return {};
}

struct SimtTensorMap {
    static constexpr std::uint32_t kMark = 0x70616d74;
    TensorMapRequest request;
    std::uint32_t mark = kMark;
};
static_assert(sizeof(SimtTensorMap) <= sizeof(cuda::TensorMap));

inline cuda::TensorMap simt_tensor_map(const TensorMapRequest& request) {
    const SimtTensorMap map{request};
    cuda::TensorMap bytes{};
    std::memcpy(&bytes, &map, sizeof map);
    return bytes;
}
// Null where it is none.
inline const TensorMapRequest* request_in(const void* bytes) {
    if (reinterpret_cast<std::uintptr_t>(bytes) % alignof(cuda::TensorMap) != 0) return nullptr;
    const auto* map = static_cast<const SimtTensorMap*>(bytes);
    return map->mark == SimtTensorMap::kMark ? &map->request : nullptr;
}

}  // namespace netc
