// Scalar expressions of a kernel: a hash-consed DAG of typed operations on single elements.
//
// The meaning is per element; a schedule decides which of them become vectors. Rounding: every
// operation rounds once to its type; `fma` is the only fused one and appears only where lowering put
// it. Transcendental functions (exp .. pow) are expanded to fixed polynomials over fma, the same for
// all targets, before code is emitted; the interpreter evaluates them in double precision.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ir/dtype.h"
#include "ir/index.h"

namespace netc {

enum class ScalarOp : std::uint8_t {
    // leaves
    constant,  // value in `number` (floats) or `integer`
    read,      // element of a param or local: Kernel::reads[integer]
    state,  // k-th state of the reduction of this stage (inside step: before; in stores: finished)
    other,  // k-th state of the right side, inside merge only
    index,  // the Index `Kernel::indices[integer]` as a number of an integer type
    batch,  // B as i64
    // arithmetic on floats; neg abs add mul max min also on integers (wrapping)
    // max(a, b) is a where a > b or a is NaN, else b; so NaN propagates. min alike with <.
    neg,
    abs,
    add,
    mul,
    div,
    max,
    min,
    sqrt,
    floor,
    fma,  // fma(a, b, c) = a*b + c rounded once
    // functions of floats
    exp,
    expm1,
    log,
    log1p,
    sin,
    cos,
    tanh,
    erf,
    pow,
    // comparison of equal types -> b1; logic on b1
    equal,
    less,
    less_equal,
    logical_and,
    logical_or,
    logical_not,
    select,  // select(condition, a, b)
    cast,    // to `type`; float to int truncates toward zero, saturates, NaN is 0
    // bits of integers
    bit_and,
    bit_or,
    bit_xor,
    shift_left,
    shift_right,  // shift_right is logical
    bitcast,      // same size: f32 <-> i32, f64 <-> i64
    lookup,       // lookup(index): Kernel::tables[integer][index], index in 0..31
    philox,  // philox(key: i64, counter_low: i64, counter_high: i64) -> i32, word `integer` (0..3)
};

using ScalarId = std::uint32_t;
inline constexpr ScalarId kNoScalar = UINT32_MAX;

struct Scalar {
    ScalarOp op = ScalarOp::constant;
    DType type = DType::f32;
    std::vector<ScalarId> operands;
    double number = 0;         // constant of a float type
    std::int64_t integer = 0;  // constant of an integer type or b1, or what the op says
};

// The DAG. Builders fold constants only where the folded value is exactly what the target computes
// (+ - * / sqrt fma, comparisons, select, casts); x*1 and x+(-0.0) are folded, x*0 is not.
class ScalarGraph {
public:
    const Scalar& operator[](ScalarId id) const { return nodes_[id]; }
    std::size_t size() const { return nodes_.size(); }

    ScalarId add_node(Scalar scalar);  // the same node again gives the same id

    ScalarId number(double value, DType type = DType::f32);
    ScalarId integer(std::int64_t value, DType type = DType::i64);
    ScalarId unary(ScalarOp op, ScalarId a);
    ScalarId binary(ScalarOp op, ScalarId a, ScalarId b);
    ScalarId fma(ScalarId a, ScalarId b, ScalarId c);
    ScalarId select(ScalarId condition, ScalarId a, ScalarId b);
    ScalarId cast(ScalarId a, DType type);
    ScalarId bitcast(ScalarId a, DType type);
    ScalarId state(std::int64_t k, DType type);
    ScalarId other(std::int64_t k, DType type);
    ScalarId philox(ScalarId key, ScalarId counter_low, ScalarId counter_high, std::int64_t word);

    DType type(ScalarId id) const { return nodes_[id].type; }

private:
    ScalarId fold(Scalar scalar);  // the node, or what it is equal to
    void grow();

    std::vector<Scalar> nodes_;
    std::vector<ScalarId> slots_;  // open addressing by hash; kNoScalar is free
};

// What is wrong with the types and the number of operands of a node; empty where nothing is.
std::string type_error(const ScalarGraph& graph, ScalarId id);

// Names of operators as they stand in kernel text; arity of each.
const char* name_of(ScalarOp op);
int arity_of(ScalarOp op);

}  // namespace netc
