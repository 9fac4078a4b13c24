// Reading and writing safetensors. The header is JSON from outside: its size and depth are bounded
// before it is parsed, and nothing in it is believed until it fits the file.
#include "runtime/files/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "runtime/files/files.h"

namespace netc {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little endian");

constexpr std::uint64_t kMaxHeader = 100'000'000;
constexpr int kMaxDepth = 8;

struct DTypeName {
    DType dtype;
    const char* name;
};
constexpr DTypeName kNames[] = {{DType::f64, "F64"},   {DType::f32, "F32"}, {DType::f16, "F16"},
                                {DType::bf16, "BF16"}, {DType::i64, "I64"}, {DType::i32, "I32"},
                                {DType::i16, "I16"},   {DType::i8, "I8"},   {DType::u8, "U8"},
                                {DType::b1, "BOOL"}};

const char* safetensors_name(DType dtype) {
    for (const DTypeName& entry : kNames) {
        if (entry.dtype == dtype) return entry.name;
    }
    return "?";
}

std::optional<DType> from_safetensors_name(std::string_view name) {
    for (const DTypeName& entry : kNames) {
        if (entry.name == name) return entry.dtype;
    }
    return std::nullopt;
}

Error malformed(const std::string& path, std::string reason) {
    return {.status = kExitData,
            .message = fmt::format("{} is not a whole safetensors file: {}", path, reason)};
}

// A name from the file as part of a message.
std::string shown(std::string_view name) {
    std::string text = "\"";
    for (const char c : name.substr(0, 60)) {
        text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    }
    return text + (name.size() > 60 ? "...\"" : "\"");
}

// Parses without exceptions; refuses deep nesting and a key given twice. The callback sees every
// event before a value is built.
struct HeaderJson {
    nlohmann::json value;
    std::string problem;
};
HeaderJson parse_header(std::string_view text) {
    HeaderJson header;
    std::vector<std::set<std::string>> keys;
    auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
        using Event = nlohmann::json::parse_event_t;
        if (depth > kMaxDepth) {
            header.problem = "its header is nested too deep";
            return false;
        }
        if (event == Event::object_start) keys.emplace_back();
        if (event == Event::object_end && !keys.empty()) keys.pop_back();
        if (event == Event::key && !keys.empty()) {
            const auto* key = parsed.get_ptr<const std::string*>();
            if (key != nullptr && !keys.back().insert(*key).second && header.problem.empty()) {
                header.problem = fmt::format("its header has {} twice", shown(*key));
            }
        }
        return true;
    };
    // The parser is recursion-free, but building a value is not: count the brackets first.
    int depth = 0;
    for (const char c : text) {
        if (c == '{' || c == '[') ++depth;
        if (c == '}' || c == ']') --depth;
        if (depth > 1000) {
            header.problem = "its header is nested too deep";
            return header;
        }
    }
    header.value = nlohmann::json::parse(text, watch, /*allow_exceptions=*/false);
    if (header.problem.empty() && (header.value.is_discarded() || !header.value.is_object())) {
        header.problem = "its header is not a JSON object";
    }
    return header;
}

std::optional<std::int64_t> as_size(const nlohmann::json& value) {
    if (!value.is_number_integer()) return std::nullopt;
    if (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX) return std::nullopt;
    const auto number = value.get<std::int64_t>();
    if (number < 0) return std::nullopt;
    return number;
}

// One entry of the header; the reason when it is wrong.
std::optional<std::string> parse_tensor(const std::string& name, const nlohmann::json& entry,
                                        std::size_t available, Safetensors::Tensor& tensor) {
    if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") ||
        !entry.contains("data_offsets")) {
        return fmt::format("{} lacks dtype, shape or data_offsets", shown(name));
    }
    const nlohmann::json& dtype = entry["dtype"];
    const nlohmann::json& shape = entry["shape"];
    const nlohmann::json& offsets = entry["data_offsets"];
    if (!dtype.is_string() || !shape.is_array() || !offsets.is_array() || offsets.size() != 2) {
        return fmt::format("the entry of {} is malformed", shown(name));
    }
    const auto known = from_safetensors_name(*dtype.get_ptr<const std::string*>());
    if (!known) {
        return fmt::format("{} has the dtype {}, which netc does not read", shown(name),
                           shown(*dtype.get_ptr<const std::string*>()));
    }
    tensor.name = name;
    tensor.dtype = *known;
    std::int64_t bytes = size_of(*known);
    for (const nlohmann::json& extent : shape) {
        const auto size = as_size(extent);
        if (!size) return fmt::format("the shape of {} is malformed", shown(name));
        if (__builtin_mul_overflow(bytes, *size, &bytes)) {
            return fmt::format("{} is too large to be true", shown(name));
        }
        tensor.shape.push_back(*size);
    }
    const auto begin = as_size(offsets[0]);
    const auto end = as_size(offsets[1]);
    if (!begin || !end || *begin > *end) {
        return fmt::format("the offsets of {} are malformed", shown(name));
    }
    if (static_cast<std::uint64_t>(*end) > available) {
        return fmt::format("{} ends at byte {} of the data, but only {} follow the header",
                           shown(name), *end, available);
    }
    if (*end - *begin != bytes) {
        return fmt::format("{} has {} bytes, but its shape needs {}", shown(name), *end - *begin,
                           bytes);
    }
    tensor.offset = static_cast<std::size_t>(*begin);
    tensor.size = static_cast<std::size_t>(bytes);
    return std::nullopt;
}

std::optional<std::string> parse_entries(const nlohmann::json& header, std::size_t available,
                                         Safetensors& result) {
    for (const auto& [name, entry] : header.items()) {
        if (name == "__metadata__") {
            if (!entry.is_object()) return "its metadata is not an object";
            for (const auto& [key, value] : entry.items()) {
                if (!value.is_string()) {
                    return fmt::format("its metadata {} is not a string", shown(key));
                }
                result.metadata[key] = *value.get_ptr<const std::string*>();
            }
            continue;
        }
        Safetensors::Tensor tensor;
        if (auto problem = parse_tensor(name, entry, available, tensor)) return problem;
        result.tensors.push_back(std::move(tensor));
    }
    std::sort(result.tensors.begin(), result.tensors.end(), [](const auto& a, const auto& b) {
        return std::tie(a.offset, a.size, a.name) < std::tie(b.offset, b.size, b.name);
    });
    std::size_t end = 0;
    for (const Safetensors::Tensor& tensor : result.tensors) {
        if (tensor.offset < end) {
            return fmt::format("{} overlaps the tensor before it", shown(tensor.name));
        }
        if (tensor.offset > end) {
            return fmt::format("{} bytes before {} belong to no tensor", tensor.offset - end,
                               shown(tensor.name));
        }
        end = tensor.offset + tensor.size;
    }
    if (end != available) {
        return fmt::format("{} bytes behind the last tensor belong to none", available - end);
    }
    return std::nullopt;
}

}  // namespace

const Safetensors::Tensor* Safetensors::find(std::string_view name) const {
    for (const Tensor& tensor : tensors) {
        if (tensor.name == name) return &tensor;
    }
    return nullptr;
}

Status write_safetensors(const std::string& path, std::span<const TensorView> tensors,
                         const Metadata& metadata) {
    nlohmann::ordered_json header = nlohmann::ordered_json::object();
    if (!metadata.empty()) {
        for (const auto& [key, value] : metadata) header["__metadata__"][key] = value;
    }
    std::uint64_t offset = 0;
    for (const TensorView& tensor : tensors) {
        const std::uint64_t end = offset + tensor.bytes.size();
        if (header.contains(tensor.name)) {
            return Error{
                .status = kExitInternal,
                .message = fmt::format("{}: two tensors are called {}", path, shown(tensor.name))};
        }
        header[tensor.name] = {{"dtype", safetensors_name(tensor.dtype)},
                               {"shape", tensor.shape},
                               {"data_offsets", {offset, end}}};
        offset = end;
    }
    // Bytes that are no UTF-8 (a path in the metadata) become replacement characters; dump would
    // throw.
    std::string text =
        header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    while (text.size() % 8 != 0) text += ' ';
    const std::uint64_t length = text.size();
    return write_file_atomically(path, [&](FileSink& sink) {
        sink.write(std::as_bytes(std::span(&length, 1)));
        sink.write(text);
        for (const TensorView& tensor : tensors) sink.write(tensor.bytes);
    });
}

Result<Safetensors> parse_safetensors(std::span<const std::byte> file, const std::string& path) {
    if (file.size() < 8) {
        return malformed(path, fmt::format("it has {} bytes, not even a header", file.size()));
    }
    std::uint64_t length = 0;
    std::memcpy(&length, file.data(), 8);
    if (length > kMaxHeader || length > file.size() - 8) {
        return malformed(path, fmt::format("its header is said to have {} bytes, the file has {}",
                                           length, file.size()));
    }
    const auto header_size = static_cast<std::size_t>(length);
    const HeaderJson header =
        parse_header({reinterpret_cast<const char*>(file.data()) + 8, header_size});
    if (!header.problem.empty()) return malformed(path, header.problem);
    Safetensors result;
    const std::span<const std::byte> data = file.subspan(8 + header_size);
    if (auto problem = parse_entries(header.value, data.size(), result)) {
        return malformed(path, *problem);
    }
    result.bytes = data;
    return result;
}

Result<Safetensors> read_safetensors(const std::string& path) {
    Result<FileContent> file = read_content(path);
    if (!file) return std::move(file).error();
    Result<Safetensors> result = parse_safetensors(file->bytes, path);
    if (result) result->memory = std::move(file->memory);
    return result;
}

}  // namespace netc
