// Elementwise operators with one operand. One record each; op_def.h says what the fields mean.
#include "ir/ops/common.h"

namespace netc {
namespace {

using namespace ops;

constexpr double kTwoOverSqrtPi = 1.1283791670955126;

Value apply(OpId op, Value x) { return x.builder->unary(op, x); }

ScalarId lower_copy(Lowering& lowering) { return lowering.read(0, lowering.out()); }

// Shapes with and without the batch, ones that fill no vector, and rank 0.
std::vector<Sample> samples_between(double low, double high) {
    std::vector<Sample> samples;
    for (const Shape& shape : {Shape{batch(), 7}, Shape{3, 1, 5}, Shape{33}, Shape{}}) {
        samples.push_back({{real(shape)}, {}, low, high});
    }
    samples.push_back({{Type{DType::f64, {batch(), 3}}}, {}, low, high});
    return samples;
}

template <int low, int high>
std::vector<Sample> samples() {
    return samples_between(low, high);
}
std::vector<Sample> positive_samples() { return samples_between(0.05, 20); }
std::vector<Sample> log1p_samples() { return samples_between(-0.95, 10); }
std::vector<Sample> number_samples() {
    std::vector<Sample> result = samples_between(-2, 2);
    result.push_back({{ints({batch(), 5})}, {}, -2, 2, 100});
    return result;
}
std::vector<Sample> copy_samples() {
    std::vector<Sample> result = number_samples();
    result.push_back({{Type{DType::b1, {batch(), 5}}}, {}, 0, 1, 2});
    return result;
}

}  // namespace

constexpr OpDef kNeg{
    .name = "neg",
    .doc = "-x",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_elementwise<number_dtype>,
    .grad = [](GradBuilder& g) { g.add(0, -g.dy()); },
    .lower = lower_unary<ScalarOp::neg>,
    .samples = number_samples,
};

constexpr OpDef kAbs{
    .name = "abs",
    .doc = "absolute value; its derivative at 0 is 0",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_elementwise<number_dtype>,
    .grad =
        [](GradBuilder& g) {
            const Type type = g.x().type();
            const Value zero = g.graph().constant(0, type.dtype, type.shape);
            const Value negative = g.graph().binary(OpId::less, g.x(), zero);
            const Value positive = g.graph().binary(OpId::less, zero, g.x());
            const Value below = g.graph().select(negative, -g.dy(), zero);
            g.add(0, g.graph().select(positive, g.dy(), below));
        },
    .lower = lower_unary<ScalarOp::abs>,
    .samples = number_samples,
};

constexpr OpDef kExp{
    .name = "exp",
    .doc = "e to the power of x",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_elementwise<float_dtype>,
    .grad = [](GradBuilder& g) { g.add(0, g.dy() * g.y()); },
    .lower = lower_unary<ScalarOp::exp>,
    .samples = samples<-10, 5>,
    .monotone_increasing = true,
};

constexpr OpDef kExpm1{
    .name = "expm1",
    .doc = "exp(x) - 1, exact near 0",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_elementwise<float_dtype>,
    .grad = [](GradBuilder& g) { g.add(0, g.dy() * (g.y() + 1)); },
    .lower = lower_unary<ScalarOp::expm1>,
    .samples = samples<-10, 5>,
    .monotone_increasing = true,
};

constexpr OpDef kLog{
    .name = "log",
    .doc = "natural logarithm; NaN below 0",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_elementwise<float_dtype>,
    .grad = [](GradBuilder& g) { g.add(0, g.dy() / g.x()); },
    .lower = lower_unary<ScalarOp::log>,
    .samples = positive_samples,
};

constexpr OpDef kLog1p{
    .name = "log1p",
    .doc = "log(1 + x), exact near 0",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_elementwise<float_dtype>,
    .grad = [](GradBuilder& g) { g.add(0, g.dy() / (g.x() + 1)); },
    .lower = lower_unary<ScalarOp::log1p>,
    .samples = log1p_samples,
};

constexpr OpDef kSqrt{
    .name = "sqrt",
    .doc = "square root; NaN below 0",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_elementwise<float_dtype>,
    .grad = [](GradBuilder& g) { g.add(0, g.dy() / (2 * g.y())); },
    .lower = lower_unary<ScalarOp::sqrt>,
    .samples = positive_samples,
};

constexpr OpDef kSin{
    .name = "sin",
    .doc = "sine of x in radians",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_elementwise<float_dtype>,
    .grad = [](GradBuilder& g) { g.add(0, g.dy() * apply(OpId::cos, g.x())); },
    .lower = lower_unary<ScalarOp::sin>,
    .samples = samples<-10, 10>,
};

constexpr OpDef kCos{
    .name = "cos",
    .doc = "cosine of x in radians",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_elementwise<float_dtype>,
    .grad = [](GradBuilder& g) { g.add(0, -(g.dy() * apply(OpId::sin, g.x()))); },
    .lower = lower_unary<ScalarOp::cos>,
    .samples = samples<-10, 10>,
};

constexpr OpDef kTanh{
    .name = "tanh",
    .doc = "hyperbolic tangent",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_elementwise<float_dtype>,
    .grad = [](GradBuilder& g) { g.add(0, g.dy() * (1 - g.y() * g.y())); },
    .lower = lower_unary<ScalarOp::tanh>,
    .samples = samples<-4, 4>,
    .monotone_increasing = true,
};

constexpr OpDef kErf{
    .name = "erf",
    .doc = "error function",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_elementwise<float_dtype>,
    // 2 / sqrt(pi) * exp(-x^2)
    .grad =
        [](GradBuilder& g) {
            g.add(0, g.dy() * (kTwoOverSqrtPi * apply(OpId::exp, -(g.x() * g.x()))));
        },
    .lower = lower_unary<ScalarOp::erf>,
    .samples = samples<-3, 3>,
    .monotone_increasing = true,
};

constexpr OpDef kFloor{
    .name = "floor",
    .doc = "the greatest whole number that is not above x; has no gradient",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_elementwise<float_dtype>,
    .lower = lower_unary<ScalarOp::floor>,
    .samples = samples<-4, 4>,
    .monotone_increasing = true,
};

constexpr OpDef kCopy{
    .name = "copy",
    .doc = "x itself; passes place it where a value changes its layout",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_elementwise<any_dtype>,
    .grad = [](GradBuilder& g) { g.add(0, g.dy()); },
    .lower = lower_copy,
    .samples = copy_samples,
    .monotone_increasing = true,
};

constexpr OpDef kStopGradient{
    .name = "stop_gradient",
    .doc = "x itself; no gradient flows through it",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_elementwise<any_dtype>,
    .lower = lower_copy,
    .samples = copy_samples,
    .monotone_increasing = true,
};

}  // namespace netc
