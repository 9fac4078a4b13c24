// Views of whole tensors: elements in other places. None computes anything, so none rounds. Those of parts are in
// slice.cpp.
#include "ir/ops/common.h"

namespace netc {
namespace {

using namespace ops;

constexpr AttributeSpec kPermuteAttributes[] = {
    {"order", AttributeKind::integers, "for each axis of the result the operand's axis"},
};
constexpr AttributeSpec kBroadcastAttributes[] = {
    {"shape", AttributeKind::shape, "shape of the result"},
};

// ---- permute

Result<Type> infer_permute(const InferContext& context) {
    const Type& x = context.inputs[0];
    const Integers& order = context.attributes.get<Integers>("order");
    if (Status s = check_integers("order", order, x.rank(), 0); !s) return s.error();
    std::vector<bool> seen(x.rank(), false);
    Type y{x.dtype, {}};
    for (const std::int64_t axis : order) {
        const auto i = static_cast<std::size_t>(axis);
        if (i >= x.rank() || seen[i]) return fact("`order` is not a permutation");
        seen[i] = true;
        y.shape.push_back(x.shape[i]);
    }
    return y;
}

void grad_of_permute(GradBuilder& g) {
    const Integers& order = g.attributes().get<Integers>("order");
    Integers back(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        back[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(i);
    }
    g.add(0, g.graph().permute(g.dy(), std::move(back)));
}

ScalarId lower_permute(Lowering& lowering) {
    const Integers& order = lowering.attributes().get<Integers>("order");
    std::vector<Index> index(order.size(), Index(0));
    for (std::size_t i = 0; i < order.size(); ++i) {
        index[static_cast<std::size_t>(order[i])] = lowering.out()[i];
    }
    return lowering.read(0, std::move(index));
}

// ---- broadcast

Result<Type> infer_broadcast(const InferContext& context) {
    const Type& x = context.inputs[0];
    const Type y{x.dtype, context.attributes.get<Shape>("shape")};
    if (Status s = check_dims(y.shape); !s) return s.error();
    bool fits = x.rank() <= y.rank();
    for (std::size_t i = 0; fits && i < x.rank(); ++i) {
        const Dim& dim = x.shape[i];
        fits = dim == Dim(1) || dim == y.shape[i + y.rank() - x.rank()];
    }
    if (!fits) {
        return fact(fmt::format("{} does not stretch to {}", x.to_string(), y.to_string()));
    }
    return y;
}

ScalarId lower_broadcast(Lowering& lowering) {
    const Shape& x = lowering.input_type(0).shape;
    const Shape& y = lowering.output_type().shape;
    std::vector<Index> index;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const std::size_t j = i + y.size() - x.size();
        const bool stretched = x[i] == Dim(1);
        index.push_back(stretched ? Index(0) : lowering.out()[j]);
    }
    return lowering.read(0, std::move(index));
}

// ---- samples

std::vector<Sample> permute_samples() {
    return {
        {{real({batch(), 3, 5})}, {{"order", Integers{0, 2, 1}}}},
        {{real({batch(), 3, 5})}, {{"order", Integers{2, 0, 1}}}},
        {{real({batch(), 7})}, {{"order", Integers{1, 0}}}},
        {{real({2, 3, 4, 5})}, {{"order", Integers{3, 1, 2, 0}}}},
        {{ints({batch(), 3})}, {{"order", Integers{1, 0}}}, -2, 2, 9},
    };
}

std::vector<Sample> broadcast_samples() {
    return {
        {{real({7})}, {{"shape", Shape{batch(), 7}}}},
        {{real({})}, {{"shape", Shape{batch(), 3, 2}}}},
        {{real({batch(), 1})}, {{"shape", Shape{batch(), 5}}}},
        {{real({3, 1, 1})}, {{"shape", Shape{batch(), 3, 4, 5}}}},
        {{real({1, 7})}, {{"shape", Shape{9, 7}}}},
    };
}

// ---- all steps of a scan

Value lift_permute(const Lift& lift) {
    return lift.graph.permute(lift.inputs[0], behind(0, lift.attributes.get<Integers>("order"), 1));
}

Value lift_broadcast(const Lift& lift) {
    const Shape x = lift.inputs[0].type().shape;
    // Axes are aligned at the last one, so those that are missing come behind the steps.
    Shape aligned(lift.shape.size() + 2 - x.size(), Dim(1));
    aligned[0] = lift.steps;
    aligned.insert(aligned.end(), x.begin() + 1, x.end());
    Shape shape = lift.shape;
    shape.insert(shape.begin(), lift.steps);
    return lift.graph.broadcast(lift.graph.reshape(lift.inputs[0], aligned), shape);
}

void grad_of_after(GradBuilder& g) {
    g.add(0, g.dy());
    const Type& waited_for = g.x(1).type();
    if (g.needs(1)) g.add(1, g.graph().constant(0, waited_for.dtype, waited_for.shape));
}

std::vector<Sample> after_samples() {
    return {{{real({batch(), 3}), real({batch()})}, {}}, {{real({4, 5}), real({})}, {}}};
}

}  // namespace

constexpr OpDef kPermute{
    .name = "permute",
    .doc = "axes in another order",
    .family = OpFamily::view,
    .min_inputs = 1,
    .max_inputs = 1,
    .attributes = kPermuteAttributes,
    .infer = infer_permute,
    .grad = grad_of_permute,
    .lower = lower_permute,
    .samples = permute_samples,
    .lift = lift_permute,
};

constexpr OpDef kBroadcast{
    .name = "broadcast",
    .doc =
        "repetition: axes are aligned at the last one, an axis of 1 stretches, missing ones repeat",
    .family = OpFamily::view,
    .min_inputs = 1,
    .max_inputs = 1,
    .attributes = kBroadcastAttributes,
    .infer = infer_broadcast,
    .grad = [](GradBuilder& g) { g.add(0, g.graph().unbroadcast(g.dy(), g.x().type().shape)); },
    .lower = lower_broadcast,
    .samples = broadcast_samples,
    .lift = lift_broadcast,
};

// Made by the compiler (passes/recompute.h): keeps what is computed twice from being merged.
constexpr OpDef kAfter{
    .name = "after",
    .doc = "x itself, to be read once the second operand is there",
    .family = OpFamily::view,
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = [](const InferContext& context) -> Result<Type> { return context.inputs[0]; },
    .grad = grad_of_after,
    .lower = [](Lowering& lowering) { return lowering.read(0, lowering.out()); },
    .samples = after_samples,
};

}  // namespace netc
