// Views: elements in other places. None computes anything, so none rounds.
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
constexpr AttributeSpec kSliceAttributes[] = {
    {"starts", AttributeKind::integers, "first index, per axis"},
    {"stops", AttributeKind::integers, "index behind the last, per axis; -1 is the end"},
};
constexpr AttributeSpec kPadAttributes[] = {
    {"before", AttributeKind::integers, "zeros before the first element, per axis"},
    {"after", AttributeKind::integers, "zeros behind the last element, per axis"},
};
constexpr AttributeSpec kConcatAttributes[] = {
    {"axis", AttributeKind::integer, "axis along which the operands follow each other"},
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

// ---- slice

Result<Type> infer_slice(const InferContext& context) {
    const Type& x = context.inputs[0];
    const Integers& starts = context.attributes.get<Integers>("starts");
    const Integers& stops = context.attributes.get<Integers>("stops");
    if (Status s = check_integers("starts", starts, x.rank(), 0); !s) return s.error();
    if (Status s = check_integers("stops", stops, x.rank(), -1); !s) return s.error();
    Type y{x.dtype, {}};
    for (std::size_t i = 0; i < x.rank(); ++i) {
        const Dim stop = stops[i] == -1 ? x.shape[i] : Dim(stops[i]);
        if (holds_batch(x.shape[i]) && (starts[i] != 0 || stop != x.shape[i])) {
            return not_yet("a slice of " + x.to_string() + " along the batch");
        }
        const Dim size = stop - Dim(starts[i]);
        const Dim left = x.shape[i] - stop;
        if ((size.is_static() && size.value() < 1) || (left.is_static() && left.value() < 0)) {
            return fact(fmt::format("there are no elements {} to {} in {}", starts[i],
                                    stop.to_string(), x.shape[i].to_string()));
        }
        y.shape.push_back(size);
    }
    return y;
}

void grad_of_slice(GradBuilder& g) {
    const Shape& x = g.x().type().shape;
    const Integers& stops = g.attributes().get<Integers>("stops");
    Integers after;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const Dim left = stops[i] == -1 ? Dim(0) : x[i] - Dim(stops[i]);
        after.push_back(left.value());
    }
    g.add(0, g.graph().make(OpId::pad, {g.dy()},
                            {{"before", g.attributes().get<Integers>("starts")},
                             {"after", std::move(after)}}));
}

ScalarId lower_slice(Lowering& lowering) {
    const Integers& starts = lowering.attributes().get<Integers>("starts");
    std::vector<Index> index = lowering.out();
    for (std::size_t i = 0; i < index.size(); ++i) index[i] = index[i] + starts[i];
    return lowering.read(0, std::move(index));
}

// ---- pad

Result<Type> infer_pad(const InferContext& context) {
    const Type& x = context.inputs[0];
    const Integers& before = context.attributes.get<Integers>("before");
    const Integers& after = context.attributes.get<Integers>("after");
    if (Status s = check_integers("before", before, x.rank(), 0); !s) return s.error();
    if (Status s = check_integers("after", after, x.rank(), 0); !s) return s.error();
    Type y{x.dtype, {}};
    for (std::size_t i = 0; i < x.rank(); ++i) {
        if (holds_batch(x.shape[i]) && (before[i] != 0 || after[i] != 0)) {
            return not_yet("padding " + x.to_string() + " along the batch");
        }
        y.shape.push_back(x.shape[i] + Dim(before[i]) + Dim(after[i]));
    }
    return y;
}

void grad_of_pad(GradBuilder& g) {
    const Shape& x = g.x().type().shape;
    const Integers& before = g.attributes().get<Integers>("before");
    const Integers& after = g.attributes().get<Integers>("after");
    Integers stops;
    for (std::size_t i = 0; i < x.size(); ++i) {
        stops.push_back(after[i] == 0 ? -1 : before[i] + x[i].value());
    }
    g.add(0,
          g.graph().make(OpId::slice, {g.dy()}, {{"starts", before}, {"stops", std::move(stops)}}));
}

ScalarId lower_pad(Lowering& lowering) {
    const Integers& before = lowering.attributes().get<Integers>("before");
    const Integers& after = lowering.attributes().get<Integers>("after");
    std::vector<Index> index = lowering.out();
    bool padded = false;
    for (std::size_t i = 0; i < index.size(); ++i) {
        index[i] = index[i] - before[i];
        padded = padded || before[i] != 0 || after[i] != 0;
    }
    return lowering.read(0, std::move(index), padded ? Outside::zero : Outside::never);
}

// ---- concat

Result<Type> infer_concat(const InferContext& context) {
    const Type& first = context.inputs[0];
    const std::int64_t axis = context.attributes.get<std::int64_t>("axis");
    if (Status s = check_axes({axis}, first.rank()); !s) return s.error();
    const auto along = static_cast<std::size_t>(axis);
    Type y = first;
    y.shape[along] = 0;
    for (std::size_t k = 0; k < context.inputs.size(); ++k) {
        Type like = context.inputs[k];
        if (like.rank() != first.rank()) {
            return fact(
                fmt::format("{} and {} differ in rank", first.to_string(), like.to_string()));
        }
        const Dim size = like.shape[along];
        like.shape[along] = first.shape[along];
        if (like != first) {
            return fact(fmt::format("{} and {} differ in more than axis {}", first.to_string(),
                                    context.inputs[k].to_string(), axis));
        }
        if (holds_batch(size) && context.inputs.size() > 1) {
            return not_yet("joining tensors along the batch");
        }
        y.shape[along] = y.shape[along] + size;
    }
    return y;
}

void grad_of_concat(GradBuilder& g) {
    const auto along = static_cast<std::size_t>(g.attributes().get<std::int64_t>("axis"));
    const Shape y = g.y().type().shape;  // a copy: nodes move while slices are made
    const std::size_t rank = y.size();
    Dim total = 0;
    for (std::size_t k = 0; total != y[along]; ++k) {
        const Dim size = g.x(k).type().shape[along];
        const bool last = total + size == y[along];
        if (g.needs(k)) {
            Integers starts(rank, 0);
            Integers stops(rank, -1);
            starts[along] = total.value();
            if (!last) stops[along] = (total + size).value();
            g.add(k, g.graph().make(OpId::slice, {g.dy()},
                                    {{"starts", std::move(starts)}, {"stops", std::move(stops)}}));
        }
        total = total + size;
    }
}

// The operands' reads are zero outside of their part; the choice is made from the last to the first.
ScalarId lower_concat(Lowering& lowering) {
    ScalarGraph& s = lowering.scalars();
    const auto along = static_cast<std::size_t>(lowering.attributes().get<std::int64_t>("axis"));
    const Index place = lowering.out()[along];
    const Dim whole = lowering.output_type().shape[along];
    std::vector<std::int64_t> begins;
    Dim total = 0;
    for (std::size_t k = 0; total != whole; ++k) {
        begins.push_back(total.value());
        total = total + lowering.input_type(k).shape[along];
    }
    ScalarId value = kNoScalar;
    for (std::size_t k = begins.size(); k-- > 0;) {
        std::vector<Index> index = lowering.out();
        index[along] = place - begins[k];
        const Outside outside = begins.size() == 1 ? Outside::never : Outside::zero;
        const ScalarId own = lowering.read(k, std::move(index), outside);
        if (value == kNoScalar) {
            value = own;
            continue;
        }
        const ScalarId before = s.binary(ScalarOp::less, lowering.number_of(place, DType::i64),
                                         s.integer(begins[k + 1], DType::i64));
        value = s.select(before, own, value);
    }
    return value;
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

std::vector<Sample> slice_samples() {
    return {
        {{real({batch(), 7})}, {{"starts", Integers{0, 2}}, {"stops", Integers{-1, 5}}}},
        {{real({batch(), 7})}, {{"starts", Integers{0, 6}}, {"stops", Integers{-1, -1}}}},
        {{real({9, 5, 4})}, {{"starts", Integers{1, 0, 3}}, {"stops", Integers{9, -1, 4}}}},
    };
}

std::vector<Sample> pad_samples() {
    return {
        {{real({batch(), 5})}, {{"before", Integers{0, 2}}, {"after", Integers{0, 1}}}},
        {{real({3, 4})}, {{"before", Integers{1, 0}}, {"after", Integers{0, 3}}}},
        {{real({batch(), 2, 3, 3})},
         {{"before", Integers{0, 0, 1, 1}}, {"after", Integers{0, 0, 1, 2}}}},
    };
}

std::vector<Sample> concat_samples() {
    return {
        {{real({batch(), 5}), real({batch(), 3})}, {{"axis", std::int64_t{1}}}},
        {{real({batch(), 2, 4}), real({batch(), 1, 4}), real({batch(), 5, 4})},
         {{"axis", std::int64_t{1}}}},
        {{real({batch(), 4})}, {{"axis", std::int64_t{1}}}},
        {{real({batch(), 64}), real({batch(), 32}), real({batch(), 96})},
         {{"axis", std::int64_t{1}}}},
        {{real({batch(), 20}), real({batch(), 60})}, {{"axis", std::int64_t{1}}}},
        {{real({3}), real({4}), real({1}), real({9})}, {{"axis", std::int64_t{0}}}},
    };
}

// ---- all steps of a scan

Integers behind(std::int64_t first, const Integers& rest, std::int64_t added) {
    Integers all{first};
    for (const std::int64_t each : rest) all.push_back(each + added);
    return all;
}

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

Value lift_slice(const Lift& lift) {
    return lift.graph.make(OpId::slice, lift.inputs,
                           {{"starts", behind(0, lift.attributes.get<Integers>("starts"), 0)},
                            {"stops", behind(-1, lift.attributes.get<Integers>("stops"), 0)}});
}

Value lift_pad(const Lift& lift) {
    return lift.graph.make(OpId::pad, lift.inputs,
                           {{"before", behind(0, lift.attributes.get<Integers>("before"), 0)},
                            {"after", behind(0, lift.attributes.get<Integers>("after"), 0)}});
}

Value lift_concat(const Lift& lift) {
    std::vector<Value> inputs = lift.inputs;
    for (std::size_t k = 0; k < inputs.size(); ++k) {
        if (lift.stacked[k]) continue;
        Shape shape = inputs[k].type().shape;
        shape.insert(shape.begin(), lift.steps);
        inputs[k] = lift.graph.broadcast(inputs[k], shape);
    }
    return lift.graph.make(OpId::concat, inputs,
                           {{"axis", lift.attributes.get<std::int64_t>("axis") + 1}});
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

constexpr OpDef kSlice{
    .name = "slice",
    .doc = "a part of each axis",
    .family = OpFamily::view,
    .min_inputs = 1,
    .max_inputs = 1,
    .attributes = kSliceAttributes,
    .infer = infer_slice,
    .grad = grad_of_slice,
    .lower = lower_slice,
    .samples = slice_samples,
    .lift = lift_slice,
};

constexpr OpDef kPad{
    .name = "pad",
    .doc = "zeros around",
    .family = OpFamily::view,
    .min_inputs = 1,
    .max_inputs = 1,
    .attributes = kPadAttributes,
    .infer = infer_pad,
    .grad = grad_of_pad,
    .lower = lower_pad,
    .samples = pad_samples,
    .lift = lift_pad,
};

constexpr OpDef kConcat{
    .name = "concat",
    .doc = "the operands one after the other along an axis",
    .family = OpFamily::view,
    .min_inputs = 1,
    .max_inputs = -1,
    .attributes = kConcatAttributes,
    .infer = infer_concat,
    .grad = grad_of_concat,
    .lower = lower_concat,
    .samples = concat_samples,
    .lift = lift_concat,
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
