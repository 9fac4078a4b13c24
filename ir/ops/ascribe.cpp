// ascribe: `e as f32[B, T]`, the same elements under dimensions that are only known to be equal when the
// program runs. Whether they are is checked where an entry begins (Entry::equal_extents).
#include "ir/ops/common.h"

namespace netc {
namespace {

using namespace ops;

constexpr AttributeSpec kAscribeAttributes[] = {
    {"shape", AttributeKind::shape, "shape of the result"},
};

Result<Type> infer_ascribe(const InferContext& context) {
    const Type& x = context.inputs[0];
    const Type y{x.dtype, context.attributes.get<Shape>("shape")};
    if (Status status = check_dims(y.shape); !status) return status.error();
    bool fits = x.rank() == y.rank();
    for (std::size_t i = 0; fits && i < x.rank(); ++i) {
        const Dim distance = x.shape[i] - y.shape[i];
        fits = !distance.is_static() || distance.value() == 0;
    }
    if (!fits) return fact(fmt::format("{} is never {}", x.to_string(), y.to_string()));
    return y;
}

Value lift_ascribe(const Lift& lift) {
    Shape shape = lift.shape;
    shape.insert(shape.begin(), lift.steps);
    return lift.graph.make(OpId::ascribe, lift.inputs, {{"shape", shape}});
}

std::vector<Sample> ascribe_samples() {
    return {{{real({batch(), 3})}, {{"shape", Shape{batch(), 3}}}}};
}

}  // namespace

constexpr OpDef kAscribe{
    .name = "ascribe",
    .doc = "the same elements under a shape whose dimensions are equal when the program runs, "
           "which is "
           "checked then",
    .family = OpFamily::view,
    .min_inputs = 1,
    .max_inputs = 1,
    .attributes = kAscribeAttributes,
    .infer = infer_ascribe,
    .grad =
        [](GradBuilder& g) {
            const Shape shape = g.x().type().shape;
            g.add(0, g.graph().make(OpId::ascribe, {g.dy()}, {{"shape", shape}}));
        },
    // Never outside where the check has passed; kernels are right for every batch.
    .lower = [](Lowering& lowering) { return lowering.read(0, lowering.out(), Outside::zero); },
    .samples = ascribe_samples,
    .lift = lift_ascribe,
};

}  // namespace netc
