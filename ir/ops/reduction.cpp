// Reductions over axes. The order of the sums is chosen when kernels are made
// (passes/reduction_order.cpp), from the logical shape alone.
#include "ir/ops/common.h"

namespace netc {
namespace {

using namespace ops;

constexpr AttributeSpec kReduceAttributes[] = {
    {"axes", AttributeKind::integers, "axes that are reduced, ascending"},
    {"keep", AttributeKind::boolean, "keep them with extent 1"},
};
constexpr AttributeSpec kArgmaxAttributes[] = {
    {"axis", AttributeKind::integer, "axis that is searched"},
};

std::vector<bool> reduced_mask(const Integers& axes, std::size_t rank) {
    std::vector<bool> mask(rank, false);
    for (const std::int64_t axis : axes) mask[static_cast<std::size_t>(axis)] = true;
    return mask;
}

Shape reduced_shape(const Shape& shape, const Integers& axes, bool keep) {
    const std::vector<bool> mask = reduced_mask(axes, shape.size());
    Shape result;
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (!mask[i]) {
            result.push_back(shape[i]);
        } else if (keep) {
            result.emplace_back(1);
        }
    }
    return result;
}

Result<Type> infer_reduce(const InferContext& context) {
    const Type& x = context.inputs[0];
    const Integers& axes = context.attributes.get<Integers>("axes");
    if (Status status = check_dtype(number_dtype, x.dtype); !status) return status.error();
    if (Status status = check_axes(axes, x.rank()); !status) return status.error();
    if (axes.empty()) return fact("no axes to reduce");
    return Type{x.dtype, reduced_shape(x.shape, axes, context.attributes.get<bool>("keep"))};
}

// A value of the reduced shape (kept axes or not), stretched to the operand's shape.
Value spread(GradBuilder& g, Value value) {
    const Type x = g.x().type();
    const Shape kept = reduced_shape(x.shape, g.attributes().get<Integers>("axes"), true);
    return g.graph().broadcast(g.graph().reshape(value, kept), x.shape);
}

// Whether a place along `axis` is where `x`, in which later axes are reduced and kept, has its first maximum.
Value is_first_along(GraphBuilder& graph, Value x, std::int64_t axis, const Shape& shape) {
    const Shape searched = reduced_shape(x.type().shape, {axis}, true);
    const Value winner = graph.make(OpId::argmax, {x}, {{"axis", axis}});
    return graph.binary(OpId::equal, graph.broadcast(graph.reshape(winner, searched), shape),
                        graph.iota({DType::i32, shape}, axis));
}

// b1 of the operand's shape: is this the first element that is the maximum?
Value is_first_maximum(GradBuilder& g) {
    GraphBuilder& graph = g.graph();
    const Value x = g.x();
    const Shape shape = x.type().shape;
    const Integers axes = g.attributes().get<Integers>("axes");
    // The batch is no inner part of an axis: then one axis after the other, in each the first place whose rest holds the
    // maximum.
    const bool batch_inside = std::any_of(axes.begin() + 1, axes.end(), [&](std::int64_t axis) {
        return !shape[static_cast<std::size_t>(axis)].is_static();
    });
    if (axes.size() == 1 || batch_inside) {
        Value first = is_first_along(graph, x, axes.back(), shape);
        for (std::size_t i = axes.size() - 1; i-- > 0;) {
            const Integers later(axes.begin() + static_cast<std::ptrdiff_t>(i) + 1, axes.end());
            const Value rest = graph.reduce_max(x, later, true);
            first =
                graph.binary(OpId::logical_and, is_first_along(graph, rest, axes[i], shape), first);
        }
        return first;
    }
    // Several axes: moved to the end, they become one.
    const std::vector<bool> mask = reduced_mask(axes, shape.size());
    Integers order;
    Shape moved;
    Shape flat;
    for (const bool reduced : {false, true}) {
        for (std::size_t i = 0; i < shape.size(); ++i) {
            if (mask[i] != reduced) continue;
            order.push_back(static_cast<std::int64_t>(i));
            moved.push_back(shape[i]);
            if (!reduced) flat.push_back(shape[i]);
        }
    }
    const auto last = static_cast<std::int64_t>(flat.size());
    flat.push_back(product(Shape(moved.begin() + last, moved.end())));
    const Value rows = graph.reshape(graph.permute(x, order), flat);
    const Value winner = graph.make(OpId::argmax, {rows}, {{"axis", last}});
    Shape kept = flat;
    kept.back() = 1;
    const Value spread_winner = graph.broadcast(graph.reshape(winner, kept), flat);
    const Value mine =
        graph.binary(OpId::equal, spread_winner, graph.iota({DType::i32, flat}, last));
    Integers back(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        back[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(i);
    }
    return graph.permute(graph.reshape(mine, moved), back);
}

void grad_of_reduce_max(GradBuilder& g) {
    const Type x = g.x().type();
    const Value zero = g.graph().constant(0, x.dtype, x.shape);
    g.add(0, g.graph().select(is_first_maximum(g), spread(g, g.dy()), zero));
}

// Index of the operand's element: out() for the axes that stay, new reduced axes for the others.
std::vector<Index> reduced_index(Lowering& lowering, const Integers& axes, bool keep) {
    const Shape& shape = lowering.input_type(0).shape;
    const std::vector<bool> mask = reduced_mask(axes, shape.size());
    std::vector<Index> index;
    std::size_t next = 0;
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (!mask[i] || keep) ++next;
        index.push_back(mask[i] ? lowering.reduced_axis(shape[i]) : lowering.out()[next - 1]);
    }
    return index;
}

ScalarId read_reduced(Lowering& lowering) {
    return lowering.read(0, reduced_index(lowering, lowering.attributes().get<Integers>("axes"),
                                          lowering.attributes().get<bool>("keep")));
}

ScalarId lower_reduce_max(Lowering& lowering) {
    ScalarGraph& s = lowering.scalars();
    const ScalarId value = read_reduced(lowering);
    const DType type = s.type(value);
    const ScalarId state = s.state(0, type);
    return lowering.reduce({{type, lowest(type)}}, {s.binary(ScalarOp::max, state, value)},
                           {s.binary(ScalarOp::max, state, s.other(0, type))})[0];
}

Result<Type> infer_argmax(const InferContext& context) {
    const Type& x = context.inputs[0];
    const Integers axes{context.attributes.get<std::int64_t>("axis")};
    if (Status status = check_dtype(number_dtype, x.dtype); !status) return status.error();
    if (Status status = check_axes(axes, x.rank()); !status) return status.error();
    return Type{DType::i32, reduced_shape(x.shape, axes, false)};
}

ScalarId lower_argmax(Lowering& lowering) {
    const std::int64_t axis = lowering.attributes().get<std::int64_t>("axis");
    const std::vector<Index> index = reduced_index(lowering, {axis}, false);
    const ScalarId place = lowering.number_of(index[static_cast<std::size_t>(axis)], DType::i32);
    return reduce_position_of_max(lowering, lowering.read(0, index), place);
}

Integers behind_steps(const Integers& axes) {
    Integers moved;
    for (const std::int64_t axis : axes) moved.push_back(axis + 1);
    return moved;
}

Value lift_reduce_sum(const Lift& lift) {
    return lift.graph.reduce_sum(lift.inputs[0],
                                 behind_steps(lift.attributes.get<Integers>("axes")),
                                 lift.attributes.get<bool>("keep"));
}

Value lift_sum_of_reduce_sum(const Lift& lift) {
    Integers axes = behind_steps(lift.attributes.get<Integers>("axes"));
    axes.insert(axes.begin(), 0);
    return lift.graph.reshape(lift.graph.reduce_sum(lift.inputs[0], axes), lift.shape);
}

Value lift_reduce_max(const Lift& lift) {
    return lift.graph.reduce_max(lift.inputs[0],
                                 behind_steps(lift.attributes.get<Integers>("axes")),
                                 lift.attributes.get<bool>("keep"));
}

Attributes over(Integers axes, bool keep = false) {
    return {{"axes", std::move(axes)}, {"keep", keep}};
}

std::vector<Sample> reduce_samples() {
    return {
        {{real({batch(), 7})}, over({1})},
        {{real({batch(), 7})}, over({0})},
        {{real({batch(), 7})}, over({0, 1})},
        {{real({batch(), 7})}, over({1}, true)},
        {{real({batch(), 3, 5, 4})}, over({0, 2, 3})},
        {{real({batch(), 3, 5, 4})}, over({1, 3}, true)},
        {{real({batch(), 100})}, over({1})},
        {{real({130})}, over({0})},
        {{real({3, 70, 2})}, over({1})},
        {{real({6, batch()})}, over({0, 1})},
        {{real({2, 5, batch(), 3})}, over({1, 2, 3}, true)},
        {{ints({batch(), 7})}, over({1}), -2, 2, 3},
    };
}

std::vector<Sample> argmax_samples() {
    return {
        {{real({batch(), 10})}, {{"axis", std::int64_t{1}}}},
        {{real({batch(), 3})}, {{"axis", std::int64_t{0}}}},
        {{real({batch(), 100})}, {{"axis", std::int64_t{1}}}},
        {{ints({batch(), 9})}, {{"axis", std::int64_t{1}}}, -2, 2, 3},
        {{ints({70, 3})}, {{"axis", std::int64_t{0}}}, -2, 2, 3},
    };
}

}  // namespace

constexpr OpDef kReduceSum{
    .name = "reduce_sum",
    .doc = "sum over axes",
    .family = OpFamily::reduction,
    .min_inputs = 1,
    .max_inputs = 1,
    .attributes = kReduceAttributes,
    .infer = infer_reduce,
    .grad = [](GradBuilder& g) { g.add(0, spread(g, g.dy())); },
    .lower = [](Lowering& lowering) { return lowering.sum(read_reduced(lowering)); },
    .samples = reduce_samples,
    .lift = lift_reduce_sum,
    .lift_sum = lift_sum_of_reduce_sum,
};

constexpr OpDef kReduceMax{
    .name = "reduce_max",
    .doc = "greatest element over axes; NaN if one is NaN; the first of equals gets the gradient",
    .family = OpFamily::reduction,
    .min_inputs = 1,
    .max_inputs = 1,
    .attributes = kReduceAttributes,
    .infer = infer_reduce,
    .grad = grad_of_reduce_max,
    .lower = lower_reduce_max,
    .samples = reduce_samples,
    .lift = lift_reduce_max,
};

constexpr OpDef kArgmax{
    .name = "argmax",
    .doc = "i32 index of the greatest element along an axis; the first of equals, the first NaN "
           "before all",
    .family = OpFamily::reduction,
    .min_inputs = 1,
    .max_inputs = 1,
    .attributes = kArgmaxAttributes,
    .infer = infer_argmax,
    .lower = lower_argmax,
    .samples = argmax_samples,
};

}  // namespace netc
