// links: ir backends
// Every formula of expand_functions against libm in long double: all exponents, many mantissas, special
// values.
#include <bit>
#include <random>

#include "formula.h"

using namespace netc;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

// Distance in units of the last place of the exact result; subnormal results count as zero.
double ulps(float got, long double exact) {
    if (std::isnan(exact)) return std::isnan(got) ? 0 : 1e30;
    const auto nearest = static_cast<float>(exact);
    if (std::isinf(nearest))
        return got == nearest || std::nextafter(nearest, 0.0f) == got ? 0 : 1e30;
    if (std::isnan(got) || std::isinf(got))
        return std::abs(nearest) == std::numeric_limits<float>::max() ? 1 : 1e30;
    constexpr float least = std::numeric_limits<float>::min();
    if (std::abs(nearest) < least) return std::abs(got) <= least ? 0 : 1e30;
    int exponent = 0;
    std::frexp(exact, &exponent);
    if (got == 0 && std::abs(exact) < 1.000001L * static_cast<long double>(least)) return 0;
    return static_cast<double>(std::abs(static_cast<long double>(got) - exact) /
                               std::ldexp(1.0L, exponent - 24));
}

template <class Exact>
void check(const char* name, ScalarOp op, Exact exact) {
    Function function(op);
    double worst = 0;
    float where = 0;
    const auto test = [&](float x) {
        const double error = ulps(function(x), exact(static_cast<long double>(flush(x))));
        if (error > worst) worst = error, where = x;
    };
    std::mt19937 random(1);
    for (std::uint32_t exponent = 0; exponent < 256; ++exponent) {
        // Most of the interest lies around 1.
        const int count = exponent > 110 && exponent < 140 ? 4000 : 300;
        for (int k = 0; k < count; ++k) {
            const std::uint32_t mantissa = k == 0 ? 0 : k == 1 ? 0x7FFFFF : random() & 0x7FFFFF;
            for (std::uint32_t sign : {0u, 1u}) {
                test(std::bit_cast<float>(sign << 31 | exponent << 23 | mantissa));
            }
        }
    }
    for (float x : {88.72283f, 88.72284f, 88.73f, -87.33654f, -87.33655f, -103.0f, 1.0f, -1.0f,
                    0.0f, -0.0f, kInf, -kInf, std::nanf(""), 1.5707964f, 3.1415927f, 0.33333334f}) {
        test(x);
    }
    std::printf("%-6s %.3f ulp at %.9g, %zu nodes\n", name, worst, double{where},
                function.graph.size());
    CHECK(worst <= 2);
}

}  // namespace

TEST_CASE("functions of one f32") {
    using Real = long double;
    check("exp", ScalarOp::exp, [](Real x) { return std::exp(x); });
    check("expm1", ScalarOp::expm1, [](Real x) { return std::expm1(x); });
    check("log", ScalarOp::log, [](Real x) { return std::log(x); });
    check("log1p", ScalarOp::log1p, [](Real x) { return std::log1p(x); });
    check("tanh", ScalarOp::tanh, [](Real x) { return std::tanh(x); });
    check("erf", ScalarOp::erf, [](Real x) { return std::erf(x); });
    check("sin", ScalarOp::sin, [](Real x) { return std::sin(x); });
    check("cos", ScalarOp::cos, [](Real x) { return std::cos(x); });
}

TEST_CASE("saturation and signs") {
    CHECK(Function(ScalarOp::tanh)(9.5f) == 1);
    CHECK(Function(ScalarOp::tanh)(-40.0f) == -1);
    CHECK(Function(ScalarOp::tanh)(kInf) == 1);
    CHECK(Function(ScalarOp::erf)(-kInf) == -1);
    CHECK(std::signbit(Function(ScalarOp::tanh)(-0.0f)));
    CHECK(Function(ScalarOp::exp)(-kInf) == 0);
    CHECK(Function(ScalarOp::exp)(0) == 1);
    CHECK(Function(ScalarOp::log)(1) == 0);
}

TEST_CASE("pow of two f32") {
    Function function(ScalarOp::pow);
    std::mt19937 random(2);
    double worst = 0;
    const auto test = [&](float x, float y) {
        const long double exact =
            std::pow(static_cast<long double>(flush(x)), static_cast<long double>(flush(y)));
        const double error = ulps(function(x, y), exact);
        INFO(x << " to the power of " << y << " is " << function(x, y));
        if (error > 2) CHECK(error <= 2);
        worst = std::max(worst, error);
    };
    std::uniform_real_distribution<float> base(0, 4), exponent(-20, 20), near_one(0.9f, 1.1f);
    for (int k = 0; k < 100000; ++k) {
        test(base(random), exponent(random));
        test(near_one(random), exponent(random) * 40);
    }
    const float special[] = {0.0f,  -0.0f,  1.0f,   -1.0f, 2.0f,  -2.0f,
                             0.5f,  -0.5f,  3.0f,   -3.0f, 2.5f,  -2.5f,
                             1e30f, -1e30f, 1e-30f, kInf,  -kInf, std::nanf("")};
    for (float x : special) {
        for (float y : special) test(x, y);
    }
    std::printf("pow    %.3f ulp, %zu nodes\n", worst, function.graph.size());
}
