// links: runtime
// Numbers of 16 bits: read, rounded, and as inputs of a data set.
#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

#include "runtime/data/dataset.h"
#include "runtime/files/half.h"

using namespace netc;

namespace {

// The nearest of all 65536, the even one of two.
std::uint16_t nearest(double value, float (*number)(std::uint16_t)) {
    std::uint16_t best = 0;
    double distance = std::numeric_limits<double>::infinity();
    for (std::uint32_t bits = 0; bits < 0x8000; ++bits) {
        const double there = static_cast<double>(number(static_cast<std::uint16_t>(bits)));
        if (!std::isfinite(there)) break;
        const double d = std::abs(there - value);
        if (d < distance || (d == distance && bits % 2 == 0)) {
            distance = d;
            best = static_cast<std::uint16_t>(bits);
        }
    }
    return best;
}

}  // namespace

TEST_CASE("every number of 16 bits comes back") {
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
        const auto half = static_cast<std::uint16_t>(bits);
        const float f16 = float_of_f16(half), bf16 = float_of_bf16(half);
        if (!std::isnan(f16) && f16_of(static_cast<double>(f16)) != half) FAIL("f16 " << bits);
        if (!std::isnan(bf16) && bf16_of(static_cast<double>(bf16)) != half) FAIL("bf16 " << bits);
        if (std::isnan(f16) && !std::isnan(float_of_f16(f16_of(static_cast<double>(f16)))))
            FAIL(bits);
        if (std::isnan(bf16) && !std::isnan(float_of_bf16(bf16_of(static_cast<double>(bf16)))))
            FAIL(bits);
    }
}

TEST_CASE("others are rounded to the nearest, ties to even") {
    for (const double value :
         {1.0 / 3, 2049.0, 2051.0, 65519.0, 1e-5, 3e-8, 2.98e-8, 6.1e-5, 0.1, 1023.75}) {
        INFO(value);
        CHECK(f16_of(value) == nearest(value, float_of_f16));
        CHECK(bf16_of(value) == nearest(value, float_of_bf16));
        CHECK(f16_of(-value) == (nearest(value, float_of_f16) | 0x8000));
    }
    CHECK(f16_of(65520) == 0x7c00);
    CHECK(f16_of(-1e300) == 0xfc00);
    CHECK(bf16_of(3.4e38) == 0x7f80);
    CHECK(f16_of(std::numeric_limits<double>::infinity()) == 0x7c00);
    CHECK(f16_of(-0.0) == 0x8000);
    CHECK(f16_of(1e-300) == 0);
}

TEST_CASE("a batch of 16 bits, of whatever the file holds") {
    DataSource source;
    source.fields = {{"x", "", {}, InlineValues{{3, 1}, {1, -2, 0.1}, true}, {}}};
    for (const DType dtype : {DType::f16, DType::bf16}) {
        const auto data = load(source, {{"x", dtype, {1}, FieldRole::input, {}}}, {});
        REQUIRE(data.ok());
        const std::int64_t rows[] = {2, 1};
        std::uint16_t batch[2];
        gather(data->fields[0], rows, reinterpret_cast<std::byte*>(batch));
        CHECK(batch[0] == (dtype == DType::f16 ? f16_of(0.1) : bf16_of(0.1)));
        CHECK(batch[1] == 0xc000);
        CHECK(data->fields[0].statistics.raw_min == -2);
    }
    // A byte in the file is narrower than what it becomes.
    Field field;
    field.dtype = DType::f16;
    field.stored = DType::u8;
    field.values = {std::byte{1}, std::byte{255}};
    const std::int64_t rows[] = {1, 0};
    std::uint16_t batch[2];
    gather(field, rows, reinterpret_cast<std::byte*>(batch));
    CHECK(batch[0] == f16_of(255));
    CHECK(batch[1] == f16_of(1));
}
