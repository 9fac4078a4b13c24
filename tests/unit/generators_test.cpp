// links: runtime
// Generated data: the same bits on every machine, in the shapes and dtypes that are asked for.
#include <catch2/catch.hpp>
#include <cmath>

#include "runtime/data/dataset.h"
#include "runtime/data/generators.h"

using namespace netc;

namespace {

Result<Dataset> make(SourceKind kind, std::int64_t count, std::optional<double> noise = {},
                     DType label = DType::i32, std::vector<std::int64_t> label_shape = {},
                     std::uint64_t seed = 0) {
    DataSource source;
    source.kind = kind;
    source.count = count;
    source.noise = noise;
    source.seed = seed;
    const std::int64_t inputs = kind == SourceKind::digits ? 784 : 2;
    const std::optional<std::int64_t> classes =
        label == DType::i32 ? std::optional<std::int64_t>(kind == SourceKind::digits ? 10 : 2)
                            : std::nullopt;
    return load(source,
                {{"x", DType::f32, {inputs}, FieldRole::input, {}},
                 {"y", label, std::move(label_shape), FieldRole::target, classes}},
                {});
}

}  // namespace

TEST_CASE("sine and cosine of turns are good to 1e-9") {
    for (double t = -3; t < 3; t += 0.001) {
        REQUIRE(std::abs(sin_turns(t) - std::sin(t * 6.283185307179586)) < 1e-9);
        REQUIRE(std::abs(cos_turns(t) - std::cos(t * 6.283185307179586)) < 1e-9);
    }
}

TEST_CASE("xor without noise is the truth table") {
    const auto data = make(SourceKind::xor_gate, 4, 0.0, DType::f32, {1});
    REQUIRE(data.ok());
    for (std::int64_t row = 0; row < 4; ++row) {
        const double a = element(data->fields[0], row, 0), b = element(data->fields[0], row, 1);
        CHECK(a == static_cast<double>(row / 2));
        CHECK(b == static_cast<double>(row % 2));
        CHECK(element(data->fields[1], row, 0) == (a != b ? 1 : 0));
    }
}

TEST_CASE("every generator gives these bits everywhere") {
    struct Case {
        SourceKind kind;
        const char* fingerprint;
    };
    const Case cases[] = {
        {SourceKind::xor_gate, "17a226b2a422fce1"}, {SourceKind::circles, "6cde859d87a4a93b"},
        {SourceKind::gauss, "cbf4e2c208b353e4"},    {SourceKind::spiral, "527f5ddd07e8c298"},
        {SourceKind::moons, "28eee56896fa7da2"},    {SourceKind::digits, "4e070332bfd1eaf7"},
    };
    for (const Case& c : cases) {
        const auto data = make(c.kind, 100);
        REQUIRE(data.ok());
        CHECK(data->rows == 100);
        CHECK(data->fingerprint == c.fingerprint);
        CHECK(make(c.kind, 100, {}, DType::i32, {}, 1)->fingerprint != data->fingerprint);
    }
}

TEST_CASE("a longer set begins with the shorter one") {
    const auto small = make(SourceKind::spiral, 10), large = make(SourceKind::spiral, 20);
    CHECK(std::equal(small->fields[0].values.begin(), small->fields[0].values.end(),
                     large->fields[0].values.begin()));
}

TEST_CASE("points lie where they belong") {
    const auto circles = make(SourceKind::circles, 200, 0.0);
    for (std::int64_t row = 0; row < 200; ++row) {
        const double x = element(circles->fields[0], row, 0),
                     y = element(circles->fields[0], row, 1);
        CHECK(std::sqrt(x * x + y * y) ==
              Approx(element(circles->fields[1], row, 0) == 1 ? 0.5 : 1.0));
    }
    // gauss is two clouds: the mean of each is near its centre.
    const auto gauss = make(SourceKind::gauss, 2000);
    double sum[2] = {};
    for (std::int64_t row = 0; row < 2000; ++row) {
        sum[static_cast<std::size_t>(element(gauss->fields[1], row, 0))] +=
            element(gauss->fields[0], row, 0);
    }
    CHECK(sum[0] / 1000 == Approx(-1).margin(0.06));
    CHECK(sum[1] / 1000 == Approx(1).margin(0.06));
}

TEST_CASE("digits are inked, of all classes, and one-hot where asked") {
    const auto digits = make(SourceKind::digits, 300);
    REQUIRE(digits.ok());
    for (const std::int64_t count : digits->fields[1].statistics.class_counts) CHECK(count > 10);
    for (std::int64_t row = 0; row < 300; ++row) {
        double ink = 0;
        for (std::int64_t i = 0; i < 784; ++i) {
            const double value = element(digits->fields[0], row, i);
            REQUIRE((value >= 0 && value <= 1));
            ink += value;
        }
        CHECK(ink > 20);
        CHECK(ink < 350);
    }
    const auto one_hot = make(SourceKind::digits, 5, {}, DType::f32, {10});
    REQUIRE(one_hot.ok());
    for (std::int64_t row = 0; row < 5; ++row) {
        const auto digit = static_cast<std::int64_t>(element(digits->fields[1], row, 0));
        for (std::int64_t i = 0; i < 10; ++i)
            CHECK(element(one_hot->fields[1], row, i) == (i == digit ? 1 : 0));
    }
}

TEST_CASE("a function is sampled over its ranges") {
    DataSource source;
    source.kind = SourceKind::function;
    source.count = 50;
    source.over = {{-2, 2}, {0, 1}};
    source.function = [](std::span<const double> x) -> Result<std::vector<double>> {
        return std::vector<double>{x[0] * x[0] + x[1]};
    };
    const std::vector<FieldRequest> wanted = {{"x", DType::f32, {2}, FieldRole::input, {}},
                                              {"y", DType::f64, {1}, FieldRole::target, {}}};
    const auto data = load(source, wanted, {});
    REQUIRE(data.ok());
    for (std::int64_t row = 0; row < 50; ++row) {
        const double a = element(data->fields[0], row, 0), b = element(data->fields[0], row, 1);
        CHECK((a >= -2 && a <= 2 && b >= 0 && b <= 1));
        CHECK(element(data->fields[1], row, 0) == a * a + b);
    }
    source.function = [](std::span<const double>) -> Result<std::vector<double>> {
        return Error{.message = "division by zero"};
    };
    CHECK(load(source, wanted, {}).error().message == "division by zero");
}

TEST_CASE("what a generator cannot make is explained") {
    DataSource source;
    source.kind = SourceKind::moons;
    const FieldRequest y{"y", DType::i32, {}, FieldRole::target, 2};
    const auto message = [&](FieldRequest request) {
        const auto data = load(source, {std::move(request), y}, {});
        return data.ok() ? std::string() : data.error().message;
    };
    CHECK(message({"x", DType::f32, {3}, FieldRole::input, {}}) ==
          "the generated `x` holds 2 real numbers per sample, but the program asks for 3 f32 "
          "numbers per sample");
    CHECK(message({"image", DType::f32, {2}, FieldRole::input, {}}) ==
          "the generator supplies `x` and `y`, not `image`");
    source.count = 0;
    CHECK(message({"x", DType::f32, {2}, FieldRole::input, {}}).find("not 0") != std::string::npos);
    source.count = 10;
    source.noise = -1;
    CHECK(message({"x", DType::f32, {2}, FieldRole::input, {}}).find("noise must be") == 0);
}
