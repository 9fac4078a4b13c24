#include "passes/winograd.h"

#include <optional>

#include <fmt/format.h>

#include "ir/op_def.h"
#include "passes/rewrite.h"

namespace netc {
namespace {

using Integers = std::vector<std::int64_t>;

constexpr std::int64_t kTaps = 3;
// In multiply-adds: what it costs to write and read an element of a transformed image, most of it memory, and to read
// one of the weights, which a sample alone reads from memory.
constexpr std::int64_t kTransform = 24;
constexpr std::int64_t kWeight = 14;

// A convolution that can be done so, in numbers.
struct Convolution {
    std::int64_t in = 0, out = 0;  // channels
    Integers pad, size;            // places of the result
};

std::optional<Convolution> convolution_of(const Node& node, const Type& x, const Type& w) {
    if (node.op != OpId::conv_nd || x.rank() != 4 || x.dtype != DType::f32) return std::nullopt;
    const Attributes& attributes = node.attributes;
    const Integers ones{1, 1};
    if (attributes.get<Integers>("stride") != ones ||
        attributes.get<Integers>("dilation") != ones ||
        attributes.get<std::int64_t>("groups") != 1) {
        return std::nullopt;
    }
    for (const Dim& dim : w.shape) {
        if (!dim.is_static()) return std::nullopt;
    }
    if (w.shape[2] != Dim(kTaps) || w.shape[3] != Dim(kTaps)) return std::nullopt;
    Convolution c{w.shape[1].value(), w.shape[0].value(), attributes.get<Integers>("pad"), {}};
    for (std::size_t axis : {2u, 3u}) {
        if (!node.type.shape[axis].is_static()) return std::nullopt;
        c.size.push_back(node.type.shape[axis].value());
    }
    return c;
}

// Multiply-adds for one sample; places in the padding cost nothing.
std::int64_t direct_cost(const Convolution& c) {
    std::int64_t products = 1;
    for (std::size_t axis = 0; axis < 2; ++axis) {
        std::int64_t taps = 0;
        const std::int64_t extent = c.size[axis] - 2 * c.pad[axis] + kTaps - 1;
        for (std::int64_t place = 0; place < c.size[axis]; ++place) {
            for (std::int64_t tap = 0; tap < kTaps; ++tap) {
                const std::int64_t at = place + tap - c.pad[axis];
                if (at >= 0 && at < extent) ++taps;
            }
        }
        products *= taps;
    }
    return (products + kTaps * kTaps * kWeight) * c.in * c.out;
}

std::int64_t winograd_cost(const Convolution& c, std::int64_t tile) {
    const auto tiles = [&](std::int64_t places) { return (places + tile - 1) / tile; };
    const std::int64_t elements = (tile + kTaps - 1) * (tile + kTaps - 1);
    const std::int64_t products = c.in * c.out + kTransform * (c.in + c.out);
    return elements * (tiles(c.size[0]) * tiles(c.size[1]) * products + kWeight * c.in * c.out);
}

class Maker {
public:
    Maker(Rebuilder& to, OriginId origin) : to_(to), origin_(origin) {}

    NodeId make(OpId op, const std::vector<NodeId>& inputs, Attributes attributes) {
        std::vector<Type> types;
        for (NodeId input : inputs) types.push_back(type(input));
        Result<Type> made = infer_type(op, types, attributes);
        return to_.append(op, inputs, std::move(attributes), *made, origin_);
    }
    const Type& type(NodeId id) const { return to_.result()[id].type; }

private:
    Rebuilder& to_;
    OriginId origin_;
};

NodeId by_tiles(Maker& maker, const Convolution& c, std::int64_t tile, NodeId x, NodeId w) {
    const std::int64_t elements = (tile + kTaps - 1) * (tile + kTaps - 1);
    const NodeId weights =
        maker.make(OpId::reshape, {maker.make(OpId::winograd_weights, {w}, {{"tile", tile}})},
                   {{"shape", Shape{elements, c.in, c.out}}});
    const NodeId input = maker.make(OpId::winograd_input, {x}, {{"tile", tile}, {"pad", c.pad}});
    Shape shape = maker.type(input).shape;
    const NodeId rows = maker.make(
        OpId::reshape, {input}, {{"shape", Shape{shape[0] * shape[1], elements, shape[4], c.in}}});
    const NodeId product =
        maker.make(OpId::einsum, {rows, weights}, {{"spec", std::string("repc,eco->repo")}});
    shape.back() = c.out;
    const NodeId output = maker.make(OpId::reshape, {product}, {{"shape", shape}});
    return maker.make(OpId::winograd_output, {output}, {{"tile", tile}, {"size", c.size}});
}

}  // namespace

std::string winograd(Function& function, std::int64_t largest_tile, bool always) {
    std::string choices;
    rewrite(function, [&](Rebuilder& to, const Node& node) -> std::optional<NodeId> {
        if (node.op != OpId::conv_nd) return std::nullopt;
        Maker maker(to, node.origin);
        const NodeId x = node.inputs[0], w = node.inputs[1];
        const auto c = convolution_of(node, maker.type(x), maker.type(w));
        if (!c) return std::nullopt;
        std::int64_t best = always ? INT64_MAX : direct_cost(*c), chosen = 0;
        for (const std::int64_t tile : {2, 4}) {
            if (always && tile != largest_tile) continue;
            if (tile > largest_tile || winograd_cost(*c, tile) >= best) continue;
            best = winograd_cost(*c, tile);
            chosen = tile;
        }
        choices +=
            fmt::format("  {} channels to {}, {} x {} places: {}\n", c->in, c->out, c->size[0],
                        c->size[1], chosen == 0 ? "direct" : fmt::format("F({}, 3)", chosen));
        if (chosen == 0) return std::nullopt;
        return by_tiles(maker, *c, chosen, x, w);
    });
    return choices.empty() ? choices : "3 x 3 convolutions of " + function.name + "\n" + choices;
}

}  // namespace netc
