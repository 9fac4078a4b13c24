#include "passes/fold_scale.h"

#include <optional>

#include "ir/graph_builder.h"
#include "passes/rewrite.h"

namespace netc {
namespace {

// The vector [C] behind a value that is constant over all dims of [B, C, ...] but the channel:
// broadcast(reshape(v, [C, 1, ...])) or reshape/broadcast chains of that kind.
std::optional<NodeId> channel_vector(const Function& function, NodeId id) {
    const Node* node = &function[id];
    if (node->op != OpId::broadcast || node->type.rank() < 3) return std::nullopt;
    const Dim channels = node->type.shape[1];
    const Node* view = node;
    NodeId at = id;
    while (view->op == OpId::broadcast || view->op == OpId::reshape) {
        at = view->inputs[0];
        view = &function[at];
        if (view->type.shape == Shape{channels}) break;
    }
    if (view->type.shape != Shape{channels}) return std::nullopt;
    // The step from [C] must put the channels at dim 1: [C, 1, 1], or [1, C, 1, 1].
    for (const Node* step = node; step != view; step = &function[step->inputs[0]]) {
        const Shape& shape = step->type.shape;
        const std::size_t behind = node->type.rank() - 2;
        if (shape.size() < behind + 1) return std::nullopt;
        if (shape[shape.size() - behind - 1] != channels) return std::nullopt;
    }
    return at;
}

// scale * conv + offset: what a chain behind one convolution amounts to. Missing is 1 or 0.
struct Affine {
    NodeId convolution;
    std::optional<NodeId> scale, offset;  // [C]
};

class Folder {
public:
    explicit Folder(Function& function) : f_(function), readers_(function.nodes.size()) {
        for (const Node& node : f_.nodes) {
            for (NodeId input : node.inputs) ++readers_[input.index];
        }
        for (const Function::Result& result : f_.results) ++readers_[result.value.index];
    }

    // The affine form of a node, adding what it needs to `to` (a builder on the same function).
    std::optional<Affine> match(NodeId id, GraphBuilder& b) {
        const Node node = f_[id];
        if (node.op == OpId::conv_nd) return Affine{id, std::nullopt, std::nullopt};
        if (node.op != OpId::add && node.op != OpId::sub && node.op != OpId::mul)
            return std::nullopt;
        const NodeId inner = node.inputs[0];
        if (inner.index >= readers_.size() || readers_[inner.index] != 1) return std::nullopt;
        const std::optional<NodeId> vector = channel_vector(f_, node.inputs[1]);
        if (!vector) return std::nullopt;
        std::optional<Affine> affine = match(inner, b);
        if (!affine) return std::nullopt;
        const Value v{&b, *vector};
        auto value = [&](NodeId n) { return Value{&b, n}; };
        if (node.op == OpId::mul) {
            affine->scale = affine->scale ? (value(*affine->scale) * v).id : v.id;
            if (affine->offset) affine->offset = (value(*affine->offset) * v).id;
        } else if (node.op == OpId::add) {
            affine->offset = affine->offset ? (value(*affine->offset) + v).id : v.id;
        } else {
            affine->offset = affine->offset ? (value(*affine->offset) - v).id : (-v).id;
        }
        return affine;
    }

private:
    Function& f_;
    std::vector<std::uint32_t> readers_;
};

}  // namespace

bool fold_scale(Function& function) {
    // The last node of each chain that holds a factor; its readers then read the folded value.
    const std::size_t count = function.nodes.size();
    std::vector<bool> inside(count);  // part of a longer chain
    for (std::uint32_t i = 0; i < count; ++i) {
        const Node& node = function.nodes[i];
        if (node.op != OpId::add && node.op != OpId::sub && node.op != OpId::mul) continue;
        if (channel_vector(function, node.inputs[1])) inside[node.inputs[0].index] = true;
    }
    bool changed = false;
    GraphBuilder b(function);
    Folder folder(function);
    for (std::uint32_t i = 0; i < count; ++i) {
        if (inside[i]) continue;
        b.set_origin(function.nodes[i].origin);
        const std::optional<Affine> affine = folder.match(NodeId{i}, b);
        if (!affine || !affine->scale) continue;
        const Node convolution = function[affine->convolution];
        const Value weights{&b, convolution.inputs[1]};
        Shape per_output(weights.type().rank(), Dim(1));
        per_output[0] = weights.type().shape[0];
        Value scaled = weights * b.broadcast(b.reshape({&b, *affine->scale}, per_output),
                                             weights.type().shape);
        Value y =
            b.make(OpId::conv_nd, {{&b, convolution.inputs[0]}, scaled}, convolution.attributes);
        if (affine->offset) {
            Shape per_channel(y.type().rank() - 1, Dim(1));
            per_channel[0] = y.type().shape[1];
            y = y + b.broadcast(b.reshape({&b, *affine->offset}, per_channel), y.type().shape);
        }
        // Everybody who read the end of the chain reads y; order is restored by sorting below.
        for (std::uint32_t n = 0; n < count; ++n) {
            for (NodeId& input : function.nodes[n].inputs) {
                if (input == NodeId{i}) input = y.id;
            }
        }
        for (Function::Result& result : function.results) {
            if (result.value == NodeId{i}) result.value = y.id;
        }
        changed = true;
    }
    if (changed) sort_topologically(function);
    return changed;
}

}  // namespace netc
