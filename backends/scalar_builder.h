// Formulas over a ScalarGraph, written as they are read. Private to the expansion of functions.
#pragma once

#include <span>
#include <vector>

#include "ir/scalar.h"

namespace netc {

struct Formula {
    ScalarGraph& graph;
    std::vector<std::vector<double>>& tables;

    ScalarId number(double x, DType type = DType::f32) { return graph.number(x, type); }
    ScalarId integer(std::int64_t x, DType type = DType::i32) { return graph.integer(x, type); }
    ScalarId like(ScalarId a, double x) { return graph.number(x, graph.type(a)); }

    ScalarId add(ScalarId a, ScalarId b) { return graph.binary(ScalarOp::add, a, b); }
    ScalarId neg(ScalarId a) { return graph.unary(ScalarOp::neg, a); }
    ScalarId sub(ScalarId a, ScalarId b) { return add(a, neg(b)); }
    ScalarId mul(ScalarId a, ScalarId b) { return graph.binary(ScalarOp::mul, a, b); }
    ScalarId div(ScalarId a, ScalarId b) { return graph.binary(ScalarOp::div, a, b); }
    ScalarId fma(ScalarId a, ScalarId b, ScalarId c) { return graph.fma(a, b, c); }
    ScalarId abs(ScalarId a) { return graph.unary(ScalarOp::abs, a); }
    ScalarId add(ScalarId a, double b) { return add(a, like(a, b)); }
    ScalarId mul(ScalarId a, double b) { return mul(a, like(a, b)); }
    ScalarId fma(ScalarId a, double b, ScalarId c) { return fma(a, like(a, b), c); }
    ScalarId fma(ScalarId a, ScalarId b, double c) { return fma(a, b, like(a, c)); }

    ScalarId less(ScalarId a, ScalarId b) { return graph.binary(ScalarOp::less, a, b); }
    ScalarId less(ScalarId a, double b) { return less(a, like(a, b)); }
    ScalarId less(double a, ScalarId b) { return less(like(b, a), b); }
    ScalarId equal(ScalarId a, ScalarId b) { return graph.binary(ScalarOp::equal, a, b); }
    ScalarId equal(ScalarId a, double b) { return equal(a, like(a, b)); }
    ScalarId both(ScalarId a, ScalarId b) { return graph.binary(ScalarOp::logical_and, a, b); }
    ScalarId either(ScalarId a, ScalarId b) { return graph.binary(ScalarOp::logical_or, a, b); }
    ScalarId no(ScalarId a) { return graph.unary(ScalarOp::logical_not, a); }
    ScalarId select(ScalarId c, ScalarId a, ScalarId b) { return graph.select(c, a, b); }
    // One instruction on x86; a NaN stays.
    ScalarId at_most(ScalarId a, double limit) { return select(less(limit, a), like(a, limit), a); }
    ScalarId at_least(ScalarId a, double limit) {
        return select(less(a, limit), like(a, limit), a);
    }

    ScalarId bits(ScalarId a) {
        return graph.bitcast(a, graph.type(a) == DType::f64 ? DType::i64 : DType::i32);
    }
    ScalarId from_bits(ScalarId a) {
        return graph.bitcast(a, graph.type(a) == DType::i64 ? DType::f64 : DType::f32);
    }
    ScalarId op(ScalarOp op, ScalarId a, std::int64_t b) {
        return graph.binary(op, a, graph.integer(b, graph.type(a)));
    }
    ScalarId shift_left(ScalarId a, std::int64_t by) { return op(ScalarOp::shift_left, a, by); }
    ScalarId shift_right(ScalarId a, std::int64_t by) { return op(ScalarOp::shift_right, a, by); }
    ScalarId bit_and(ScalarId a, std::int64_t mask) { return op(ScalarOp::bit_and, a, mask); }
    ScalarId integer_add(ScalarId a, std::int64_t b) { return op(ScalarOp::add, a, b); }

    ScalarId lookup(std::span<const double> constants, ScalarId index) {
        const std::vector<double> wanted(constants.begin(), constants.end());
        std::size_t number = 0;
        while (number < tables.size() && tables[number] != wanted) ++number;
        if (number == tables.size()) tables.push_back(wanted);
        return graph.add_node({.op = ScalarOp::lookup,
                               .type = DType::f32,
                               .operands = {index},
                               .integer = static_cast<std::int64_t>(number)});
    }
    // Horner: constants[0] + x * (constants[1] + ...)
    ScalarId polynomial(ScalarId x, std::span<const double> constants) {
        ScalarId result = like(x, constants.back());
        for (std::size_t k = constants.size() - 1; k-- > 0;) result = fma(result, x, constants[k]);
        return result;
    }
};

}  // namespace netc
