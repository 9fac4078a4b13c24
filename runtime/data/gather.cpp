// Batches out of a data set: samples copied one after the other, converted from the dtype of the
// file to the model's.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include "runtime/data/convert.h"
#include "runtime/data/dataset.h"

namespace netc {
namespace {

// One sample. The loop over plain pointers is what the compiler turns into vector code.
template <class From, class To>
void convert(const std::byte* from, std::byte* to, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
        From value;
        std::memcpy(&value, from + i * static_cast<std::int64_t>(sizeof(From)), sizeof(From));
        const To converted = static_cast<To>(value);
        std::memcpy(to + i * static_cast<std::int64_t>(sizeof(To)), &converted, sizeof(To));
    }
}

using Convert = void (*)(const std::byte*, std::byte*, std::int64_t);

template <class From>
Convert to_type(DType to) {
    switch (to) {
        case DType::f64: return convert<From, double>;
        case DType::f32: return convert<From, float>;
        case DType::i64: return convert<From, std::int64_t>;
        case DType::i32: return convert<From, std::int32_t>;
        case DType::i16: return convert<From, std::int16_t>;
        case DType::i8: return convert<From, std::int8_t>;
        case DType::u8:
        case DType::b1: return convert<From, std::uint8_t>;
        case DType::f16: return convert<From, Float16>;
        case DType::bf16: return convert<From, BFloat16>;
    }
    return nullptr;
}

Convert conversion(DType from, DType to) {
    switch (from) {
        case DType::f64: return to_type<double>(to);
        case DType::f32: return to_type<float>(to);
        case DType::i64: return to_type<std::int64_t>(to);
        case DType::i32: return to_type<std::int32_t>(to);
        case DType::i16: return to_type<std::int16_t>(to);
        case DType::i8: return to_type<std::int8_t>(to);
        case DType::u8:
        case DType::b1: return to_type<std::uint8_t>(to);
        case DType::f16: return to_type<Float16>(to);
        case DType::bf16: return to_type<BFloat16>(to);
    }
    return nullptr;
}

}  // namespace

void gather(const Field& field, std::span<const std::int64_t> rows, std::byte* out,
            std::optional<DType> dtype) {
    const DType to = dtype.value_or(field.dtype);
    const std::int64_t count = field.sample_size();
    const std::int64_t stored = count * size_of(field.stored);
    const std::int64_t written = count * size_of(to);
    const Convert convert_sample = field.stored == to ? nullptr : conversion(field.stored, to);
    for (const std::int64_t row : rows) {
        const std::byte* from = field.values.data() + row * stored;
        if (convert_sample == nullptr)
            std::memcpy(out, from, static_cast<std::size_t>(written));
        else
            convert_sample(from, out, count);
        out += written;
    }
}

Status read_samples(const Field& field, std::span<const std::int64_t> rows, const Drawing* drawing,
                    std::byte* out, std::optional<DType> dtype) {
    if (!field.reader) {
        gather(field, rows, out, dtype);
        return {};
    }
    const DType as = dtype.value_or(field.dtype);
    const std::int64_t written = field.sample_size() * size_of(as);
    const Convert convert_sample = field.stored == as ? nullptr : conversion(field.stored, as);
    std::atomic<std::size_t> next{0};
    std::vector<std::optional<Error>> failures(rows.size());
    const auto work = [&] {
        std::vector<std::byte> stored(static_cast<std::size_t>(field.stored_bytes()));
        for (std::size_t i = next++; i < rows.size(); i = next++) {
            std::byte* to = out + static_cast<std::int64_t>(i) * written;
            std::byte* read_to = convert_sample == nullptr ? to : stored.data();
            Status status = field.reader->read(rows[i], drawing, read_to);
            if (!status) {
                failures[i] = status.error();
                continue;
            }
            if (convert_sample != nullptr) convert_sample(stored.data(), to, field.sample_size());
        }
    };
    // A sample depends on nothing but its row, so who makes it does not matter.
    const std::size_t threads =
        std::min<std::size_t>(rows.size(), std::max(1u, std::thread::hardware_concurrency()));
    std::vector<std::jthread> helpers;
    for (std::size_t i = 1; i < threads; ++i) helpers.emplace_back(work);
    work();
    helpers.clear();
    for (const std::optional<Error>& failure : failures) {
        if (failure) return *failure;
    }
    return {};
}

double element(const Field& field, std::int64_t row, std::int64_t index) {
    const std::int64_t at = row * field.sample_size() + index;
    return load_number(field.stored, field.values.data() + at * size_of(field.stored));
}

const Field* find_field(const Dataset& dataset, std::string_view name) {
    for (const Field& field : dataset.fields) {
        if (field.name == name) return &field;
    }
    return nullptr;
}

}  // namespace netc
