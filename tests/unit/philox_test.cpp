// links: ir
// The generator against the vectors that its authors publish (Random123, kat_vectors).
#include <catch2/catch.hpp>
#include <set>

#include "ir/philox.h"

using namespace netc;

static_assert(philox({0, 0}, {0, 0, 0, 0}) ==
              PhiloxCounter{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u});

TEST_CASE("philox 4x32-10 gives the published vectors") {
    const std::uint32_t ones = 0xffffffffu;
    CHECK(philox({0, 0}, {0, 0, 0, 0}) ==
          PhiloxCounter{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u});
    CHECK(philox({ones, ones}, {ones, ones, ones, ones}) ==
          PhiloxCounter{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu});
    CHECK(
        philox({0xa4093822u, 0x299f31d0u}, {0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}) ==
        PhiloxCounter{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u});
}

TEST_CASE("uniform numbers lie in [0, 1)") {
    CHECK(uniform_float(0) == 0.0f);
    CHECK(uniform_float(0xffffffffu) == 1.0f - 0x1p-24f);
    CHECK(uniform_float(0xffu) == 0.0f);
    CHECK(uniform_double(0, 0) == 0.0);
    CHECK(uniform_double(0xffffffffu, 0xffffffffu) == 1.0 - 0x1p-53);
}

TEST_CASE("a stream draws below a bound, every number about as often") {
    PhiloxStream random(5, 1, 2);
    int counts[7] = {};
    for (int i = 0; i < 7000; ++i) ++counts[random.below(7)];
    for (const int count : counts) CHECK(std::abs(count - 1000) < 150);
    CHECK(PhiloxStream(1, 2, 3).below(1) == 0);
    // Above 2^32 too.
    const std::uint64_t large = std::uint64_t{1} << 63;
    for (int i = 0; i < 100; ++i) CHECK(random.below(large) < large);
}

TEST_CASE("seed, stream and index give streams of their own") {
    std::set<std::uint32_t> first;
    for (std::uint64_t seed : {0u, 1u}) {
        for (std::uint32_t stream : {0u, 1u}) {
            for (std::uint64_t index :
                 {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 40}) {
                first.insert(PhiloxStream(seed, stream, index).bits());
            }
        }
    }
    CHECK(first.size() == 12);
}
