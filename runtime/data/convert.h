// Numbers between dtypes, one at a time: used where values are checked as they enter.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "ir/dtype.h"
#include "runtime/files/half.h"

namespace netc {

struct IntRange {
    std::int64_t low = 0, high = 0;
};

constexpr IntRange range_of(DType dtype) {
    switch (dtype) {
        case DType::i64: return {INT64_MIN, INT64_MAX};
        case DType::i32: return {INT32_MIN, INT32_MAX};
        case DType::i16: return {INT16_MIN, INT16_MAX};
        case DType::i8: return {INT8_MIN, INT8_MAX};
        case DType::u8: return {0, UINT8_MAX};
        case DType::b1: return {0, 1};
        case DType::f64:
        case DType::f32:
        case DType::f16:
        case DType::bf16: return {0, 0};
    }
    return {0, 0};
}

// Whether a number can be held exactly as an int of this dtype.
inline bool fits_int(double value, DType dtype) {
    const IntRange range = range_of(dtype);
    // 2^63 itself is not an int64; the comparison below is exact because both bounds are powers of
    // two or small.
    return value == std::floor(value) && value >= static_cast<double>(range.low) &&
           value < static_cast<double>(range.high) + 1.0;
}

template <class T>
void store_as(T value, std::byte* out) {
    std::memcpy(out, &value, sizeof(T));
}

template <class T>
T load_as(const std::byte* from) {
    T value;
    std::memcpy(&value, from, sizeof(T));
    return value;
}

// The caller has checked ranges.
inline void store_number(DType dtype, double value, std::byte* out) {
    switch (dtype) {
        case DType::f64: return store_as(value, out);
        case DType::f32: return store_as(static_cast<float>(value), out);
        case DType::i64: return store_as(static_cast<std::int64_t>(value), out);
        case DType::i32: return store_as(static_cast<std::int32_t>(value), out);
        case DType::i16: return store_as(static_cast<std::int16_t>(value), out);
        case DType::i8: return store_as(static_cast<std::int8_t>(value), out);
        case DType::u8:
        case DType::b1: return store_as(static_cast<std::uint8_t>(value), out);
        case DType::f16: return store_as(Float16(value), out);
        case DType::bf16: return store_as(BFloat16(value), out);
    }
}

inline double load_number(DType dtype, const std::byte* from) {
    switch (dtype) {
        case DType::f64: return load_as<double>(from);
        case DType::f32: return static_cast<double>(load_as<float>(from));
        case DType::i64: return static_cast<double>(load_as<std::int64_t>(from));
        case DType::i32: return load_as<std::int32_t>(from);
        case DType::i16: return load_as<std::int16_t>(from);
        case DType::i8: return load_as<std::int8_t>(from);
        case DType::u8:
        case DType::b1: return load_as<std::uint8_t>(from);
        case DType::f16: return load_as<Float16>(from);
        case DType::bf16: return load_as<BFloat16>(from);
    }
    return 0;
}

}  // namespace netc
