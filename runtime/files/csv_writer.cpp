// Tensors as CSV: what `predict --output y.csv` writes. Numbers have the fewest digits that read
// back as the same value.
#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "runtime/files/files.h"
#include "runtime/files/half.h"
#include "runtime/files/npy.h"

namespace netc {
namespace {

template <class T>
T read_as(const std::byte* from) {
    T value;
    std::memcpy(&value, from, sizeof(T));
    return value;
}

template <class T>
std::string shortest(T value) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
    return fmt::format("{}", value);
}

}  // namespace

std::string number_text(DType dtype, const std::byte* from) {
    switch (dtype) {
        case DType::f64: return shortest(read_as<double>(from));
        case DType::f32: return shortest(read_as<float>(from));
        case DType::i64: return fmt::format("{}", read_as<std::int64_t>(from));
        case DType::i32: return fmt::format("{}", read_as<std::int32_t>(from));
        case DType::i16: return fmt::format("{}", read_as<std::int16_t>(from));
        case DType::i8: return fmt::format("{}", static_cast<int>(read_as<std::int8_t>(from)));
        case DType::u8:
        case DType::b1: return fmt::format("{}", static_cast<int>(read_as<std::uint8_t>(from)));
        case DType::bf16: return shortest(float_of_bf16(read_as<std::uint16_t>(from)));
        case DType::f16: return shortest(float_of_f16(read_as<std::uint16_t>(from)));
    }
    return "";
}

std::string csv_cell(std::string_view cell) {
    if (cell.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(cell);
    std::string text = "\"";
    for (const char c : cell) {
        if (c == '"') text += '"';
        text += c;
    }
    return text + '"';
}

Status write_csv(const std::string& path, DType dtype, std::span<const std::int64_t> shape,
                 std::span<const std::byte> bytes, std::span<const std::string> header) {
    const auto size = static_cast<std::size_t>(size_of(dtype));
    std::size_t columns = 1;
    for (std::size_t d = 1; d < shape.size(); ++d) columns *= static_cast<std::size_t>(shape[d]);
    return write_file_atomically(path, [&](FileSink& sink) {
        std::string line;
        for (const std::string& name : header) {
            if (!line.empty()) line += ',';
            line += csv_cell(name);
        }
        if (!header.empty()) sink.write(line + "\n");
        for (std::size_t at = 0; at < bytes.size() / size; at += columns) {
            line.clear();
            for (std::size_t column = 0; column < columns; ++column) {
                if (column > 0) line += ',';
                line += number_text(dtype, bytes.data() + (at + column) * size);
            }
            line += '\n';
            if (!sink.write(line)) return;
        }
    });
}

}  // namespace netc
