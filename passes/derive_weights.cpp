#include "passes/derive_weights.h"

#include <algorithm>
#include <optional>

#include "ir/graph_builder.h"
#include "ir/op_def.h"
#include "passes/rewrite.h"

namespace netc {
namespace {

bool is_static(const Type& type) {
    for (const Dim& dim : type.shape) {
        if (!dim.is_static()) return false;
    }
    return true;
}

enum class Source : std::uint8_t { constant, weights, inputs };

// What each value depends on.
std::vector<Source> sources_of(const Function& function) {
    std::vector<Source> sources;
    for (const Node& node : function.nodes) {
        Source source = Source::constant;
        for (NodeId input : node.inputs) source = std::max(source, sources[input.index]);
        if (node.op == OpId::variable) source = Source::weights;
        if (node.op == OpId::input || node.op == OpId::hyper || !is_static(node.type)) {
            source = Source::inputs;
        }
        sources.push_back(source);
    }
    return sources;
}

// Values of weights alone that something else reads. Of a broadcast its operand: copying it out would only
// make it larger.
std::vector<bool> boundary_of(const Function& function, const std::vector<Source>& sources) {
    std::vector<bool> boundary(function.nodes.size());
    const auto mark = [&](NodeId id) {
        if (sources[id.index] != Source::weights) return;
        while (function[id].op == OpId::broadcast) id = function[id].inputs[0];
        boundary[id.index] = true;
    };
    for (std::size_t i = 0; i < function.nodes.size(); ++i) {
        if (sources[i] != Source::inputs) continue;
        for (NodeId input : function.nodes[i].inputs) mark(input);
    }
    for (const Function::Result& result : function.results) {
        mark(result.value);
    }
    return boundary;
}

VariableId add_prepared(Module& module, const Function& function, std::uint32_t node) {
    const Node& value = function.nodes[node];
    Variable prepared;
    prepared.name =
        value.op == OpId::variable
            ? "prepared:" + module
                                .variables[static_cast<std::size_t>(
                                    value.attributes.get<std::int64_t>("index"))]
                                .name
            : "prepared:" + function.origins[value.origin].instance + "." + std::to_string(node);
    prepared.type = value.type;
    prepared.kind = VariableKind::prepared;
    prepared.decay = false;
    module.variables.push_back(std::move(prepared));
    return static_cast<VariableId>(module.variables.size() - 1);
}

}  // namespace

void derive_weights(Module& module) {
    Function* forward = module.find("forward");
    if (forward == nullptr) return;

    const std::vector<Source> sources = sources_of(*forward);
    const std::vector<bool> boundary = boundary_of(*forward, sources);
    Function prepare = *forward;
    prepare.name = "prepare";
    prepare.results.clear();
    prepare.updates.clear();
    prepare.inputs.clear();
    std::vector<std::optional<VariableId>> variable_of(forward->nodes.size());
    for (std::uint32_t i = 0; i < forward->nodes.size(); ++i) {
        if (!boundary[i]) continue;
        variable_of[i] = add_prepared(module, *forward, i);
        prepare.updates.push_back({*variable_of[i], NodeId{i}});
    }
    remove_dead_nodes(prepare);

    std::uint32_t old = 0;
    rewrite(*forward, [&](Rebuilder& to, const Node& node) -> std::optional<NodeId> {
        const std::optional<VariableId> variable = variable_of[old++];
        if (!variable) return std::nullopt;
        return to.append(OpId::variable, {},
                         {{"index", static_cast<std::int64_t>(*variable)},
                          {"dtype", node.type.dtype},
                          {"shape", node.type.shape}},
                         node.type, node.origin);
    });
    module.functions.push_back(std::move(prepare));  // invalidates `forward`
}

}  // namespace netc
