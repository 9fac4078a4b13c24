// Where a value stands among all values: what measures of ranking are made of.
#include "ir/ops/common.h"

namespace netc {
namespace {

using namespace ops;

Result<Type> infer_weight_below(const InferContext& context) {
    const Type& x = context.inputs[0];
    if (Status status = check_dtype(float_dtype, x.dtype); !status) return status.error();
    if (Status status = check_equal_types(context.inputs); !status) return status.error();
    if (x.rank() != 1) return fact(fmt::format("{} is not a vector", x.to_string()));
    return x;
}

ScalarId lower_weight_below(Lowering& lowering) {
    ScalarGraph& s = lowering.scalars();
    const ScalarId own = lowering.read(0, lowering.out());
    const Index other = lowering.reduced_axis(lowering.input_type(0).shape[0]);
    const ScalarId value = lowering.read(0, {other});
    const ScalarId weight = lowering.read(1, {other});
    const DType type = s.type(weight);
    const ScalarId half = s.binary(ScalarOp::mul, scalar_constant(s, 0.5, type), weight);
    const ScalarId tie =
        s.select(s.binary(ScalarOp::equal, value, own), half, scalar_constant(s, 0, type));
    return lowering.sum(s.select(s.binary(ScalarOp::less, value, own), weight, tie));
}

std::vector<Sample> weight_below_samples() {
    return {{{real({batch()}), real({batch()})}, {}}, {{real({70}), real({70})}, {}}};
}

}  // namespace

constexpr OpDef kWeightBelow{
    .name = "weight_below",
    .doc =
        "for each element of x [N], the sum of the weights [N] of the smaller elements, and half "
        "of those that are equal",
    .family = OpFamily::reduction,
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = infer_weight_below,
    .lower = lower_weight_below,
    .samples = weight_below_samples,
    .alone = true,
};

}  // namespace netc
