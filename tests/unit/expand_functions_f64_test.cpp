// links: ir backends
// The formulas of f64 against libm in long double: all exponents, random mantissas, special values, and
// what is hardest for a function: next to multiples of a quarter turn, next to 1, next to overflow.
#include <bit>
#include <numbers>
#include <random>

#include <fmt/format.h>

#include "formula.h"

using namespace netc;

namespace {

using Real = long double;
using Limits = std::numeric_limits<double>;
static_assert(std::numeric_limits<Real>::digits >= 64, "a reference has more digits than f64");

constexpr double kInf = Limits::infinity();
constexpr double kSpecial[] = {0.0,
                               -0.0,
                               1.0,
                               -1.0,
                               2.0,
                               -2.0,
                               0.5,
                               -0.5,
                               3.0,
                               -3.0,
                               2.5,
                               -2.5,
                               1e300,
                               1e-300,
                               kInf,
                               -kInf,
                               Limits::quiet_NaN(),
                               Limits::min(),
                               -Limits::min(),
                               Limits::denorm_min(),
                               -Limits::denorm_min(),
                               Limits::max(),
                               -Limits::max(),
                               0x1.fffffffffffffp-1,
                               0x1.0000000000001p+0};

// Distance in units of the last place of the exact result.
double ulps(double got, Real exact) {
    if (std::isnan(exact)) return std::isnan(got) ? 0 : 1e30;
    const auto nearest = static_cast<double>(exact);
    if (std::isinf(nearest)) {
        return got == nearest || std::nextafter(nearest, 0.0) == got ? 0 : 1e30;
    }
    if (std::isinf(got)) return std::abs(nearest) == Limits::max() ? 1 : 1e30;
    if (std::isnan(got)) return 1e30;
    int exponent = 0;
    std::frexp(exact, &exponent);
    const int last = std::max(exponent - Limits::digits, Limits::min_exponent - Limits::digits);
    return static_cast<double>(std::abs(static_cast<Real>(got) - exact) /
                               std::ldexp(Real{1}, last));
}

struct Entry {
    const char* name;
    ScalarOp op;
    Real (*exact)(Real);
    std::vector<double> hard;  // each and its neighbours
};

std::vector<double> quarter_turns() {
    std::vector<double> result;
    for (int k = 1; k < 2000; ++k) {
        result.push_back(static_cast<double>(k * std::numbers::pi_v<Real> / 2));
        result.push_back(std::ldexp(static_cast<double>(std::numbers::pi_v<Real>), k % 1000));
    }
    // The double that comes nearest to a multiple of a quarter turn (Kahan).
    result.push_back(0x1.6ac5b262ca1ffp+849);
    return result;
}

const Entry kEntries[] = {
    {"exp",
     ScalarOp::exp,
     [](Real x) { return std::exp(x); },
     {709.782712893384, -708.3964185322641, -745.1332191019412, -700, -1e4, 1e4}},
    {"expm1",
     ScalarOp::expm1,
     [](Real x) { return std::expm1(x); },
     {709.782712893384, 0.34657359027997264, -0.34657359027997264, -36.7368005696771, -37.4}},
    {"log", ScalarOp::log, [](Real x) { return std::log(x); }, {1, 2.0 / 3, 4.0 / 3, 1e-310}},
    {"log1p", ScalarOp::log1p, [](Real x) { return std::log1p(x); }, {-1, 1, 1.0 / 3, -1.0 / 3}},
    {"sin", ScalarOp::sin, [](Real x) { return std::sin(x); }, quarter_turns()},
    {"cos", ScalarOp::cos, [](Real x) { return std::cos(x); }, quarter_turns()},
    {"tanh", ScalarOp::tanh, [](Real x) { return std::tanh(x); }, {19.0615, 22, 0.1732867951}},
    {"erf", ScalarOp::erf, [](Real x) { return std::erf(x); }, {1, 6, 5.921587195794507}},
};

}  // namespace

TEST_CASE("functions of one f64") {
    for (const Entry& entry : kEntries) {
        Function function(entry.op, DType::f64);
        double worst = 0, where = 0;
        const auto test = [&](double x) {
            const double error = ulps(function.in_f64(x), entry.exact(static_cast<Real>(x)));
            if (!(error <= worst)) worst = error, where = x;
        };
        std::mt19937_64 random(4);
        for (std::uint64_t exponent = 0; exponent < 2048; ++exponent) {
            // Most of the interest lies around 1.
            const int count = exponent > 1000 && exponent < 1040 ? 2000 : 20;
            for (int k = 0; k < count; ++k) {
                const std::uint64_t all = (std::uint64_t{1} << 52) - 1;
                const std::uint64_t mantissa = k == 0 ? 0 : k == 1 ? all : random() & all;
                const auto x = std::bit_cast<double>(exponent << 52 | mantissa);
                test(x);
                test(-x);
            }
        }
        for (double x : kSpecial) test(x);
        for (double x : entry.hard) {
            for (double each : {std::nextafter(x, -kInf), x, std::nextafter(x, kInf)}) {
                test(each);
                test(-each);
            }
        }
        std::printf("%-6s %.3f ulp at %.17g, %zu nodes\n", entry.name, worst, where,
                    function.graph.size());
        INFO(entry.name << " of " << where << " is " << function.in_f64(where));
        CHECK(worst <= 2);
    }
}

TEST_CASE("pow of two f64") {
    Function function(ScalarOp::pow, DType::f64);
    double worst = 0;
    const auto test = [&](double x, double y) {
        const Real exact = std::pow(static_cast<Real>(x), static_cast<Real>(y));
        const double error = ulps(function.in_f64(x, y), exact);
        INFO(fmt::format("{} to the power of {} is {}, not {}", x, y, function.in_f64(x, y),
                         static_cast<double>(exact)));
        if (!(error <= 2)) CHECK(error <= 2);
        worst = std::max(worst, error);
    };
    std::mt19937_64 random(2);
    std::uniform_real_distribution<double> base(0, 4), exponent(-200, 200), near_one(0.99, 1.01),
        wide(-1074, 1024), unit(-1, 1);
    for (int k = 0; k < 40000; ++k) {
        test(base(random), exponent(random));
        test(near_one(random), exponent(random) * 400);
        test(std::exp2(wide(random)), unit(random));
        test(-base(random), std::floor(exponent(random)));
        // Results next to the limits of the format.
        const double x = base(random);
        test(x, (708 + 2 * unit(random)) / std::log(x));
        test(x, -(720 + 24 * unit(random)) / std::log(x));
    }
    for (double x : kSpecial) {
        for (double y : kSpecial) test(x, y);
    }
    std::printf("pow    %.3f ulp, %zu nodes\n", worst, function.graph.size());
}

TEST_CASE("signs of zero and saturation in f64") {
    for (ScalarOp op : {ScalarOp::tanh, ScalarOp::erf}) {
        CHECK(std::signbit(Function(op, DType::f64).in_f64(-0.0)));
        CHECK_FALSE(std::signbit(Function(op, DType::f64).in_f64(0.0)));
    }
    CHECK(Function(ScalarOp::tanh, DType::f64).in_f64(kInf) == 1);
    CHECK(Function(ScalarOp::erf, DType::f64).in_f64(-kInf) == -1);
    CHECK(Function(ScalarOp::exp, DType::f64).in_f64(-kInf) == 0);
}
