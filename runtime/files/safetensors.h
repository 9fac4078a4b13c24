// Safetensors: eight bytes of header length, a JSON header, the tensors' bytes. The format of
// weights, gradients and training state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/dtype.h"
#include "ir/result.h"

namespace netc {

using Metadata = std::map<std::string, std::string>;

// A tensor to be written; the bytes belong to the caller, row-major, little endian.
struct TensorView {
    std::string name;
    DType dtype = DType::f32;
    std::vector<std::int64_t> shape;
    std::span<const std::byte> bytes;
};

struct Safetensors {
    struct Tensor {
        std::string name;
        DType dtype = DType::f32;
        std::vector<std::int64_t> shape;
        std::size_t offset = 0, size = 0;  // into `bytes`
    };
    Metadata metadata;
    std::vector<Tensor> tensors;  // in the order of their bytes
    std::shared_ptr<const std::byte>
        memory;  // that `bytes` lie in; null where they are somebody else's
    std::span<const std::byte> bytes;

    const Tensor* find(std::string_view name) const;
    std::span<const std::byte> data(const Tensor& tensor) const {
        return bytes.subspan(tensor.offset, tensor.size);
    }
};

// Atomically, see write_file_atomically. The same tensors and metadata give the same bytes.
Status write_safetensors(const std::string& path, std::span<const TensorView> tensors,
                         const Metadata& metadata);

// Everything is checked: lengths, shapes, overlaps, gaps, names given twice. dtypes that netc does
// not know are errors.
Result<Safetensors> read_safetensors(const std::string& path);
// Of a file's bytes, which have to outlive the result.
Result<Safetensors> parse_safetensors(std::span<const std::byte> file, const std::string& path);

}  // namespace netc
