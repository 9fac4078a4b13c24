// The element types of tensors and scalars.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace netc {

enum class DType : std::uint8_t { f64, f32, f16, bf16, i64, i32, i16, i8, u8, b1 };

// Bytes of one element in memory; b1 takes a byte.
constexpr std::int64_t size_of(DType type) {
    switch (type) {
        case DType::f64:
        case DType::i64: return 8;
        case DType::f32:
        case DType::i32: return 4;
        case DType::f16:
        case DType::bf16:
        case DType::i16: return 2;
        case DType::i8:
        case DType::u8:
        case DType::b1: return 1;
    }
    return 0;
}

constexpr std::string_view name_of(DType type) {
    switch (type) {
        case DType::f64: return "f64";
        case DType::f32: return "f32";
        case DType::f16: return "f16";
        case DType::bf16: return "bf16";
        case DType::i64: return "i64";
        case DType::i32: return "i32";
        case DType::i16: return "i16";
        case DType::i8: return "i8";
        case DType::u8: return "u8";
        case DType::b1: return "b1";
    }
    return "?";
}

constexpr std::optional<DType> parse_dtype(std::string_view name) {
    for (DType type : {DType::f64, DType::f32, DType::f16, DType::bf16, DType::i64, DType::i32,
                       DType::i16, DType::i8, DType::u8, DType::b1}) {
        if (name_of(type) == name) return type;
    }
    return std::nullopt;
}

constexpr bool is_float(DType type) {
    return type == DType::f64 || type == DType::f32 || type == DType::f16 || type == DType::bf16;
}

// Stored and converted, not calculated with.
constexpr bool is_half(DType type) { return type == DType::f16 || type == DType::bf16; }
// What an instruction multiplies two or four at a time: halves of bf16, bytes.
constexpr bool is_part_of_word(DType type) {
    return type == DType::bf16 || type == DType::i8 || type == DType::u8;
}

// What products of two of them are summed in, exactly multiplied: halves in f32, bytes in i32.
constexpr DType sum_type(DType type) {
    if (is_half(type)) return DType::f32;
    return type == DType::i8 || type == DType::u8 ? DType::i32 : type;
}

constexpr bool is_int(DType type) { return !is_float(type) && type != DType::b1; }

}  // namespace netc
