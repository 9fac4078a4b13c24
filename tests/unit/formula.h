// Evaluates the formulas of expand_functions as the target does: each operation rounds once to its type,
// fused multiply-add, subnormals of f32 are zero.
#pragma once

#include <catch2/catch.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "backends/expand_functions.h"

namespace netc {

union Number {
    float f32;
    double f64;
    std::int32_t i32;
    std::int64_t i64;
};

inline float flush(float x) {
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

inline std::int32_t integers(ScalarOp op, std::int32_t a, std::int32_t b) {
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

inline std::int64_t integers64(ScalarOp op, std::int64_t a, std::int64_t b) {
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
        run({.f32 = x}, {.f32 = y});
        return values[root].f32;
    }

    double in_f64(double x, double y = 0) {
        run({.f64 = x}, {.f64 = y});
        return values[root].f64;
    }

    void run(Number x, Number y) {
        for (ScalarId id = 0; id < graph.size(); ++id) values[id] = evaluate(graph[id], x, y);
    }

    Number evaluate(const Scalar& s, Number x, Number y) {
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
            case ScalarOp::state: return s.integer == 0 ? x : y;
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

}  // namespace netc
