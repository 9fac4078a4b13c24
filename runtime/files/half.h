// Half precision as files and regions hold it: f16 and bf16 to and from numbers that are calculated with.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace netc {

constexpr float float_of_f16(std::uint16_t half) {
    const float sign = (half & 0x8000u) != 0 ? -1.0f : 1.0f;
    const int exponent = (half >> 10) & 31;
    const auto mantissa = static_cast<float>(half & 0x3ff);
    if (exponent == 31) {
        return mantissa != 0 ? std::bit_cast<float>(0x7fc00000u)
                             : sign * std::bit_cast<float>(0x7f800000u);
    }
    // 2^e as a float, from its bits; subnormal halves all have the exponent of the smallest normal
    // one.
    const int power = (exponent == 0 ? 1 : exponent) - 25;
    const float unit = std::bit_cast<float>(static_cast<std::uint32_t>(power + 127) << 23);
    return sign * (mantissa + (exponent == 0 ? 0.0f : 1024.0f)) * unit;
}

constexpr float float_of_bf16(std::uint16_t half) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
}

// Rounded to the nearest, ties to even; what is too large becomes infinite.
inline std::uint16_t round_to_half(double value, int mantissa_bits, int lowest_exponent,
                                   std::uint16_t infinity) {
    const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000 : 0);
    if (std::isnan(value))
        return sign | infinity | static_cast<std::uint16_t>(1 << (mantissa_bits - 1));
    const double size = std::abs(value);
    if (size == 0) return sign;
    if (std::isinf(size)) return sign | infinity;
    const int exponent = std::max(std::ilogb(size), lowest_exponent);
    // In units of the last place. A carry into the exponent is what adding the two makes of it, and
    // subnormal numbers are those without a leading one.
    const double units = std::nearbyint(std::ldexp(size, mantissa_bits - exponent));
    const double bits = std::ldexp(exponent - lowest_exponent, mantissa_bits) + units;
    return sign | (bits >= infinity ? infinity : static_cast<std::uint16_t>(bits));
}
inline std::uint16_t f16_of(double value) { return round_to_half(value, 10, -14, 0x7c00); }
inline std::uint16_t bf16_of(double value) { return round_to_half(value, 7, -126, 0x7f80); }

// As a type of elements, next to float and double.
struct Float16 {
    std::uint16_t bits;
    Float16() = default;
    template <class T>
    explicit Float16(T value) : bits(f16_of(static_cast<double>(value))) {}
    operator double() const { return static_cast<double>(float_of_f16(bits)); }
};
struct BFloat16 {
    std::uint16_t bits;
    BFloat16() = default;
    template <class T>
    explicit BFloat16(T value) : bits(bf16_of(static_cast<double>(value))) {}
    operator double() const { return static_cast<double>(float_of_bf16(bits)); }
};

}  // namespace netc
