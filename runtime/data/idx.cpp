// Reading IDX. What the header claims is compared with the file's size before anything is
// allocated.
#include "runtime/data/idx.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>

namespace netc {
namespace {

Error malformed(const std::string& path, std::string reason) {
    return {.status = kExitData,
            .message = fmt::format("{} is not a whole IDX file: {}", path, reason)};
}

std::optional<DType> element_type(unsigned char code) {
    switch (code) {
        case 0x08: return DType::u8;
        case 0x09: return DType::i8;
        case 0x0b: return DType::i16;
        case 0x0c: return DType::i32;
        case 0x0d: return DType::f32;
        case 0x0e: return DType::f64;
        default: return std::nullopt;
    }
}

std::uint32_t big_endian(const char* bytes) {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = (value << 8) | static_cast<unsigned char>(bytes[i]);
    return value;
}

std::string extents(const std::vector<std::int64_t>& shape) {
    std::string text;
    for (const std::int64_t extent : shape)
        text += fmt::format("{}{}", text.empty() ? "" : " x ", extent);
    return text;
}

}  // namespace

Result<Array> parse_idx(const std::string& bytes, const std::string& path) {
    if (bytes.size() < 4) {
        return malformed(path, fmt::format("it has {} bytes, fewer than the header", bytes.size()));
    }
    const auto type = element_type(static_cast<unsigned char>(bytes[2]));
    const auto rank = static_cast<std::size_t>(static_cast<unsigned char>(bytes[3]));
    if (bytes[0] != 0 || bytes[1] != 0 || !type || rank == 0 || rank > 8) {
        return malformed(
            path, fmt::format(
                      "it starts with {:02x} {:02x} {:02x} {:02x}, not with 00 00, "
                      "an element type and a rank",
                      static_cast<unsigned char>(bytes[0]), static_cast<unsigned char>(bytes[1]),
                      static_cast<unsigned char>(bytes[2]), static_cast<unsigned char>(bytes[3])));
    }
    const std::size_t begin = 4 + 4 * rank;
    if (bytes.size() < begin) return malformed(path, "it ends inside its header");
    Array array{*type, {}, {}};
    std::int64_t size = size_of(*type);
    for (std::size_t d = 0; d < rank; ++d) {
        const std::int64_t extent = big_endian(bytes.data() + 4 + 4 * d);
        array.shape.push_back(extent);
        if (__builtin_mul_overflow(size, extent, &size)) {
            return malformed(path, "its extents are too large to be true");
        }
    }
    const std::size_t available = bytes.size() - begin;
    if (static_cast<std::uint64_t>(size) != available) {
        return malformed(path,
                         fmt::format("its header says {} values ({} bytes), but {} bytes follow",
                                     extents(array.shape), size, available));
    }
    array.bytes.resize(available);
    if (available > 0) std::memcpy(array.bytes.data(), bytes.data() + begin, available);
    const auto element = static_cast<std::ptrdiff_t>(size_of(*type));
    if (element > 1) {
        for (auto at = array.bytes.begin(); at != array.bytes.end(); at += element) {
            std::reverse(at, at + element);
        }
    }
    return array;
}

}  // namespace netc
