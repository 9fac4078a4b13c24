// links: ir
// Dimensions: normal form, division, text that reads back.
#include <catch2/catch.hpp>

#include "ir/dim.h"

using namespace netc;

TEST_CASE("dims have a normal form") {
    const Dim b = Dim::symbol("B");
    const Dim t = Dim::symbol("T");
    CHECK((b + Dim(1)) * (b - Dim(1)) == b * b - Dim(1));
    CHECK(b * t == t * b);
    CHECK(b - b == Dim(0));
    CHECK((b - b).is_static());
    CHECK((Dim(2) * b + Dim(3)).extent() == Extent{2, 3});
    CHECK(!(b * t).extent().has_value());
    CHECK((Dim(2) * b * t + Dim(3)).to_string() == "2*B*T + 3");
    CHECK((b - Dim(3)).to_string() == "B - 3");
    CHECK((Dim(0) - b).to_string() == "-B");
    CHECK(Dim(0).to_string() == "0");
    CHECK(product({b, 3, 4}) == b * Dim(12));
}

TEST_CASE("division rounds toward minus infinity") {
    CHECK(floor_div(Dim(7), 2) == Dim(3));
    CHECK(floor_div(Dim(-7), 2) == Dim(-4));
    CHECK(floor_div(Dim(7), -2) == Dim(-4));
    CHECK(floor_mod(Dim(-7), 4) == Dim(1));
    CHECK(floor_mod(Dim(7), -4) == Dim(-1));
}

TEST_CASE("quotients are equal when they are") {
    const Dim h = Dim::symbol("H");
    CHECK(floor_div(Dim(4) * h + Dim(2), 2) == Dim(2) * h + Dim(1));
    CHECK(floor_div(Dim(2) * h + Dim(1), 2) == h);
    CHECK(floor_mod(Dim(2) * h + Dim(1), 2) == Dim(1));
    CHECK(floor_div(h + Dim(1), 2).to_string() == "((H + 1) // 2)");
    CHECK(floor_div(h - Dim(1), 2) + Dim(1) == floor_div(h + Dim(1), 2));
    CHECK(floor_div(h, 2).to_string() == "(H // 2)");
    CHECK(floor_mod(h, 2) == floor_mod(h + Dim(4), 2));
    CHECK(floor_div(floor_div(h, 2), 3).symbols() == std::vector<std::string>{"H"});
}

TEST_CASE("symbols are replaced inside quotients") {
    const Dim h = Dim::symbol("H");
    const Dim quotient = Dim(3) * floor_div(h + Dim(1), 2) + h;
    CHECK(quotient.substitute("H", 8) == Dim(20));
    CHECK(quotient.substitute("H", Dim(2) * Dim::symbol("B")) == Dim(5) * Dim::symbol("B"));
    CHECK(quotient.symbols() == std::vector<std::string>{"H"});
}

TEST_CASE("the text of a dim reads back") {
    for (const char* text : {"0", "-B", "B", "2*B*T + 3", "B - 1", "((H + 1) // 2)",
                             "2*((H + 1) // 2) + B", "(H % 3)", "((2*(H // 2) + H) // 3)"}) {
        const std::optional<Dim> dim = parse_dim(text);
        REQUIRE(dim.has_value());
        const std::optional<Dim> again = parse_dim(dim->to_string());
        REQUIRE(again.has_value());
        CHECK(*again == *dim);
        CHECK(again->to_string() == dim->to_string());
    }
    for (const char* text : {"", "B +", "3 // 0", "B // T", "(B", "B)", "2B", "*"}) {
        INFO(text);
        CHECK(!parse_dim(text).has_value());
    }
}

TEST_CASE("huge dims saturate instead of wrapping") {
    const Dim big = Dim(std::int64_t{1} << 62);
    CHECK((big * big).value() == INT64_MAX);
    CHECK((big + big + big).value() == INT64_MAX);
}
