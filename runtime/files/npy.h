// NumPy's npy format, versions 1 to 3; little endian, row-major in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/dtype.h"
#include "ir/result.h"

namespace netc {

// An array of any rank in memory, row-major.
struct Array {
    DType dtype = DType::f32;
    std::vector<std::int64_t> shape;
    std::vector<std::byte> bytes;
};

// Plain or gzip; Fortran order is transposed. f4 f8 i1 i2 i4 i8 u1 b1 keep their dtype, u2 and u4
// widen to i32 and i64, f2 to f32; big endian is swapped.
Result<Array> read_npy(const std::string& path);
Result<Array> parse_npy(std::span<const std::byte> file, const std::string& path);

Status write_npy(const std::string& path, DType dtype, std::span<const std::int64_t> shape,
                 std::span<const std::byte> bytes);
// What stands in an npy file before the elements; `path` is for the message where it cannot be.
Result<std::string> npy_header(const std::string& path, DType dtype,
                               std::span<const std::int64_t> shape);

// A line per index of the first dimension, its elements side by side; floats with as many digits as
// their value needs.
Status write_csv(const std::string& path, DType dtype, std::span<const std::int64_t> shape,
                 std::span<const std::byte> bytes, std::span<const std::string> header = {});
// An element as write_csv writes it, and a text as a cell of such a file.
std::string number_text(DType dtype, const std::byte* from);
std::string csv_cell(std::string_view cell);

}  // namespace netc
