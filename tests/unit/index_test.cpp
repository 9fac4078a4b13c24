// links: ir
#include <catch2/catch.hpp>

#include <random>

#include "ir/index.h"

using namespace netc;

namespace {

const Index a = Index::axis(0), b = Index::axis(1), c = Index::axis(2);

std::optional<std::int64_t> extents(AxisId axis) {
    constexpr std::int64_t kExtents[] = {6, 28, 4};
    if (axis > 2) return std::nullopt;
    return kExtents[axis];
}

std::string text(const Index& index) {
    return index.to_string(
        [](AxisId axis) { return std::string(1, static_cast<char>('a' + axis)); });
}

// A random index over a, b, c and d (d has no known extent).
Index random_index(std::mt19937& random, int depth) {
    const auto pick = [&](int count) {
        return static_cast<int>(random() % static_cast<unsigned>(count));
    };
    if (depth == 0) return Index::axis(static_cast<AxisId>(pick(4)));
    switch (pick(5)) {
        case 0: return random_index(random, depth - 1) + random_index(random, depth - 1);
        case 1: return random_index(random, depth - 1) * (pick(13) - 6);
        case 2: return floor_div(random_index(random, depth - 1), 1 + pick(30));
        case 3: return floor_mod(random_index(random, depth - 1), 1 + pick(30));
        default: return random_index(random, depth - 1) + Index(pick(41) - 20);
    }
}

}  // namespace

TEST_CASE("indices have a normal form") {
    CHECK(a + b == b + a);
    CHECK((a + b - a).is_axis(1));
    CHECK(text(b * 2 + a - Index(2)) == "a + 2*b - 2");
    CHECK(text(floor_div(a * 28 + b, 28)) == "a + (b // 28)");
    CHECK(text(floor_mod(a * 28 + b + Index(30), 28)) == "((b + 2) % 28)");
    CHECK(floor_div(floor_div(a, 3), 4) == floor_div(a, 12));
    CHECK(floor_mod(floor_mod(a, 12), 4) == floor_mod(a, 4));
    CHECK(text(floor_div(a * 6, 4)) == "a + (a // 2)");
    CHECK(text(a * -1) == "-a");
}

TEST_CASE("extents decide floordiv and mod") {
    CHECK(simplify(floor_div(a * 28 + b, 28), extents) == a);
    CHECK(simplify(floor_mod(a * 28 + b, 28), extents) == b);
    CHECK(text(simplify(floor_div(a * 28 + b, 56), extents)) == "(a // 2)");
    CHECK(text(simplify(floor_mod(a * 28 + b, 56), extents)) == "b + 28*(a % 2)");
    const Index flat = Index::axis(3);
    const Index whole =
        floor_div(flat, 784) * 784 + floor_mod(floor_div(flat, 28), 28) * 28 + floor_mod(flat, 28);
    CHECK(simplify(whole, extents) == flat);
}

TEST_CASE("coefficients and ranges") {
    const Index index = a * 3 + floor_div(b, 2) - Index(5);
    CHECK(index.coefficient(0) == 3);
    CHECK_FALSE(index.coefficient(1).has_value());
    CHECK(index.coefficient(2) == 0);
    const auto range = range_of(index, extents);
    REQUIRE(range);
    CHECK(range->low == -5);
    CHECK(range->high == 23);
    CHECK_FALSE(range_of(Index::axis(3), extents).has_value());
}

TEST_CASE("folding, simplifying and substituting keep the value") {
    std::mt19937 random(3);
    for (int round = 0; round < 3000; ++round) {
        std::mt19937 same = random;
        const Index index = random_index(random, 4);
        const Index simple = simplify(index, extents);
        const auto range = range_of(index, extents);
        const Index moved = index.substitute(
            [](AxisId axis) -> std::optional<Index> { return Index::axis(axis + 1) * 2; });
        for (int point = 0; point < 20; ++point) {
            const std::int64_t at[] = {
                static_cast<std::int64_t>(same() % 6), static_cast<std::int64_t>(same() % 28),
                static_cast<std::int64_t>(same() % 4), static_cast<std::int64_t>(same() % 1000)};
            const auto value = [&](AxisId axis) { return at[axis]; };
            const std::int64_t wanted = index.evaluate(value);
            REQUIRE(simple.evaluate(value) == wanted);
            if (range) REQUIRE((range->low <= wanted && wanted <= range->high));
            REQUIRE(moved.evaluate([&](AxisId axis) { return at[axis - 1] / 2 * 1; }) ==
                    index.evaluate([&](AxisId axis) { return at[axis] / 2 * 2; }));
        }
    }
}
