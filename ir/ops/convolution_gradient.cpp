// The gradients of conv_nd towards its image, which is a convolution that spreads, and towards its weights.
#include <algorithm>

#include "ir/ops/convolution.h"

namespace netc {
namespace {

using namespace ops;

constexpr AttributeSpec kTransposeAttributes[] = {
    kStrideAttribute,
    kPadAttribute,
    kDilationAttribute,
    kGroupsAttribute,
    {"output_pad", AttributeKind::integers, "elements that the result has more, per axis"}};
constexpr AttributeSpec kWeightGradientAttributes[] = {
    kStrideAttribute,
    kPadAttribute,
    kDilationAttribute,
    kGroupsAttribute,
    {"size", AttributeKind::integers, "size of the kernel, per axis"}};

Result<Type> infer_transpose(const InferContext& context) {
    const Type& x = context.inputs[0];
    const Type& w = context.inputs[1];
    const Geometry geometry = geometry_of(context.attributes);
    const Integers& output_pad = context.attributes.get<Integers>("output_pad");
    if (Status s = check_operands(x, w); !s) return s.error();
    if (Status s = check_geometry(geometry, x.rank() - 2); !s) return s.error();
    if (Status s = check_integers("output_pad", output_pad, x.rank() - 2, 0); !s) return s.error();
    if (x.shape[1] != w.shape[0]) {
        return fact(fmt::format("{} channels are not the {} of the weights", x.shape[1].to_string(),
                                w.shape[0].to_string()));
    }
    if (Status s = check_divides(x.shape[1], geometry.groups); !s) return s.error();
    Type y{sum_type(x.dtype), {x.shape[0], w.shape[1] * Dim(geometry.groups)}};
    for (std::size_t i = 2; i < x.rank(); ++i) {
        const std::size_t axis = i - 2;
        if (output_pad[axis] >= geometry.stride[axis] &&
            output_pad[axis] >= geometry.dilation[axis]) {
            return fact(
                fmt::format("`output_pad` {} is not below stride or dilation", output_pad[axis]));
        }
        y.shape.push_back(
            (x.shape[i] - Dim(1)) * Dim(geometry.stride[axis]) - Dim(2 * geometry.pad[axis]) +
            Dim(geometry.dilation[axis]) * (w.shape[i] - Dim(1)) + Dim(1) + Dim(output_pad[axis]));
    }
    if (Status s = check_dims(y.shape); !s) return s.error();
    return y;
}

Result<Type> infer_weight_gradient(const InferContext& context) {
    const Type& x = context.inputs[0];
    const Type& dy = context.inputs[1];
    const Geometry geometry = geometry_of(context.attributes);
    const Integers& size = context.attributes.get<Integers>("size");
    if (Status s = check_operands(x, dy); !s) return s.error();
    if (Status s = check_geometry(geometry, x.rank() - 2); !s) return s.error();
    if (Status s = check_integers("size", size, x.rank() - 2, 1); !s) return s.error();
    if (x.shape[0] != dy.shape[0]) {
        return fact(
            fmt::format("{} samples are not {}", x.shape[0].to_string(), dy.shape[0].to_string()));
    }
    if (Status s = check_divides(x.shape[1], geometry.groups); !s) return s.error();
    if (Status s = check_divides(dy.shape[1], geometry.groups); !s) return s.error();
    Type w{sum_type(x.dtype), {dy.shape[1], floor_div(x.shape[1], geometry.groups)}};
    for (std::size_t i = 2; i < x.rank(); ++i) {
        const Result<Dim> dim = positions(x.shape[i], size[i - 2], geometry, i - 2);
        if (!dim) return dim.error();
        // An image may have room for more: as conv_transpose_nd's result has by output padding.
        const Dim over = x.shape[i] - reached(dy.shape[i], Dim(size[i - 2]), geometry, i - 2);
        const bool fewer =
            over.is_static() && over.value() >= 0 &&
            over.value() < std::max(geometry.stride[i - 2], geometry.dilation[i - 2]);
        if (*dim != dy.shape[i] && !fewer) {
            return fact(
                fmt::format("{} positions are not {}", dy.shape[i].to_string(), dim->to_string()));
        }
        w.shape.emplace_back(size[i - 2]);
    }
    return w;
}

// A convolution at the first positions, as many as `shape` has.
Value convolved(GraphBuilder& graph, Value x, Value w, const Geometry& geometry,
                const Shape& shape) {
    const Value y = graph.make(OpId::conv_nd, {x, w}, attributes_of(geometry));
    const Shape all = y.type().shape;
    if (std::equal(all.begin() + 2, all.end(), shape.begin() + 2)) return y;
    Integers starts(all.size(), 0), stops;
    for (std::size_t i = 0; i < all.size(); ++i) stops.push_back(i < 2 ? -1 : shape[i].value());
    return graph.make(OpId::slice, {y},
                      {{"starts", std::move(starts)}, {"stops", std::move(stops)}});
}

// conv_transpose_nd(x, w) is the gradient of a convolution whose result has the shape of x.
void grad_of_transpose(GradBuilder& g) {
    const Geometry geometry = geometry_of(g.attributes());
    GraphBuilder& graph = g.graph();
    const Shape w = g.x(1).type().shape;
    const Shape x = g.x(0).type().shape;
    if (g.needs(0)) g.add(0, convolved(graph, g.dy(), g.x(1), geometry, x));
    if (g.needs(1)) g.add(1, towards_weights(graph, g.dy(), g.x(0), w, geometry));
}

void grad_of_weight_gradient(GradBuilder& g) {
    const Geometry geometry = geometry_of(g.attributes());
    GraphBuilder& graph = g.graph();
    const Shape x = g.x(0).type().shape;
    if (g.needs(0)) g.add(0, towards_input(graph, g.x(1), g.dy(), x, geometry));
    if (g.needs(1)) g.add(1, convolved(graph, g.x(0), g.dy(), geometry, g.x(1).type().shape));
}

// Gather form: which element of x reaches this one through this tap, if the stride allows.
ScalarId lower_transpose(Lowering& lowering) {
    const Geometry geometry = geometry_of(lowering.attributes());
    const Shape& x = lowering.input_type(0).shape;
    const Shape& w = lowering.input_type(1).shape;
    const std::vector<Index> out = lowering.out();
    const std::int64_t groups = geometry.groups;
    std::vector<Index> x_index{out[0], 0};
    std::vector<Index> w_index{0, groups == 1 ? out[1] : floor_mod(out[1], w[1].value())};
    for (std::size_t i = 2; i < x.size(); ++i) {
        const std::size_t axis = i - 2;
        const Index tap = lowering.reduced_axis(w[i]);
        const Index place = out[i] + geometry.pad[axis] - tap * geometry.dilation[axis];
        lowering.guard({place, geometry.stride[axis], extent_of(x[i])});
        x_index.push_back(floor_div(place, geometry.stride[axis]));
        w_index.push_back(tap);
    }
    const Dim out_channels = lowering.output_type().shape[1];
    const Index channel = lowering.reduced_axis(floor_div(x[1], groups));
    x_index[1] = first_of_group(out[1], out_channels, x[1], groups) + channel;
    w_index[0] = x_index[1];
    const ScalarId a = lowering.read(0, std::move(x_index));
    return lowering.contract(a, lowering.read(1, std::move(w_index)));
}

ScalarId lower_weight_gradient(Lowering& lowering) {
    const Geometry geometry = geometry_of(lowering.attributes());
    const Shape& x = lowering.input_type(0).shape;
    const Shape& dy = lowering.input_type(1).shape;
    const std::vector<Index> out = lowering.out();
    const Index sample = lowering.reduced_axis(x[0]);
    std::vector<Index> x_index{sample,
                               first_of_group(out[0], dy[1], x[1], geometry.groups) + out[1]};
    std::vector<Index> dy_index{sample, out[0]};
    for (std::size_t i = 2; i < x.size(); ++i) {
        const Index position = lowering.reduced_axis(dy[i]);
        dy_index.push_back(position);
        x_index.push_back(tap_position(lowering, geometry, i - 2, position, out[i], x[i]));
    }
    const ScalarId a = lowering.read(0, std::move(x_index));
    return lowering.contract(a, lowering.read(1, std::move(dy_index)));
}

std::vector<Sample> transpose_samples() {
    // Output padding of a stride and more, where taps are further apart.
    std::vector<Sample> samples{{{real({batch(), 2, 5, 4}), real({2, 3, 3, 2})},
                                 {{"stride", Integers{1, 1}},
                                  {"pad", Integers{1, 0}},
                                  {"dilation", Integers{2, 3}},
                                  {"groups", std::int64_t{1}},
                                  {"output_pad", Integers{1, 2}}}},
                                {{real({2, 4, 5}), real({4, 3, 2})},
                                 {{"stride", Integers{2}},
                                  {"pad", Integers{2}},
                                  {"dilation", Integers{4}},
                                  {"groups", std::int64_t{2}},
                                  {"output_pad", Integers{3}}}}};
    for (const SampleShape& s : sample_shapes()) {
        const Geometry geometry{s.stride, s.pad, s.dilation, s.groups};
        Attributes attributes = attributes_of(geometry);
        const Shape y = result_shape(s);
        attributes.set("output_pad", missing(s.x, y, s.w, geometry));
        samples.push_back({{real(y), real(s.w)}, std::move(attributes)});
    }
    return samples;
}

std::vector<Sample> weight_gradient_samples() {
    // Of the first positions.
    std::vector<Sample> samples{{{real({batch(), 2, 7, 8}), real({batch(), 3, 2, 5})},
                                 {{"stride", Integers{1, 1}},
                                  {"pad", Integers{0, 1}},
                                  {"dilation", Integers{2, 2}},
                                  {"groups", std::int64_t{1}},
                                  {"size", Integers{3, 3}}}}};
    for (const SampleShape& s : sample_shapes()) {
        Attributes attributes = attributes_of({s.stride, s.pad, s.dilation, s.groups});
        attributes.set("size", size_of_kernel(s.w));
        samples.push_back({{real(s.x), real(result_shape(s))}, std::move(attributes)});
    }
    return samples;
}

}  // namespace

constexpr OpDef kConvTransposeNd{
    .name = "conv_transpose_nd",
    .doc = "the adjoint of conv_nd in x: x [N, I, y...], w [I, O / groups, k...] to sizes "
           "(n - 1) stride - 2 pad + dilation (k - 1) + 1 + output_pad",
    .family = OpFamily::contraction,
    .min_inputs = 2,
    .max_inputs = 2,
    .attributes = kTransposeAttributes,
    .infer = infer_transpose,
    .grad = grad_of_transpose,
    .lower = lower_transpose,
    .samples = transpose_samples,
};

constexpr OpDef kConvNdWeightGradient{
    .name = "conv_nd_weight_gradient",
    .doc = "the adjoint of conv_nd in w, of x and dy",
    .family = OpFamily::contraction,
    .min_inputs = 2,
    .max_inputs = 2,
    .attributes = kWeightGradientAttributes,
    .infer = infer_weight_gradient,
    .grad = grad_of_weight_gradient,
    .lower = lower_weight_gradient,
    .samples = weight_gradient_samples,
};

}  // namespace netc
