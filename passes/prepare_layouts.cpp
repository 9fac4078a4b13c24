#include "passes/prepare_layouts.h"

#include <algorithm>

#include "passes/rewrite.h"

namespace netc {
namespace {

VariableId variable_of(const Node& node) {
    return static_cast<VariableId>(node.attributes.get<std::int64_t>("index"));
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

Node permuted(NodeId value, const Type& from, const std::vector<std::int32_t>& order, OriginId origin) {
    Type type = from;
    std::vector<std::int64_t> wanted;
    for (std::size_t d = 0; d < order.size(); ++d) {
        type.shape[d] = from.shape[static_cast<std::size_t>(order[d])];
        wanted.push_back(order[d]);
    }
    return {.op = OpId::permute,
            .inputs = {value},
            .attributes = {{"order", std::move(wanted)}},
            .type = std::move(type),
            .origin = origin,
            .group = 0,
            .layout = {}};
}

std::vector<std::int32_t> inverse(const std::vector<std::int32_t>& order) {
    std::vector<std::int32_t> back(order.size());
    for (std::size_t d = 0; d < order.size(); ++d)
        back[static_cast<std::size_t>(order[d])] = static_cast<std::int32_t>(d);
    return back;
}

// A copy of a prepared variable that only changes the order of its dims.
bool lays_out(const Module& module, const Function& forward, const Node& node) {
    if (node.op != OpId::copy || node.layout.order.empty() || node.layout.lanes ||
        node.layout.extra != 0) {
        return false;
    }
    const Node& source = forward[node.inputs[0]];
    return source.op == OpId::variable &&
           module.variables[variable_of(source)].kind == VariableKind::prepared;
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
    std::vector<Node> nodes;
    std::vector<NodeId> moved;
    const auto append = [](std::vector<Node>& list, Node node) {
        list.push_back(std::move(node));
        return NodeId{static_cast<std::uint32_t>(list.size() - 1)};
    };
    for (const Node& old : forward->nodes) {
        Node node = old;
        for (NodeId& input : node.inputs) input = moved[input.index];
        if (lays_out(module, *forward, old)) {
            const NodeId source = old.inputs[0];
            VariableId variable = variable_of((*forward)[source]);
            const auto update =
                std::ranges::find(prepare->updates, variable, &Function::Update::variable);
            const NodeId value =
                append(prepare->nodes, permuted(update->value, old.type, old.layout.order,
                                                (*prepare)[update->value].origin));
            if (readers[source.index] == 1) {
                update->value = value;  // nobody wants it as it was
            } else {
                Variable other;
                other.name = module.variables[variable].name + "." + std::to_string(nodes.size());
                other.kind = VariableKind::prepared;
                other.decay = false;
                module.variables.push_back(std::move(other));
                variable = static_cast<VariableId>(module.variables.size() - 1);
                prepare->updates.push_back({variable, value});
            }
            const Type type = module.variables[variable].type = (*prepare)[value].type;
            const NodeId laid_out = append(nodes, variable_node(variable, type, old.origin));
            node = permuted(laid_out, type, inverse(old.layout.order), old.origin);
        }
        moved.push_back(append(nodes, std::move(node)));
    }
    forward->nodes = std::move(nodes);
    for (auto& result : forward->results) result.value = moved[result.value.index];
    for (auto& update : forward->updates) update.value = moved[update.value.index];
    remove_dead_nodes(*forward);
}

}  // namespace netc
