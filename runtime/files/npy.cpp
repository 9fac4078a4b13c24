// NumPy's npy: a magic, a version, a Python dictionary as text, the elements.
#include "runtime/files/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "runtime/files/files.h"
#include "runtime/files/gzip.h"
#include "runtime/files/half.h"

namespace netc {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);

Error malformed(const std::string& path, std::string reason) {
    return {.status = kExitData,
            .message = fmt::format("{} is not a whole npy file: {}", path, reason)};
}

struct Header {
    std::string descr;
    bool fortran = false;
    std::vector<std::int64_t> shape;
};

// Reads the three entries of the dictionary in any order. The format fixes which Python literals
// may stand there.
class HeaderReader {
public:
    explicit HeaderReader(std::string_view text) : rest_(text) {}

    std::optional<Header> read() {
        Header header;
        if (!take('{')) return std::nullopt;
        int seen = 0;
        while (!take('}')) {
            const auto key = quoted();
            if (!key || !take(':')) return std::nullopt;
            bool good = false;
            if (*key == "descr") {
                const auto value = quoted();
                good = value.has_value();
                if (good) header.descr = *value;
            } else if (*key == "fortran_order") {
                header.fortran = word("True");
                good = header.fortran || word("False");
            } else if (*key == "shape") {
                good = tuple(header.shape);
            }
            if (!good) return std::nullopt;
            ++seen;
            if (!take(',')) {
                if (!take('}')) return std::nullopt;
                break;
            }
        }
        if (seen != 3) return std::nullopt;
        return header;
    }

private:
    void skip_space() {
        while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n' || rest_[0] == '\t')) {
            rest_.remove_prefix(1);
        }
    }
    bool take(char wanted) {
        skip_space();
        if (rest_.empty() || rest_[0] != wanted) return false;
        rest_.remove_prefix(1);
        return true;
    }
    bool word(std::string_view wanted) {
        skip_space();
        if (!rest_.starts_with(wanted)) return false;
        rest_.remove_prefix(wanted.size());
        return true;
    }
    std::optional<std::string> quoted() {
        skip_space();
        if (rest_.empty() || (rest_[0] != '\'' && rest_[0] != '"')) return std::nullopt;
        const std::size_t end = rest_.find(rest_[0], 1);
        if (end == std::string_view::npos) return std::nullopt;
        std::string text(rest_.substr(1, end - 1));
        rest_.remove_prefix(end + 1);
        return text;
    }
    bool tuple(std::vector<std::int64_t>& shape) {
        if (!take('(')) return false;
        while (!take(')')) {
            skip_space();
            std::int64_t extent = 0;
            const auto [end, code] =
                std::from_chars(rest_.data(), rest_.data() + rest_.size(), extent);
            if (code != std::errc() || extent < 0) return false;
            rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
            if (rest_.starts_with('L')) rest_.remove_prefix(1);  // written by Python 2
            shape.push_back(extent);
            if (!take(',')) {
                if (!take(')')) return false;
                break;
            }
        }
        return true;
    }

    std::string_view rest_;
};

// What is in the file, and what it becomes.
struct ElementType {
    char kind;  // f i u b
    std::int64_t size;
    bool swap;
    DType dtype;
};

std::optional<ElementType> element_type(std::string_view descr) {
    if (descr.size() != 3 || std::string_view("<>|=").find(descr[0]) == std::string_view::npos) {
        return std::nullopt;
    }
    struct Entry {
        std::string_view name;
        DType dtype;
    };
    constexpr Entry kTypes[] = {{"f8", DType::f64}, {"f4", DType::f32}, {"f2", DType::f32},
                                {"i8", DType::i64}, {"i4", DType::i32}, {"i2", DType::i16},
                                {"i1", DType::i8},  {"u1", DType::u8},  {"u2", DType::i32},
                                {"u4", DType::i64}, {"b1", DType::b1}};
    for (const Entry& entry : kTypes) {
        if (entry.name == descr.substr(1)) {
            return ElementType{descr[1], descr[2] - '0', descr[0] == '>', entry.dtype};
        }
    }
    return std::nullopt;
}

template <class From, class To>
void widen(std::span<const std::byte> from, std::byte* to) {
    for (std::size_t i = 0; i * sizeof(From) < from.size(); ++i) {
        From value;
        std::memcpy(&value, from.data() + i * sizeof(From), sizeof(From));
        To wide;
        if constexpr (std::is_same_v<To, float>)
            wide = float_of_f16(value);
        else
            wide = static_cast<To>(value);
        std::memcpy(to + i * sizeof(To), &wide, sizeof(To));
    }
}

// Elements of a Fortran array in row-major order: the first index runs fastest in `from`.
std::vector<std::byte> transpose_fortran(const std::vector<std::byte>& from,
                                         const std::vector<std::int64_t>& shape, std::size_t size) {
    const std::size_t rank = shape.size();
    if (rank < 2) return from;
    std::vector<std::byte> to(from.size());
    std::vector<std::int64_t> index(rank, 0);
    std::vector<std::size_t> stride(rank, size);
    for (std::size_t d = 1; d < rank; ++d) {
        stride[d] = stride[d - 1] * static_cast<std::size_t>(shape[d - 1]);
    }
    std::size_t position = 0;
    for (std::size_t written = 0; written < to.size(); written += size) {
        std::memcpy(to.data() + written, from.data() + position, size);
        for (std::size_t d = rank; d-- > 0;) {
            position += stride[d];
            if (++index[d] < shape[d]) break;
            position -= stride[d] * static_cast<std::size_t>(shape[d]);
            index[d] = 0;
        }
    }
    return to;
}

Result<std::string_view> header_text(std::span<const std::byte> file, const std::string& path,
                                     std::size_t& data_begin) {
    const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
    if (!text.starts_with(kMagic)) return malformed(path, "it does not start with \\x93NUMPY");
    if (text.size() < 10) return malformed(path, "it ends inside its header");
    const int version = static_cast<unsigned char>(text[6]);
    if (version < 1 || version > 3) {
        return malformed(path, fmt::format("version {} is not known", version));
    }
    const std::size_t width = version == 1 ? 2 : 4;
    if (text.size() < 8 + width) return malformed(path, "it ends inside its header");
    std::uint32_t length = 0;
    std::memcpy(&length, file.data() + 8, width);
    if (length > text.size() - 8 - width) return malformed(path, "it ends inside its header");
    data_begin = 8 + width + length;
    return text.substr(8 + width, length);
}

}  // namespace

Result<Array> parse_npy(std::span<const std::byte> file, const std::string& path) {
    std::size_t begin = 0;
    const Result<std::string_view> text = header_text(file, path, begin);
    if (!text) return text.error();
    const std::optional<Header> header = HeaderReader(*text).read();
    if (!header) return malformed(path, "its header is not the dictionary that npy asks for");
    const std::optional<ElementType> type = element_type(header->descr);
    if (!type) {
        return Error{.status = kExitData,
                     .message =
                         fmt::format("{} holds elements of type {:?}, which netc does not read",
                                     path, header->descr.substr(0, 20)),
                     .help = "convert it, for example with array.astype(\"float32\")"};
    }
    std::int64_t bytes = type->size;
    for (const std::int64_t extent : header->shape) {
        if (__builtin_mul_overflow(bytes, extent, &bytes)) {
            return malformed(path, "its shape is too large to be true");
        }
    }
    const std::span<const std::byte> data = file.subspan(begin);
    if (static_cast<std::uint64_t>(bytes) != data.size()) {
        return malformed(path, fmt::format("its shape needs {} bytes, but {} follow the header",
                                           bytes, data.size()));
    }
    std::vector<std::byte> raw(data.begin(), data.end());
    const auto size = static_cast<std::size_t>(type->size);
    if (type->swap) {
        for (std::size_t i = 0; i < raw.size(); i += size) {
            std::reverse(raw.begin() + static_cast<std::ptrdiff_t>(i),
                         raw.begin() + static_cast<std::ptrdiff_t>(i + size));
        }
    }
    if (header->fortran) raw = transpose_fortran(raw, header->shape, size);
    Array array{type->dtype, header->shape, {}};
    const auto count = raw.size() / size;
    array.bytes.resize(count * static_cast<std::size_t>(size_of(type->dtype)));
    if (type->kind == 'f' && size == 2)
        widen<std::uint16_t, float>(raw, array.bytes.data());
    else if (type->kind == 'u' && size == 2)
        widen<std::uint16_t, std::int32_t>(raw, array.bytes.data());
    else if (type->kind == 'u' && size == 4)
        widen<std::uint32_t, std::int64_t>(raw, array.bytes.data());
    else
        array.bytes = std::move(raw);
    return array;
}

Result<Array> read_npy(const std::string& path) {
    Result<DataFile> file = read_data_file(".", path);
    if (!file) return std::move(file).error();
    return parse_npy(std::as_bytes(std::span(file->bytes.data(), file->bytes.size())), file->path);
}

Result<std::string> npy_header(const std::string& path, DType dtype,
                               std::span<const std::int64_t> shape) {
    std::string_view descr;
    switch (dtype) {
        case DType::f64: descr = "<f8"; break;
        case DType::f32: descr = "<f4"; break;
        case DType::f16: descr = "<f2"; break;
        case DType::i64: descr = "<i8"; break;
        case DType::i32: descr = "<i4"; break;
        case DType::i16: descr = "<i2"; break;
        case DType::i8: descr = "|i1"; break;
        case DType::u8: descr = "|u1"; break;
        case DType::b1: descr = "|b1"; break;
        case DType::bf16:
            return Error{.status = kExitUsage,
                         .message = fmt::format("{}: npy cannot hold bf16", path)};
    }
    std::string extents;
    for (const std::int64_t extent : shape) extents += fmt::format("{}, ", extent);
    if (shape.size() > 1) extents.resize(extents.size() - 2);
    if (shape.size() == 1) extents.resize(extents.size() - 1);
    std::string header =
        fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, extents);
    // The data begin at a multiple of 64 bytes, as NumPy writes it.
    while ((10 + header.size() + 1) % 64 != 0) header += ' ';
    header += '\n';
    const auto length = static_cast<std::uint16_t>(header.size());
    std::string start(kMagic);
    start += {'\x01', '\x00', static_cast<char>(length & 0xff), static_cast<char>(length >> 8)};
    return start + header;
}

Status write_npy(const std::string& path, DType dtype, std::span<const std::int64_t> shape,
                 std::span<const std::byte> bytes) {
    const Result<std::string> header = npy_header(path, dtype, shape);
    if (!header) return header.error();
    return write_file_atomically(path, [&](FileSink& sink) {
        sink.write(*header);
        sink.write(bytes);
    });
}

}  // namespace netc
