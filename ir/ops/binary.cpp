// Elementwise operators with two operands of equal type. Broadcasting is an operator of its own.
#include "ir/ops/common.h"

namespace netc {
namespace {

using namespace ops;

Value zero_like(Value like) {
    return like.builder->constant(0, like.type().dtype, like.type().shape);
}

// The operand that `first_wins` names takes all of dy, the second one where they are equal.
void grad_of_choice(GradBuilder& g, Value first_wins) {
    const Value zero = zero_like(g.dy());
    if (g.needs(0)) g.add(0, g.graph().select(first_wins, g.dy(), zero));
    if (g.needs(1)) g.add(1, g.graph().select(first_wins, zero, g.dy()));
}

void grad_of_pow(GradBuilder& g) {
    GraphBuilder& graph = g.graph();
    const Value a = g.x(0);
    const Value b = g.x(1);
    const Value zero = zero_like(a);
    if (g.needs(0)) {
        // b * a^(b-1), and 0 for b == 0 even where a^(-1) is infinite.
        const Value slope = b * graph.binary(OpId::pow, a, b - 1);
        g.add(0, g.dy() * graph.select(graph.binary(OpId::equal, b, zero), zero, slope));
    }
    if (g.needs(1)) {
        // y * log a, and 0 at 0^b with b >= 0, where it is 0 * -infinity.
        const Value flat = graph.binary(OpId::logical_and, graph.binary(OpId::equal, a, zero),
                                        graph.binary(OpId::less_equal, zero, b));
        g.add(1, g.dy() * graph.select(flat, zero, g.y() * graph.unary(OpId::log, a)));
    }
}

// a + (-b): the same bits.
ScalarId lower_sub(Lowering& lowering) {
    ScalarGraph& s = lowering.scalars();
    const ScalarId a = lowering.read(0, lowering.out());
    const ScalarId b = lowering.read(1, lowering.out());
    return s.binary(ScalarOp::add, a, s.unary(ScalarOp::neg, b));
}

std::vector<Sample> samples_between(double low, double high) {
    std::vector<Sample> samples;
    for (const Shape& shape : {Shape{batch(), 7}, Shape{3, 1, 5}, Shape{33}, Shape{}}) {
        samples.push_back({{real(shape), real(shape)}, {}, low, high});
    }
    const Type wide{DType::f64, {batch(), 3}};
    samples.push_back({{wide, wide}, {}, low, high});
    return samples;
}
std::vector<Sample> number_samples() {
    std::vector<Sample> samples = samples_between(-2, 2);
    // Few different integers: many ties.
    samples.push_back({{ints({batch(), 5}), ints({batch(), 5})}, {}, -2, 2, 3});
    return samples;
}
std::vector<Sample> positive_samples() { return samples_between(0.1, 4); }

}  // namespace

constexpr OpDef kAdd{
    .name = "add",
    .doc = "a + b",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = infer_elementwise<number_dtype>,
    .grad =
        [](GradBuilder& g) {
            if (g.needs(0)) g.add(0, g.dy());
            if (g.needs(1)) g.add(1, g.dy());
        },
    .lower = lower_binary<ScalarOp::add>,
    .samples = number_samples,
    .commutative = true,
};

constexpr OpDef kSub{
    .name = "sub",
    .doc = "a - b",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = infer_elementwise<number_dtype>,
    .grad =
        [](GradBuilder& g) {
            if (g.needs(0)) g.add(0, g.dy());
            if (g.needs(1)) g.add(1, -g.dy());
        },
    .lower = lower_sub,
    .samples = number_samples,
};

constexpr OpDef kMul{
    .name = "mul",
    .doc = "a * b",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = infer_elementwise<number_dtype>,
    .grad =
        [](GradBuilder& g) {
            if (g.needs(0)) g.add(0, g.dy() * g.x(1));
            if (g.needs(1)) g.add(1, g.dy() * g.x(0));
        },
    .lower = lower_binary<ScalarOp::mul>,
    .samples = number_samples,
    .commutative = true,
};

constexpr OpDef kDiv{
    .name = "div",
    .doc = "a / b, floating point",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = infer_elementwise<float_dtype>,
    .grad =
        [](GradBuilder& g) {
            if (g.needs(0)) g.add(0, g.dy() / g.x(1));
            if (g.needs(1)) g.add(1, -(g.dy() * g.y()) / g.x(1));
        },
    .lower = lower_binary<ScalarOp::div>,
    .samples = positive_samples,
};

constexpr OpDef kPow{
    .name = "pow",
    .doc = "a to the power of b",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = infer_elementwise<float_dtype>,
    .grad = grad_of_pow,
    .lower = lower_binary<ScalarOp::pow>,
    .samples = positive_samples,
};

constexpr OpDef kMax{
    .name = "max",
    .doc = "the greater of a and b; NaN if one is NaN; the gradient of equals goes to b",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = infer_elementwise<number_dtype>,
    // a > b where the result is: that is kept in any case where an activation feeds a product.
    .grad = [](GradBuilder& g) { grad_of_choice(g, g.graph().binary(OpId::less, g.x(1), g.y())); },
    .lower = lower_binary<ScalarOp::max>,
    .samples = number_samples,
};

constexpr OpDef kMin{
    .name = "min",
    .doc = "the lesser of a and b; NaN if one is NaN; the gradient of equals goes to b",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = infer_elementwise<number_dtype>,
    .grad = [](GradBuilder& g) { grad_of_choice(g, g.graph().binary(OpId::less, g.y(), g.x(1))); },
    .lower = lower_binary<ScalarOp::min>,
    .samples = number_samples,
};

}  // namespace netc
