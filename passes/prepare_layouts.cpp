#include "passes/prepare_layouts.h"

#include <algorithm>
#include <optional>

#include "ir/op_def.h"
#include "passes/rewrite.h"

namespace netc {
namespace {

VariableId variable_of(const Node& node) {
    return static_cast<VariableId>(node.attributes.get<std::int64_t>("index"));
}

// The nodes from a variable to this copy, where they are one chain of views that nobody else reads.
std::optional<std::vector<NodeId>> chain_to(const Function& forward, NodeId copy,
                                            const std::vector<std::size_t>& readers) {
    std::vector<NodeId> chain{copy};
    while (forward[chain.back()].op != OpId::variable) {
        const Node& node = forward[chain.back()];
        const bool view = op_def(node.op).family == OpFamily::view && node.inputs.size() == 1;
        if (chain.back() != copy && (!view || readers[chain.back().index] != 1))
            return std::nullopt;
        chain.push_back(node.inputs[0]);
    }
    std::ranges::reverse(chain);
    return chain;
}

Node variable_node(VariableId variable, const Type& type, OriginId origin) {
    return {.op = OpId::variable,
            .inputs = {},
            .attributes = {{"index", static_cast<std::int64_t>(variable)},
                           {"dtype", type.dtype},
                           {"shape", type.shape}},
            .type = type,
            .origin = origin,
            .group = 0,
            .layout = {}};
}

// The value seen through the views. An elementwise operator is applied to what it reads, seen so: its result is then
// written where it belongs at once.
NodeId viewed(Function& function, NodeId value, const std::vector<Node>& views) {
    if (views.empty()) return value;
    Node node = function[value];
    if (op_def(node.op).family == OpFamily::elementwise) {
        for (NodeId& input : node.inputs) {
            if (function[input].type.shape == node.type.shape)
                input = viewed(function, input, views);
        }
        node.type.shape = views.back().type.shape;
        function.nodes.push_back(std::move(node));
        return NodeId{static_cast<std::uint32_t>(function.nodes.size() - 1)};
    }
    for (Node view : views) {
        view.inputs = {value};
        view.origin = node.origin;
        view.type.dtype = node.type.dtype;
        function.nodes.push_back(std::move(view));
        value = NodeId{static_cast<std::uint32_t>(function.nodes.size() - 1)};
    }
    return value;
}

}  // namespace

void prepare_layouts(Module& module) {
    Function* forward = module.find("forward");
    Function* prepare = module.find("prepare");
    if (forward == nullptr || prepare == nullptr) return;
    std::vector<std::size_t> readers(forward->nodes.size());
    for (const Node& node : forward->nodes) {
        for (NodeId input : node.inputs) ++readers[input.index];
    }
    for (std::uint32_t i = 0; i < forward->nodes.size(); ++i) {
        if (forward->nodes[i].op != OpId::copy || !forward->nodes[i].layout.order.empty()) continue;
        const auto chain = chain_to(*forward, NodeId{i}, readers);
        if (!chain) continue;
        const NodeId source = chain->front();
        VariableId variable = variable_of((*forward)[source]);
        if (module.variables[variable].kind != VariableKind::prepared) continue;
        const auto update =
            std::ranges::find(prepare->updates, variable, &Function::Update::variable);
        std::vector<Node> views;
        for (std::size_t k = 1; k + 1 < chain->size(); ++k)
            views.push_back((*forward)[(*chain)[k]]);
        const NodeId value = viewed(*prepare, update->value, views);
        if (readers[source.index] == 1) {
            update->value = value;  // nobody wants it as it was
        } else {
            Variable other;
            other.name = module.variables[variable].name + "." + std::to_string(i);
            other.kind = VariableKind::prepared;
            other.decay = false;
            module.variables.push_back(std::move(other));
            variable = static_cast<VariableId>(module.variables.size() - 1);
            prepare->updates.push_back({variable, value});
            --readers[source.index];
        }
        Node& copy = forward->nodes[i];
        module.variables[variable].type = copy.type;
        copy = variable_node(variable, copy.type, copy.origin);
    }
    remove_dead_nodes(*forward);
}

}  // namespace netc
