// Convolutions over any number of spatial axes, x [N, C, y...]. The three of them are each other's
// gradients. Padding and the steps that a stride skips are guards of the sum: no term, rather than a
// product with zero.
#include "ir/ops/common.h"

namespace netc {
namespace {

using namespace ops;

constexpr AttributeSpec kStrideAttribute{"stride", AttributeKind::integers,
                                         "step per spatial axis"};
constexpr AttributeSpec kPadAttribute{"pad", AttributeKind::integers,
                                      "padding on both sides, per axis"};
constexpr AttributeSpec kDilationAttribute{"dilation", AttributeKind::integers,
                                           "distance of the kernel's taps, per axis"};
constexpr AttributeSpec kGroupsAttribute{"groups", AttributeKind::integer,
                                         "channels fall into this many groups that do not mix"};

constexpr AttributeSpec kConvAttributes[] = {kStrideAttribute, kPadAttribute, kDilationAttribute,
                                             kGroupsAttribute};
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

struct Geometry {
    Integers stride, pad, dilation;
    std::int64_t groups = 1;
};

Geometry geometry_of(const Attributes& attributes) {
    return {attributes.get<Integers>("stride"), attributes.get<Integers>("pad"),
            attributes.get<Integers>("dilation"), attributes.get<std::int64_t>("groups")};
}

Status check_geometry(const Geometry& geometry, std::size_t spatial) {
    if (Status s = check_integers("stride", geometry.stride, spatial, 1); !s) return s;
    if (Status s = check_integers("pad", geometry.pad, spatial, 0); !s) return s;
    if (Status s = check_integers("dilation", geometry.dilation, spatial, 1); !s) return s;
    if (geometry.groups < 1) return fact(fmt::format("{} groups", geometry.groups));
    return {};
}

// x [N, C, y...] and w [O, I, k...]: equal rank of at least 3, dtypes that are multiplied.
Status check_operands(const Type& x, const Type& w) {
    if (Status status = check_factors(x.dtype, w.dtype); !status) return status;
    if (x.rank() < 3 || x.rank() != w.rank()) {
        return fact(fmt::format("{} and {} do not fit: both need a dimension for samples or "
                                "outputs, one for channels, and the same spatial ones",
                                x.to_string(), w.to_string()));
    }
    return {};
}

Status check_divides(const Dim& channels, std::int64_t groups) {
    if (floor_mod(channels, groups) == Dim(0)) return {};
    return fact(
        fmt::format("{} channels do not fall into {} groups", channels.to_string(), groups));
}

// Positions of a kernel over an axis: (x + 2 pad - dilation (k - 1) - 1) // stride + 1.
Result<Dim> positions(const Dim& x, const Dim& size, const Geometry& geometry, std::size_t axis) {
    const Dim reach = Dim(geometry.dilation[axis]) * (size - Dim(1)) + Dim(1);
    const Dim room = x + Dim(2 * geometry.pad[axis]) - reach;
    if (room.is_static() && room.value() < 0) {
        return fact(fmt::format("a kernel that reaches {} does not fit into {} with padding {}",
                                reach.to_string(), x.to_string(), geometry.pad[axis]));
    }
    return floor_div(room, geometry.stride[axis]) + Dim(1);
}

// What that many positions of a kernel cover, without the padding.
Dim reached(const Dim& count, const Dim& size, const Geometry& geometry, std::size_t axis) {
    return (count - Dim(1)) * Dim(geometry.stride[axis]) - Dim(2 * geometry.pad[axis]) +
           Dim(geometry.dilation[axis]) * (size - Dim(1)) + Dim(1);
}

Result<Type> infer_conv(const InferContext& context) {
    const Type& x = context.inputs[0];
    const Type& w = context.inputs[1];
    const Geometry geometry = geometry_of(context.attributes);
    if (Status s = check_operands(x, w); !s) return s.error();
    if (Status s = check_geometry(geometry, x.rank() - 2); !s) return s.error();
    if (x.shape[1] != w.shape[1] * Dim(geometry.groups)) {
        return fact(fmt::format("{} channels are not the {} of the weights, {} groups",
                                x.shape[1].to_string(), w.shape[1].to_string(), geometry.groups));
    }
    if (Status s = check_divides(w.shape[0], geometry.groups); !s) return s.error();
    Type y{sum_type(x.dtype), {x.shape[0], w.shape[0]}};
    for (std::size_t i = 2; i < x.rank(); ++i) {
        const Result<Dim> dim = positions(x.shape[i], w.shape[i], geometry, i - 2);
        if (!dim) return dim.error();
        y.shape.push_back(*dim);
    }
    return y;
}

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

Attributes attributes_of(const Geometry& geometry) {
    return {{"stride", geometry.stride},
            {"pad", geometry.pad},
            {"dilation", geometry.dilation},
            {"groups", geometry.groups}};
}

// What conv_transpose_nd must add to reach `whole` again from the `part` that a stride left.
Integers missing(const Shape& whole, const Shape& part, const Shape& w, const Geometry& geometry) {
    Integers result;
    for (std::size_t i = 2; i < whole.size(); ++i) {
        result.push_back((whole[i] - reached(part[i], w[i], geometry, i - 2)).value());
    }
    return result;
}

// The gradient of conv_nd(x, w) -> y towards x, given something of y's shape.
Value towards_input(GraphBuilder& graph, Value y, Value w, const Shape& x,
                    const Geometry& geometry) {
    Attributes attributes = attributes_of(geometry);
    attributes.set("output_pad", missing(x, y.type().shape, w.type().shape, geometry));
    return graph.make(OpId::conv_transpose_nd, {y, w}, std::move(attributes));
}

Integers size_of_kernel(const Shape& w) {
    Integers size;
    for (std::size_t i = 2; i < w.size(); ++i) size.push_back(w[i].value());
    return size;
}

// And towards w.
Value towards_weights(GraphBuilder& graph, Value x, Value y, const Shape& w,
                      const Geometry& geometry) {
    Attributes attributes = attributes_of(geometry);
    attributes.set("size", size_of_kernel(w));
    return graph.make(OpId::conv_nd_weight_gradient, {x, y}, std::move(attributes));
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

void grad_of_conv(GradBuilder& g) {
    const Geometry geometry = geometry_of(g.attributes());
    GraphBuilder& graph = g.graph();
    const Shape x = g.x(0).type().shape;
    const Shape w = g.x(1).type().shape;
    if (g.needs(0)) g.add(0, towards_input(graph, g.dy(), g.x(1), x, geometry));
    if (g.needs(1)) g.add(1, towards_weights(graph, g.x(0), g.dy(), w, geometry));
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

// First channel, on the other side, of the group that `channel` belongs to.
Index first_of_group(const Index& channel, const Dim& own, const Dim& other, std::int64_t groups) {
    if (groups == 1) return 0;
    return floor_div(channel, own.value() / groups) * (other.value() / groups);
}

// Where a tap lies in the input. The terms in the padding are guarded away.
Index tap_position(Lowering& lowering, const Geometry& geometry, std::size_t axis,
                   const Index& position, const Index& tap, const Dim& extent) {
    const Index place =
        position * geometry.stride[axis] + tap * geometry.dilation[axis] - geometry.pad[axis];
    if (geometry.pad[axis] > 0) lowering.guard({place, 1, extent_of(extent)});
    return place;
}

ScalarId lower_conv(Lowering& lowering) {
    const Geometry geometry = geometry_of(lowering.attributes());
    const Shape& x = lowering.input_type(0).shape;
    const Shape& w = lowering.input_type(1).shape;
    const std::vector<Index> out = lowering.out();
    std::vector<Index> x_index{out[0], 0};
    std::vector<Index> w_index{out[1], 0};
    for (std::size_t i = 2; i < x.size(); ++i) {
        const Index tap = lowering.reduced_axis(w[i]);
        w_index.push_back(tap);
        x_index.push_back(tap_position(lowering, geometry, i - 2, out[i], tap, x[i]));
    }
    // Channels innermost: whether a tap lies in the padding is settled outside of the longest loop.
    const Index channel = lowering.reduced_axis(w[1]);
    x_index[1] = first_of_group(out[1], w[0], x[1], geometry.groups) + channel;
    w_index[1] = channel;
    const ScalarId a = lowering.read(0, std::move(x_index));
    return lowering.contract(a, lowering.read(1, std::move(w_index)));
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

struct SampleShape {
    Shape x, w;
    Integers stride, pad, dilation;
    std::int64_t groups;
};

// Odd sizes, every attribute by itself and all together, one to three spatial axes.
std::vector<SampleShape> sample_shapes() {
    return {
        {{batch(), 1, 8, 8}, {4, 1, 3, 3}, {1, 1}, {0, 0}, {1, 1}, 1},
        {{batch(), 3, 7, 5}, {5, 3, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 1},
        {{batch(), 2, 9, 8}, {3, 2, 3, 2}, {2, 2}, {1, 0}, {1, 1}, 1},
        {{batch(), 2, 9, 9}, {2, 2, 3, 3}, {1, 1}, {2, 2}, {2, 2}, 1},
        {{batch(), 4, 6, 6}, {6, 2, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 2},
        {{batch(), 3, 5, 5}, {3, 1, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 3},
        {{2, 4, 11, 10}, {6, 2, 3, 2}, {3, 2}, {2, 1}, {2, 1}, 2},
        {{batch(), 2, 9}, {3, 2, 4}, {2}, {1}, {1}, 1},
        {{batch(), 2, 4, 5, 4}, {2, 2, 2, 3, 2}, {1, 2, 1}, {0, 1, 1}, {1, 1, 1}, 1},
        {{batch(), 17, 3, 3}, {18, 17, 1, 1}, {1, 1}, {0, 0}, {1, 1}, 1},
    };
}

std::vector<Sample> conv_samples() {
    std::vector<Sample> samples;
    for (const SampleShape& s : sample_shapes()) {
        samples.push_back(
            {{real(s.x), real(s.w)}, attributes_of({s.stride, s.pad, s.dilation, s.groups})});
    }
    return samples;
}

Shape result_shape(const SampleShape& s) {
    const Geometry geometry{s.stride, s.pad, s.dilation, s.groups};
    return infer_conv({{real(s.x), real(s.w)}, attributes_of(geometry)}).value().shape;
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

constexpr OpDef kConvNd{
    .name = "conv_nd",
    .doc = "cross-correlation of x [N, C, y...] with w [O, C / groups, k...]",
    .family = OpFamily::contraction,
    .min_inputs = 2,
    .max_inputs = 2,
    .attributes = kConvAttributes,
    .infer = infer_conv,
    .grad = grad_of_conv,
    .lower = lower_conv,
    .samples = conv_samples,
};

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
