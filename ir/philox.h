// Philox 4x32-10, the counter-based generator behind every random number of netc (Salmon, Moraes,
// Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011). A number is a pure function of
// key and counter, so that it is the same on every backend, for any layout and any number of
// threads. Compiled kernels compute the same function; tests hold both to the published vectors.
#pragma once

#include <array>
#include <cstdint>

namespace netc {

using PhiloxCounter = std::array<std::uint32_t, 4>;
using PhiloxKey = std::array<std::uint32_t, 2>;

inline constexpr std::uint32_t kPhiloxMultiplier0 = 0xD2511F53u;
inline constexpr std::uint32_t kPhiloxMultiplier1 = 0xCD9E8D57u;
inline constexpr std::uint32_t kPhiloxWeyl0 = 0x9E3779B9u;  // golden ratio
inline constexpr std::uint32_t kPhiloxWeyl1 = 0xBB67AE85u;  // sqrt(3) - 1
inline constexpr int kPhiloxRounds = 10;

constexpr PhiloxCounter philox(PhiloxKey key, PhiloxCounter counter) {
    for (int round = 0; round < kPhiloxRounds; ++round) {
        const std::uint64_t product0 = std::uint64_t{kPhiloxMultiplier0} * counter[0];
        const std::uint64_t product1 = std::uint64_t{kPhiloxMultiplier1} * counter[2];
        counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
                   static_cast<std::uint32_t>(product1),
                   static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
                   static_cast<std::uint32_t>(product0)};
        key[0] += kPhiloxWeyl0;
        key[1] += kPhiloxWeyl1;
    }
    return counter;
}

constexpr PhiloxKey philox_key(std::uint64_t seed) {
    return {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
}

constexpr PhiloxCounter philox_counter(std::uint64_t low, std::uint64_t high) {
    return {static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(low >> 32),
            static_cast<std::uint32_t>(high), static_cast<std::uint32_t>(high >> 32)};
}

// 32 random bits to a float in [0, 1): the upper 24 bits, exact. Kernels use the same formula.
constexpr float uniform_float(std::uint32_t bits) {
    return static_cast<float>(bits >> 8) * 0x1p-24f;
}

// 64 random bits to a double in [0, 1), exact; for data generators and host-side draws.
constexpr double uniform_double(std::uint32_t low, std::uint32_t high) {
    const std::uint64_t bits = (std::uint64_t{high} << 32) | low;
    return static_cast<double>(bits >> 11) * 0x1p-53;
}

// A sequence of draws from one (seed, stream, index): host code that wants "the next number" and
// must not depend on how many numbers other samples took.
class PhiloxStream {
public:
    constexpr PhiloxStream(std::uint64_t seed, std::uint32_t stream, std::uint64_t index)
        : key_(philox_key(seed)), stream_(stream), index_(index) {}

    constexpr std::uint32_t bits() {
        if (used_ == 4) {
            block_ = philox(key_, {block_number_++, stream_, static_cast<std::uint32_t>(index_),
                                   static_cast<std::uint32_t>(index_ >> 32)});
            used_ = 0;
        }
        return block_[used_++];
    }

    constexpr double uniform() {
        const std::uint32_t low = bits();
        return uniform_double(low, bits());
    }
    constexpr double uniform(double from, double to) { return from + (to - from) * uniform(); }

    // Uniform over 0 .. count - 1, count >= 1: the upper half of a 64 by 64 bit product. The bias
    // is below count / 2^64.
    constexpr std::uint64_t below(std::uint64_t count) {
        const std::uint64_t low = bits();
        const std::uint64_t high = bits();
        const std::uint64_t count_low = count & 0xFFFFFFFFu;
        const std::uint64_t count_high = count >> 32;
        const std::uint64_t middle = high * count_low + ((low * count_low) >> 32);
        const std::uint64_t other = low * count_high + (middle & 0xFFFFFFFFu);
        return high * count_high + (middle >> 32) + (other >> 32);
    }

private:
    PhiloxKey key_;
    std::uint32_t stream_;
    std::uint64_t index_;
    std::uint32_t block_number_ = 0;
    PhiloxCounter block_{};
    std::uint32_t used_ = 4;
};

}  // namespace netc
