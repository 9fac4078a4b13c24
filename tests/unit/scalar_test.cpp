// links: ir
#include <catch2/catch.hpp>

#include <cmath>

#include "ir/scalar.h"

using namespace netc;

TEST_CASE("the same node is there once") {
    ScalarGraph graph;
    const ScalarId x = graph.state(0, DType::f32);
    CHECK(graph.state(0, DType::f32) == x);
    CHECK(graph.state(0, DType::f64) != x);
    CHECK(graph.number(0.0) != graph.number(-0.0));
    CHECK(graph.binary(ScalarOp::add, x, x) == graph.binary(ScalarOp::add, x, x));
    for (int k = 0; k < 1000; ++k) graph.binary(ScalarOp::add, x, graph.number(k));
    const std::size_t size = graph.size();
    for (int k = 0; k < 1000; ++k) graph.binary(ScalarOp::add, x, graph.number(k));
    CHECK(graph.size() == size);
}

TEST_CASE("what is exact folds") {
    ScalarGraph graph;
    const ScalarId x = graph.state(0, DType::f32);
    const auto number = [&](double value) { return graph.number(value); };
    CHECK(graph.binary(ScalarOp::mul, x, number(1)) == x);
    CHECK(graph.binary(ScalarOp::add, x, number(-0.0)) == x);
    CHECK(graph.binary(ScalarOp::add, x, number(0.0)) != x);
    CHECK(graph[graph.binary(ScalarOp::mul, x, number(0))].op == ScalarOp::mul);
    CHECK(graph.binary(ScalarOp::div, x, number(4)) ==
          graph.binary(ScalarOp::mul, x, number(0.25)));
    CHECK(graph[graph.binary(ScalarOp::div, x, number(3))].op == ScalarOp::div);
    CHECK(graph.binary(ScalarOp::add, number(0.1), number(0.2)) == number(double{0.1f + 0.2f}));
    CHECK(graph.fma(number(3), number(4), number(5)) == number(17));
    CHECK(graph.unary(ScalarOp::neg, graph.unary(ScalarOp::neg, x)) == x);
    CHECK(graph.binary(ScalarOp::less, number(1), number(2)) == graph.integer(1, DType::b1));
    CHECK(graph.select(graph.integer(1, DType::b1), x, number(2)) == x);
    CHECK(graph.binary(ScalarOp::add, graph.integer(INT32_MAX, DType::i32),
                       graph.integer(1, DType::i32)) == graph.integer(INT32_MIN, DType::i32));
    CHECK(graph.cast(graph.integer(7), DType::f32) == number(7));
    CHECK(graph.bitcast(number(1), DType::i32) == graph.integer(0x3f800000, DType::i32));
}

TEST_CASE("what the target computes otherwise does not fold") {
    ScalarGraph graph;
    const auto constant = [&](ScalarId id) { return graph[id].op == ScalarOp::constant; };
    // Subnormal on the way, NaN.
    CHECK_FALSE(constant(graph.binary(ScalarOp::mul, graph.number(1e-30), graph.number(1e-10))));
    CHECK_FALSE(constant(graph.binary(ScalarOp::div, graph.number(0), graph.number(0))));
    CHECK_FALSE(constant(graph.unary(ScalarOp::exp, graph.number(1))));
}

TEST_CASE("types") {
    ScalarGraph graph;
    const ScalarId x = graph.state(0, DType::f32), n = graph.state(1, DType::i32);
    CHECK(type_error(graph, graph.binary(ScalarOp::add, x, x)).empty());
    CHECK_FALSE(type_error(graph, graph.binary(ScalarOp::add, x, n)).empty());
    CHECK_FALSE(type_error(graph, graph.unary(ScalarOp::exp, n)).empty());
    CHECK_FALSE(type_error(graph, graph.fma(x, x, n)).empty());
}
