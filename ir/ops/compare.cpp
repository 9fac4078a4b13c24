// Comparison, logic, choice and conversion.
#include "ir/ops/common.h"

namespace netc {
namespace {

using namespace ops;

constexpr AttributeSpec kCastAttributes[] = {
    {"to", AttributeKind::dtype, "element type of the result"},
};

Result<Type> infer_select(const InferContext& context) {
    const Type& condition = context.inputs[0];
    const Type& a = context.inputs[1];
    if (Status status = check_dtype(logical_dtype, condition.dtype); !status) {
        return status.error();
    }
    if (Status status = check_equal_types({a, context.inputs[2]}); !status) return status.error();
    if (condition.shape != a.shape) {
        return fact(fmt::format("the condition {} has not the shape of {}", condition.to_string(),
                                a.to_string()));
    }
    return a;
}

void grad_of_select(GradBuilder& g) {
    const Type type = g.dy().type();
    const Value zero = g.graph().constant(0, type.dtype, type.shape);
    if (g.needs(1)) g.add(1, g.graph().select(g.x(0), g.dy(), zero));
    if (g.needs(2)) g.add(2, g.graph().select(g.x(0), zero, g.dy()));
}

ScalarId lower_select(Lowering& lowering) {
    const ScalarId condition = lowering.read(0, lowering.out());
    const ScalarId a = lowering.read(1, lowering.out());
    return lowering.scalars().select(condition, a, lowering.read(2, lowering.out()));
}

void grad_of_cast(GradBuilder& g) {
    const DType from = g.x().type().dtype;
    // Through an integer no gradient flows.
    if (is_float(from) && is_float(g.y().type().dtype)) g.add(0, g.graph().cast(g.dy(), from));
}

// An int as the nearest that a narrower one holds.
ScalarId within(ScalarGraph& s, ScalarId value, DType to) {
    const DType from = s.type(value);
    const auto bits = [](DType type) { return 8 * size_of(type) - (type == DType::u8 ? 0 : 1); };
    const std::int64_t high = bits(to) < 63 ? (std::int64_t{1} << bits(to)) - 1 : 0;
    if (bits(to) < bits(from)) value = s.binary(ScalarOp::min, value, s.integer(high, from));
    const std::int64_t low = to == DType::u8 ? 0 : -high - 1;
    const bool below = from != DType::u8 && (to == DType::u8 || bits(to) < bits(from));
    return below ? s.binary(ScalarOp::max, value, s.integer(low, from)) : value;
}

ScalarId lower_cast(Lowering& lowering) {
    ScalarGraph& s = lowering.scalars();
    const ScalarId value = lowering.read(0, lowering.out());
    const DType from = s.type(value);
    const DType to = lowering.output_type().dtype;
    if (from == to) return value;
    if (to == DType::b1) {
        const ScalarId zero = scalar_constant(s, 0, from);
        return s.unary(ScalarOp::logical_not, s.binary(ScalarOp::equal, value, zero));
    }
    if (from == DType::b1) {
        return s.select(value, scalar_constant(s, 1, to), scalar_constant(s, 0, to));
    }
    return s.cast(is_int(from) && is_int(to) ? within(s, value, to) : value, to);
}

std::vector<Sample> comparison_samples() {
    return {
        {{real({batch(), 7}), real({batch(), 7})}, {}},
        {{real({}), real({})}, {}},
        {{ints({batch(), 5}), ints({batch(), 5})}, {}, -2, 2, 3},
        {{ints({19}), ints({19})}, {}, -2, 2, 3},
    };
}

Type logical(Shape shape) { return {DType::b1, std::move(shape)}; }

std::vector<Sample> logic_samples() {
    return {
        {{logical({batch(), 7}), logical({batch(), 7})}, {}, 0, 1, 2},
        {{logical({17}), logical({17})}, {}, 0, 1, 2},
    };
}

std::vector<Sample> not_samples() {
    return {{{logical({batch(), 7})}, {}, 0, 1, 2}, {{logical({})}, {}, 0, 1, 2}};
}

std::vector<Sample> select_samples() {
    return {
        {{logical({batch(), 7}), real({batch(), 7}), real({batch(), 7})}, {}, -2, 2, 2},
        {{logical({17}), ints({17}), ints({17})}, {}, -2, 2, 2},
    };
}

std::vector<Sample> cast_samples() {
    return {
        {{real({batch(), 7})}, {{"to", DType::f64}}},
        {{Type{DType::f64, {batch(), 7}}}, {{"to", DType::f32}}},
        {{real({batch(), 7})}, {{"to", DType::i32}}, -100, 100},
        {{ints({batch(), 7})}, {{"to", DType::f32}}, -2, 2, 100},
        {{ints({9})}, {{"to", DType::b1}}, -2, 2, 2},
        {{ints({batch(), 7})}, {{"to", DType::u8}}, -2, 2, 1000},
        {{ints({batch(), 7})}, {{"to", DType::i8}}, -2, 2, 1000},
        {{Type{DType::i8, {batch(), 7}}}, {{"to", DType::u8}}, -2, 2, 100},
        {{logical({batch(), 3})}, {{"to", DType::f32}}, 0, 1, 2},
        {{logical({batch(), 3})}, {{"to", DType::i64}}, 0, 1, 2},
    };
}

}  // namespace

constexpr OpDef kEqual{
    .name = "equal",
    .doc = "a == b; false where one is NaN",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = infer_comparison<any_dtype>,
    .lower = lower_binary<ScalarOp::equal>,
    .samples = comparison_samples,
    .commutative = true,
};

constexpr OpDef kLess{
    .name = "less",
    .doc = "a < b; false where one is NaN",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = infer_comparison<number_dtype>,
    .lower = lower_binary<ScalarOp::less>,
    .samples = comparison_samples,
};

constexpr OpDef kLessEqual{
    .name = "less_equal",
    .doc = "a <= b; false where one is NaN",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = infer_comparison<number_dtype>,
    .lower = lower_binary<ScalarOp::less_equal>,
    .samples = comparison_samples,
};

constexpr OpDef kLogicalAnd{
    .name = "logical_and",
    .doc = "a and b",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = infer_comparison<logical_dtype>,
    .lower = lower_binary<ScalarOp::logical_and>,
    .samples = logic_samples,
    .commutative = true,
};

constexpr OpDef kLogicalOr{
    .name = "logical_or",
    .doc = "a or b",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = infer_comparison<logical_dtype>,
    .lower = lower_binary<ScalarOp::logical_or>,
    .samples = logic_samples,
    .commutative = true,
};

constexpr OpDef kLogicalNot{
    .name = "logical_not",
    .doc = "not a",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_comparison<logical_dtype>,
    .lower = lower_unary<ScalarOp::logical_not>,
    .samples = not_samples,
};

constexpr OpDef kSelect{
    .name = "select",
    .doc = "a where the condition holds, else b; what is not chosen has no effect, NaN included",
    .min_inputs = 3,
    .max_inputs = 3,
    .infer = infer_select,
    .grad = grad_of_select,
    .lower = lower_select,
    .samples = select_samples,
};

constexpr OpDef kCast{
    .name = "cast",
    .doc = "conversion; to an integer truncates toward zero, saturates, and NaN gives 0; b1 is "
           "whether the value differs from 0",
    .min_inputs = 1,
    .max_inputs = 1,
    .attributes = kCastAttributes,
    .infer = [](const InferContext& context) -> Result<Type> {
        return Type{context.attributes.get<DType>("to"), context.inputs[0].shape};
    },
    .grad = grad_of_cast,
    .lower = lower_cast,
    .samples = cast_samples,
};

}  // namespace netc
