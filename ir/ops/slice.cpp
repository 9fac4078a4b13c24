// Parts of axes: a slice, zeros around, operands one after the other. Slices and padding are each other's gradients.
#include "ir/ops/common.h"

namespace netc {
namespace {

using namespace ops;

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

}  // namespace

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

}  // namespace netc
