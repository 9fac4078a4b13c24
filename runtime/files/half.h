// Half precision as files hold it, widened to f32, which holds every such number.
#pragma once

#include <bit>
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

}  // namespace netc
