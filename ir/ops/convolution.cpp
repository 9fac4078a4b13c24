// conv_nd, and what the three convolutions share.
#include "ir/ops/convolution.h"

namespace netc {
namespace {

using namespace ops;

constexpr AttributeSpec kConvAttributes[] = {kStrideAttribute, kPadAttribute, kDilationAttribute,
                                             kGroupsAttribute};

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

}  // namespace

namespace ops {

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

Result<Dim> positions(const Dim& x, const Dim& size, const Geometry& geometry, std::size_t axis) {
    const Dim reach = Dim(geometry.dilation[axis]) * (size - Dim(1)) + Dim(1);
    const Dim room = x + Dim(2 * geometry.pad[axis]) - reach;
    if (room.is_static() && room.value() < 0) {
        return fact(fmt::format("a kernel that reaches {} does not fit into {} with padding {}",
                                reach.to_string(), x.to_string(), geometry.pad[axis]));
    }
    return floor_div(room, geometry.stride[axis]) + Dim(1);
}

Dim reached(const Dim& count, const Dim& size, const Geometry& geometry, std::size_t axis) {
    return (count - Dim(1)) * Dim(geometry.stride[axis]) - Dim(2 * geometry.pad[axis]) +
           Dim(geometry.dilation[axis]) * (size - Dim(1)) + Dim(1);
}

Attributes attributes_of(const Geometry& geometry) {
    return {{"stride", geometry.stride},
            {"pad", geometry.pad},
            {"dilation", geometry.dilation},
            {"groups", geometry.groups}};
}

Integers missing(const Shape& whole, const Shape& part, const Shape& w, const Geometry& geometry) {
    Integers result;
    for (std::size_t i = 2; i < whole.size(); ++i) {
        result.push_back((whole[i] - reached(part[i], w[i], geometry, i - 2)).value());
    }
    return result;
}

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

Value towards_weights(GraphBuilder& graph, Value x, Value y, const Shape& w,
                      const Geometry& geometry) {
    Attributes attributes = attributes_of(geometry);
    attributes.set("size", size_of_kernel(w));
    return graph.make(OpId::conv_nd_weight_gradient, {x, y}, std::move(attributes));
}

Index first_of_group(const Index& channel, const Dim& own, const Dim& other, std::int64_t groups) {
    if (groups == 1) return 0;
    return floor_div(channel, own.value() / groups) * (other.value() / groups);
}

Index tap_position(Lowering& lowering, const Geometry& geometry, std::size_t axis,
                   const Index& position, const Index& tap, const Dim& extent) {
    const Index place =
        position * geometry.stride[axis] + tap * geometry.dilation[axis] - geometry.pad[axis];
    if (geometry.pad[axis] > 0) lowering.guard({place, 1, extent_of(extent)});
    return place;
}

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

Shape result_shape(const SampleShape& s) {
    const Geometry geometry{s.stride, s.pad, s.dilation, s.groups};
    return infer_conv({{real(s.x), real(s.w)}, attributes_of(geometry)}).value().shape;
}

}  // namespace ops

namespace {

void grad_of_conv(GradBuilder& g) {
    const Geometry geometry = geometry_of(g.attributes());
    GraphBuilder& graph = g.graph();
    const Shape x = g.x(0).type().shape;
    const Shape w = g.x(1).type().shape;
    if (g.needs(0)) g.add(0, towards_input(graph, g.dy(), g.x(1), x, geometry));
    if (g.needs(1)) g.add(1, towards_weights(graph, g.x(0), g.dy(), w, geometry));
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

std::vector<Sample> conv_samples() {
    std::vector<Sample> samples;
    for (const SampleShape& s : sample_shapes()) {
        samples.push_back(
            {{real(s.x), real(s.w)}, attributes_of({s.stride, s.pad, s.dilation, s.groups})});
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

}  // namespace netc
