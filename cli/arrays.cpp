#include "cli/arrays.h"

#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "backends/header_text.h"
#include "cli/array_files.h"
#include "runtime/data/convert.h"

namespace netc {
namespace {

template <class T>
T element_as(const Array& array, std::size_t i) {
    auto get = [&]<class From>(From value) {
        std::memcpy(&value, array.bytes.data() + i * sizeof(From), sizeof(From));
        return static_cast<T>(value);
    };
    switch (array.dtype) {
        case DType::f64: return get(double{});
        case DType::f32: return get(float{});
        case DType::i64: return get(std::int64_t{});
        case DType::i32: return get(std::int32_t{});
        case DType::i16: return get(std::int16_t{});
        case DType::i8: return get(std::int8_t{});
        case DType::u8:
        case DType::b1: return get(std::uint8_t{});
        case DType::f16: return get(Float16{});
        case DType::bf16: return get(BFloat16{});
    }
    return T{};
}

std::size_t count_of(const Array& array) {
    std::size_t count = 1;
    for (const std::int64_t extent : array.shape) count *= static_cast<std::size_t>(extent);
    return count;
}

template <class T>
void put(Array& array, std::size_t i, T value) {
    std::memcpy(array.bytes.data() + i * sizeof(T), &value, sizeof(T));
}

// B, as far as the array has a dimension for each of the input's: of [2 * B, 4] and 6 rows it is 3.
std::optional<std::int64_t> batch_by_dims(const Array& array, const EntryArgument& input) {
    if (array.shape.size() != input.dims.size()) return std::nullopt;
    std::optional<std::int64_t> batch;
    for (std::size_t d = 0; d < input.dims.size(); ++d) {
        const Extent extent = input.dims[d];
        if (!extent.is_static() && !batch)
            batch = (array.shape[d] - extent.constant) / extent.per_batch;
        if (array.shape[d] != extent.at(batch.value_or(0))) return std::nullopt;
    }
    return batch;
}

// The shape that the array stands for; where its first dimension is B, it may be flat or flatter than the input.
Result<std::int64_t> batch_of(const Array& array, const EntryArgument& input,
                              const std::string& file) {
    std::int64_t per_sample = 1;
    bool batched = false;
    for (const Extent& extent : input.dims) {
        if (extent.is_static()) per_sample *= extent.constant;
        batched = batched || !extent.is_static();
    }
    const bool samples_first = batched && input.dims[0] == Extent{1, 0};
    const auto by_dims = batched && !samples_first ? batch_by_dims(array, input) : std::nullopt;
    if (by_dims && *by_dims >= 0) return *by_dims;
    const auto count = static_cast<std::int64_t>(count_of(array));
    const std::int64_t batch = !batched ? 1 : array.shape.empty() ? 0 : array.shape[0];
    if ((batched && !samples_first) || batch < 0 || count != batch * per_sample) {
        return Error{kExitData, fmt::format("{}: `{}` is {}[{}], the file holds {}[{}]", file,
                                            input.name, name_of(input.dtype), dims_text(input.dims),
                                            name_of(array.dtype), fmt::join(array.shape, ", "))};
    }
    return batched ? batch : -1;
}

}  // namespace

std::vector<std::int64_t> shape_at(const EntryArgument& argument, std::int64_t batch) {
    std::vector<std::int64_t> shape;
    for (const Extent& extent : argument.dims) shape.push_back(extent.at(batch));
    return shape;
}

Result<Array> convert(const Array& array, DType dtype, const std::string& what) {
    if (array.dtype == dtype) return array;
    if (is_float(array.dtype) && !is_float(dtype)) {
        return Error{kExitData, fmt::format("{}: {} is wanted, {} found", what, name_of(dtype),
                                            name_of(array.dtype))};
    }
    Array out;
    out.dtype = dtype;
    out.shape = array.shape;
    const std::size_t count = count_of(array);
    out.bytes.resize(count * static_cast<std::size_t>(size_of(dtype)));
    const auto [low, high] = range_of(dtype);
    for (std::size_t i = 0; i < count; ++i) {
        if (dtype == DType::f32) {
            const float value = is_float(array.dtype)
                                    ? static_cast<float>(element_as<double>(array, i))
                                    : static_cast<float>(element_as<std::int64_t>(array, i));
            if (std::isinf(value) && std::isfinite(element_as<double>(array, i))) {
                return Error{kExitData, fmt::format("{}: element {} is {}, too large for f32", what,
                                                    i, element_as<double>(array, i))};
            }
            put(out, i, value);
            continue;
        }
        if (dtype == DType::f64) {
            put(out, i, element_as<double>(array, i));
            continue;
        }
        if (is_half(dtype)) {
            store_number(dtype, element_as<double>(array, i), out.bytes.data() + i * 2);
            continue;
        }
        const auto value = element_as<std::int64_t>(array, i);
        if (value < low || value > high) {
            return Error{kExitData, fmt::format("{}: element {} is {}, {} holds {} to {}", what, i,
                                                value, name_of(dtype), low, high)};
        }
        if (dtype == DType::i64) put(out, i, value);
        if (dtype == DType::i32) put(out, i, static_cast<std::int32_t>(value));
        if (dtype == DType::i16) put(out, i, static_cast<std::int16_t>(value));
        if (dtype == DType::i8) put(out, i, static_cast<std::int8_t>(value));
        if (dtype == DType::u8 || dtype == DType::b1) put(out, i, static_cast<std::uint8_t>(value));
    }
    return out;
}

std::vector<const std::byte*> CallInputs::pointers() const {
    std::vector<const std::byte*> all;
    for (const Array& array : arrays) all.push_back(array.bytes.data());
    return all;
}

Result<CallInputs> read_call_inputs(const Entry& entry, const std::vector<std::string>& inputs) {
    CallInputs call;
    std::vector<bool> used(inputs.size());
    std::string first_batched;
    for (const EntryArgument& input : entry.inputs) {
        std::string file;
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            if (inputs[i].starts_with(input.name + "=")) {
                file = inputs[i].substr(input.name.size() + 1);
                used[i] = true;
            }
        }
        if (file.empty()) {
            return Error{kExitUsage,
                         fmt::format("no file for `{}`", input.name),
                         {},
                         fmt::format("add --input {}=FILE.npy", input.name)};
        }
        Result<Array> array = read_array_file(file, input);
        if (!array) return array.error();
        Result<std::int64_t> batch = batch_of(*array, input, file);
        if (!batch) return batch.error();
        if (*batch >= 0) {
            if (!first_batched.empty() && *batch != call.batch) {
                return Error{kExitData, fmt::format("{}: {} samples, but `{}` has {}", file, *batch,
                                                    first_batched, call.batch)};
            }
            call.batch = *batch;
            first_batched = input.name;
        }
        Result<Array> converted = convert(*array, input.dtype, file);
        if (!converted) return converted.error();
        // Vector loads may run a little past the end of the last sample.
        call.arrays.push_back(std::move(*converted));
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (used[i]) continue;
        return Error{kExitUsage, fmt::format("there is no input `{}`",
                                             inputs[i].substr(0, inputs[i].find('=')))};
    }
    if (first_batched.empty()) call.batch = 1;
    return call;
}

Status check_ranges(const Entry& entry, const CallInputs& inputs) {
    for (const Entry::IndexRange& range : entry.index_ranges) {
        const Array& array = inputs.arrays[range.input];
        const std::size_t count = count_of(array);
        for (std::size_t i = 0; i < count; ++i) {
            const auto value = element_as<std::int64_t>(array, i);
            if (range.covers(static_cast<std::int64_t>(i)) && !range.holds(value)) {
                return Error{kExitData,
                             fmt::format("`{}`: element {} is {}, it must lie in 0 to {}",
                                         entry.inputs[range.input].name, i, value,
                                         range.limit - 1)};
            }
        }
    }
    return {};
}

}  // namespace netc
