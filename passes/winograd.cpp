#include "passes/winograd.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "ir/op_def.h"
#include "passes/rewrite.h"

namespace netc {
namespace {

using Integers = std::vector<std::int64_t>;

constexpr std::int64_t kTaps = 3;
// In multiply-adds: what it costs to write and read an element of a transformed image, most of it memory.
constexpr std::int64_t kTransform = 32;
// And an element of the weights, once a call: in inference reading it, for one sample; in training making it or its
// gradient too.
constexpr std::int64_t kWeight = 14, kMadeWeight = 70;

// A convolution, or one of its gradients, that can be done so, in numbers: of the convolution itself. The adjoint is the
// convolution of another image, with other padding.
struct Convolution {
    OpId op = OpId::conv_nd;
    std::int64_t in = 0, out = 0;  // channels
    Integers pad, size;            // places of the result
};

bool is_image(const Type& type) {
    return type.rank() == 4 && type.dtype == DType::f32 && type.shape[1].is_static() &&
           type.shape[2].is_static() && type.shape[3].is_static();
}

// `types` of the operands and the result.
std::optional<Convolution> convolution_of(const Node& node, const std::vector<Type>& operands) {
    Convolution c{node.op, 0, 0, {}, {}};
    const Type* image = nullptr;  // of the places that count as the result's
    const Type* taps = nullptr;
    switch (node.op) {
        case OpId::conv_nd:
        case OpId::conv_transpose_nd:
            image = &node.type;
            taps = &operands[1];
            break;
        case OpId::conv_nd_weight_gradient:
            image = &operands[1];
            taps = &node.type;
            break;
        default: return std::nullopt;
    }
    const Attributes& attributes = node.attributes;
    const Integers ones{1, 1};
    if (!is_image(operands[0]) || !is_image(*image) || attributes.get<Integers>("stride") != ones ||
        attributes.get<Integers>("dilation") != ones ||
        attributes.get<std::int64_t>("groups") != 1) {
        return std::nullopt;
    }
    for (const Dim& dim : taps->shape) {
        if (!dim.is_static()) return std::nullopt;
    }
    if (taps->shape[2] != Dim(kTaps) || taps->shape[3] != Dim(kTaps)) return std::nullopt;
    c.in = operands[0].shape[1].value();
    c.out = image->shape[1].value();
    c.pad = attributes.get<Integers>("pad");
    c.size = {image->shape[2].value(), image->shape[3].value()};
    if (node.op == OpId::conv_transpose_nd) {
        for (std::int64_t& pad : c.pad) pad = kTaps - 1 - pad;
        if (c.pad[0] < 0 || c.pad[1] < 0) return std::nullopt;
        if (attributes.get<Integers>("output_pad") != Integers{0, 0}) return std::nullopt;
    }
    return c;
}

// In training, signs behind a convolution decide where gradients go: its sum is to be as exact as the direct one.
constexpr std::int64_t kDeciding = 2;

// Samples of a call, and the cost of an element of the weights.
struct Use {
    std::int64_t batch = 1;
    std::int64_t weight = kWeight;
};

// Multiply-adds of a call; places in the padding cost nothing.
std::int64_t direct_cost(const Convolution& c, const Use& use) {
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
    return (use.batch * products + kTaps * kTaps * use.weight) * c.in * c.out;
}

std::int64_t elements_of(std::int64_t tile) { return (tile + kTaps - 1) * (tile + kTaps - 1); }

std::int64_t tiled_cost(const Convolution& c, std::int64_t tile, const Use& use) {
    const auto tiles = [&](std::int64_t places) { return (places + tile - 1) / tile; };
    const std::int64_t products = c.in * c.out + kTransform * (c.in + c.out);
    return elements_of(tile) *
           (use.batch * tiles(c.size[0]) * tiles(c.size[1]) * products + use.weight * c.in * c.out);
}

class Maker {
public:
    Maker(Rebuilder& to, OriginId origin, std::int64_t tile, bool prepared)
        : to_(to), origin_(origin), tile_(tile), prepared_(prepared) {}

    const Type& type(NodeId id) const { return to_.result()[id].type; }

    NodeId convolution(const Convolution& c, NodeId x, NodeId w) {
        const NodeId input = make(OpId::winograd_input, {x}, {{"tile", tile_}, {"pad", c.pad}});
        Shape shape = type(input).shape;
        const NodeId product =
            make(OpId::einsum, {rows(input), weights(c, w)}, {{"spec", "repc,eco->repo"}});
        shape.back() = c.out;
        const NodeId output = make(OpId::reshape, {product}, {{"shape", shape}});
        return make(OpId::winograd_output, {output}, {{"tile", tile_}, {"size", c.size}});
    }

    NodeId weight_gradient(const Convolution& c, NodeId x, NodeId dy) {
        // The forward pass has transformed x as well. To keep that would cost more than to make it again.
        const NodeId later = make(OpId::after, {x, dy}, {});
        const NodeId input = make(OpId::winograd_input, {later}, {{"tile", tile_}, {"pad", c.pad}});
        const NodeId output = make(OpId::winograd_output_gradient, {dy}, {{"tile", tile_}});
        const NodeId product =
            make(OpId::einsum, {rows(input), rows(output)}, {{"spec", "repc,repo->eco"}});
        const std::int64_t side = tile_ + kTaps - 1;
        const NodeId sum =
            make(OpId::reshape, {product}, {{"shape", Shape{side, side, c.in, c.out}}});
        return make(OpId::winograd_weights_gradient, {sum}, {{"tile", tile_}});
    }

private:
    // convolution_of has seen that all of it fits.
    NodeId make(OpId op, std::vector<NodeId> inputs, Attributes attributes) {
        return to_.try_append(op, std::move(inputs), std::move(attributes), origin_).value();
    }

    // Transformed tiles [N, tiles, side, side, tiles, C] as matrices [rows of tiles, elements, tiles, C].
    NodeId rows(NodeId tiles) {
        const Shape& shape = type(tiles).shape;
        return make(
            OpId::reshape, {tiles},
            {{"shape", Shape{shape[0] * shape[1], elements_of(tile_), shape[4], shape[5]}}});
    }

    // [elements, C, O]. What each step makes anew lies as the product takes it at once.
    NodeId weights(const Convolution& c, NodeId w) {
        const bool blocked = !prepared_ && c.out % kLanes == 0;
        NodeId made = make(
            OpId::winograd_weights, {w},
            {{"tile", tile_}, {"adjoint", c.op == OpId::conv_transpose_nd}, {"blocked", blocked}});
        if (blocked) made = make(OpId::permute, {made}, {{"order", Integers{0, 1, 3, 2, 4}}});
        return make(OpId::reshape, {made}, {{"shape", Shape{elements_of(tile_), c.in, c.out}}});
    }

    Rebuilder& to_;
    OriginId origin_;
    std::int64_t tile_;
    bool prepared_;
};

}  // namespace

std::string winograd(Function& function, std::int64_t largest_tile, std::int64_t batch,
                     bool always) {
    const bool prepared = function.name == "forward";
    const Use use = prepared ? Use{} : Use{std::max<std::int64_t>(1, batch), kMadeWeight};
    std::string choices;
    rewrite(function, [&](Rebuilder& to, const Node& node) -> std::optional<NodeId> {
        std::vector<Type> operands;
        for (const NodeId input : node.inputs) operands.push_back(to.result()[input].type);
        const auto c = convolution_of(node, operands);
        if (!c) return std::nullopt;
        const bool decides = !prepared && node.op == OpId::conv_nd;
        const std::int64_t most = decides ? std::min(largest_tile, kDeciding) : largest_tile;
        std::int64_t best = always ? INT64_MAX : direct_cost(*c, use), chosen = 0;
        for (const std::int64_t tile : {2, 4}) {
            if (always ? tile != largest_tile : tile > most) continue;
            if (tiled_cost(*c, tile, use) >= best) continue;
            best = tiled_cost(*c, tile, use);
            chosen = tile;
        }
        choices += fmt::format("  {}, {} channels to {}, {} x {} places: {}\n",
                               op_def(node.op).name, c->in, c->out, c->size[0], c->size[1],
                               chosen == 0 ? "direct" : fmt::format("F({}, 3)", chosen));
        if (chosen == 0) return std::nullopt;
        Maker maker(to, node.origin, chosen, prepared);
        return node.op == OpId::conv_nd_weight_gradient
                   ? maker.weight_gradient(*c, node.inputs[0], node.inputs[1])
                   : maker.convolution(*c, node.inputs[0], node.inputs[1]);
    });
    return choices.empty() ? choices : "3 x 3 convolutions of " + function.name + "\n" + choices;
}

}  // namespace netc
