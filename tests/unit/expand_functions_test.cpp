// links: ir backends
// Every formula of expand_functions against libm in long double: all exponents, many mantissas, special
// values. Evaluated as the target does: single precision, fused multiply-add, subnormals are zero.
#include <catch2/catch.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "backends/expand_functions.h"

using namespace netc;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

union Number {
    float f32;
    double f64;
    std::int32_t i32;
    std::int64_t i64;
};

float flush(float x) {
    return std::abs(x) < std::numeric_limits<float>::min() ? std::copysign(0.0f, x) : x;
}

template <class T, class Flush>
T arithmetic(ScalarOp op, T a, T b, T c, Flush flushed) {
    a = flushed(a), b = flushed(b), c = flushed(c);
    switch (op) {
        case ScalarOp::add: return flushed(a + b);
        case ScalarOp::mul: return flushed(a * b);
        case ScalarOp::div: return flushed(a / b);
        case ScalarOp::floor: return std::floor(a);
        default: return flushed(std::fma(a, b, c));
    }
}

template <class T>
bool compare(ScalarOp op, T a, T b) {
    return op == ScalarOp::equal ? a == b : op == ScalarOp::less ? a < b : a <= b;
}

std::int32_t integers(ScalarOp op, std::int32_t a, std::int32_t b) {
    const auto ua = static_cast<std::uint32_t>(a), ub = static_cast<std::uint32_t>(b);
    switch (op) {
        case ScalarOp::add: return static_cast<std::int32_t>(ua + ub);
        case ScalarOp::neg: return static_cast<std::int32_t>(0 - ua);
        case ScalarOp::max: return a > b ? a : b;
        case ScalarOp::bit_and: return a & b;
        case ScalarOp::bit_or: return a | b;
        case ScalarOp::bit_xor: return a ^ b;
        case ScalarOp::shift_left: return static_cast<std::int32_t>(ua << ub);
        default: return static_cast<std::int32_t>(ua >> ub);
    }
}

std::int64_t integers64(ScalarOp op, std::int64_t a, std::int64_t b) {
    const auto ua = static_cast<std::uint64_t>(a), ub = static_cast<std::uint64_t>(b);
    switch (op) {
        case ScalarOp::add: return static_cast<std::int64_t>(ua + ub);
        case ScalarOp::neg: return static_cast<std::int64_t>(0 - ua);
        case ScalarOp::max: return a > b ? a : b;
        case ScalarOp::bit_and: return a & b;
        case ScalarOp::bit_or: return a | b;
        case ScalarOp::bit_xor: return a ^ b;
        case ScalarOp::shift_left: return static_cast<std::int64_t>(ua << ub);
        default: return static_cast<std::int64_t>(ua >> ub);
    }
}

struct Function {
    explicit Function(ScalarOp op, DType type = DType::f32) {
        const ScalarId x = graph.state(0, type), y = graph.state(1, type);
        const ScalarId operands[] = {x, y};
        root = expand_function(graph, tables, op, operands);
        for (ScalarId id = 0; id < graph.size(); ++id) {
            INFO(type_error(graph, id));
            REQUIRE(type_error(graph, id).empty());
            REQUIRE_FALSE(is_function(graph[id].op));
        }
        values.resize(graph.size());
    }

    float operator()(float x, float y = 0) {
        for (ScalarId id = 0; id < graph.size(); ++id) values[id] = evaluate(graph[id], x, y);
        return values[root].f32;
    }

    double in_f64(double x) {
        for (ScalarId id = 0; id < graph.size(); ++id) {
            values[id] = evaluate(graph[id], 0, 0);
            if (graph[id].op == ScalarOp::state) values[id].f64 = x;
        }
        return values[root].f64;
    }

    Number evaluate(const Scalar& s, float x, float y) {
        const auto in = [&](std::size_t k) {
            return k < s.operands.size() ? values[s.operands[k]] : Number{.i64 = 0};
        };
        const Number a = in(0), b = in(1), c = in(2);
        const DType from = s.operands.empty() ? s.type : graph.type(s.operands[0]);
        const auto same = [](double v) { return v; };
        Number r{.i64 = 0};
        switch (s.op) {
            case ScalarOp::constant:
                if (s.type == DType::f32)
                    r.f32 = static_cast<float>(s.number);
                else if (s.type == DType::f64)
                    r.f64 = s.number;
                else if (s.type == DType::i64)
                    r.i64 = s.integer;
                else
                    r.i32 = static_cast<std::int32_t>(s.integer);
                return r;
            case ScalarOp::state: r.f32 = s.integer == 0 ? x : y; return r;
            case ScalarOp::logical_and: r.i32 = a.i32 & b.i32; return r;
            case ScalarOp::logical_or: r.i32 = a.i32 | b.i32; return r;
            case ScalarOp::logical_not: r.i32 = a.i32 == 0; return r;
            case ScalarOp::select: return a.i32 != 0 ? b : c;
            case ScalarOp::bitcast: return a;
            case ScalarOp::lookup:
                if (a.i32 < 0 || a.i32 > 31) FAIL("a lookup outside of its table");
                r.f32 = static_cast<float>(
                    tables[static_cast<std::size_t>(s.integer)][static_cast<std::size_t>(a.i32)]);
                return r;
            case ScalarOp::cast:
                if (s.type == DType::f64)
                    r.f64 = from == DType::f32   ? double{flush(a.f32)}
                            : from == DType::i64 ? static_cast<double>(a.i64)
                                                 : double{static_cast<double>(a.i32)};
                else if (s.type == DType::f32)
                    r.f32 = from == DType::f64 ? flush(static_cast<float>(a.f64))
                                               : static_cast<float>(a.i32);
                else
                    r.i32 = static_cast<std::int32_t>(a.i64);
                return r;
            case ScalarOp::equal:
            case ScalarOp::less:
            case ScalarOp::less_equal:
                r.i32 = from == DType::f32   ? compare(s.op, flush(a.f32), flush(b.f32))
                        : from == DType::f64 ? compare(s.op, a.f64, b.f64)
                        : from == DType::i64 ? compare(s.op, a.i64, b.i64)
                                             : compare(s.op, a.i32, b.i32);
                return r;
            default: break;
        }
        if (s.type == DType::f32) {
            r.f32 = s.op == ScalarOp::neg   ? -a.f32
                    : s.op == ScalarOp::abs ? std::abs(a.f32)
                                            : arithmetic(s.op, a.f32, b.f32, c.f32, flush);
        } else if (s.type == DType::f64) {
            r.f64 = s.op == ScalarOp::neg   ? -a.f64
                    : s.op == ScalarOp::abs ? std::abs(a.f64)
                                            : arithmetic(s.op, a.f64, b.f64, c.f64, same);
        } else if (s.type == DType::i64) {
            r.i64 = integers64(s.op, a.i64, b.i64);
        } else {
            r.i32 = integers(s.op, a.i32, b.i32);
        }
        return r;
    }

    ScalarGraph graph;
    std::vector<std::vector<double>> tables;
    std::vector<Number> values;
    ScalarId root = 0;
};

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

TEST_CASE("functions of one f64") {
    using Real = long double;
    std::mt19937_64 random(4);
    const auto test_all = [&](const char* name, ScalarOp op, int exponents, auto exact) {
        Function function(op, DType::f64);
        double worst = 0, where = 0;
        for (int k = 0; k < 60000; ++k) {
            const auto exponent =
                1023 - exponents +
                static_cast<std::int64_t>(random() % static_cast<unsigned>(2 * exponents));
            const auto bits = (random() & 0x800FFFFFFFFFFFFF) | static_cast<std::uint64_t>(exponent)
                                                                    << 52;
            const double x = std::bit_cast<double>(bits);
            const Real y = exact(static_cast<Real>(x));
            const double got = function.in_f64(x);
            if (std::isnan(y) || std::abs(y) > Real{std::numeric_limits<double>::max()}) {
                if (std::isnan(y))
                    CHECK(std::isnan(got));
                else
                    CHECK(got == static_cast<double>(y));
                continue;
            }
            if (std::abs(y) < Real{std::numeric_limits<double>::min()}) continue;
            int scale = 0;
            std::frexp(y, &scale);
            const auto error = static_cast<double>(std::abs(static_cast<Real>(got) - y) /
                                                   std::ldexp(Real{1}, scale - 53));
            if (!(error <= worst)) worst = error, where = x;
        }
        std::printf("%-6s f64 %.3f ulp at %.17g\n", name, worst, where);
        CHECK(worst <= 4);
        CHECK(std::isnan(function.in_f64(std::nan(""))));
    };
    test_all("exp", ScalarOp::exp, 12, [](Real x) { return std::exp(x); });
    test_all("expm1", ScalarOp::expm1, 12, [](Real x) { return std::expm1(x); });
    test_all("log", ScalarOp::log, 1000, [](Real x) { return std::log(x); });
    test_all("log", ScalarOp::log, 2, [](Real x) { return std::log(x); });
    test_all("log1p", ScalarOp::log1p, 50, [](Real x) { return std::log1p(x); });
    test_all("tanh", ScalarOp::tanh, 40, [](Real x) { return std::tanh(x); });
    test_all("sin", ScalarOp::sin, 20, [](Real x) { return std::sin(x); });
    test_all("cos", ScalarOp::cos, 20, [](Real x) { return std::cos(x); });
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
