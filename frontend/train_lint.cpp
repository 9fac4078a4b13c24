// What can be said of a training graph before anything is trained.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/train_settings.h"
#include "ir/op_def.h"

namespace netc::frontend {

namespace {

bool is_trained(const Module& module, const Node& node) {
    const Variable& variable =
        module.variables[static_cast<std::size_t>(node.attributes.get<std::int64_t>("index"))];
    return variable.kind == VariableKind::parameter && !variable.frozen;
}

}  // namespace

bool trains_through_half(Session& session, const Function& function) {
    std::vector<bool> trained(function.nodes.size(), false);
    for (std::size_t i = 0; i < function.nodes.size(); ++i) {
        const Node& node = function.nodes[i];
        if (node.op == OpId::stop_gradient) continue;
        trained[i] = node.op == OpId::variable && is_float(node.type.dtype);
        for (const NodeId input : node.inputs) trained[i] = trained[i] || trained[input.index];
        if (!trained[i] || !is_half(node.type.dtype)) continue;
        const std::string what = fmt::format("training through {}", name_of(node.type.dtype));
        session.diagnostics.add(
            diagnose<Code::not_supported_yet>(function.origins[node.origin].span, what)
                .help("`stop_gradient` before the conversion keeps gradients out of it"));
        return true;
    }
    return false;
}

void lint_gradient(Session& session, const TrainSection& section, const Function& function,
                   NodeId total, Span loss) {
    std::vector<bool> read(function.nodes.size(), false), flows(function.nodes.size(), false);
    std::vector<OpId> blocked_by(function.nodes.size(), OpId::input);
    read[total.index] = flows[total.index] = true;
    for (std::size_t i = function.nodes.size(); i-- > 0;) {
        if (!read[i]) continue;
        const Node& node = function.nodes[i];
        // What a scan's body lets through is not looked into.
        const OpDef& def = op_def(node.op);
        const bool passes = flows[i] && (def.grad != nullptr || def.family == OpFamily::loop) &&
                            node.op != OpId::stop_gradient && node.op != OpId::floor;
        for (const NodeId input : node.inputs) {
            read[input.index] = true;
            if (passes) flows[input.index] = true;
            if (!passes) blocked_by[input.index] = flows[i] ? node.op : blocked_by[i];
        }
    }
    bool trains = false;
    for (std::size_t i = 0; i < function.nodes.size(); ++i) {
        const Node& node = function.nodes[i];
        if (node.op == OpId::variable && flows[i])
            trains = trains || is_trained(section.module, node);
    }
    const auto& all = section.module.variables;
    const auto first = std::find_if(all.begin(), all.end(), [](const Variable& variable) {
        return variable.kind == VariableKind::parameter;
    });
    for (std::size_t i = 0; i < function.nodes.size(); ++i) {
        const Node& node = function.nodes[i];
        if (node.op != OpId::variable || !read[i] || flows[i]) continue;
        const Variable& variable =
            section.module
                .variables[static_cast<std::size_t>(node.attributes.get<std::int64_t>("index"))];
        if (variable.kind != VariableKind::parameter || variable.frozen) continue;
        session.diagnostics.add(diagnose<Code::no_gradient>(loss, variable.name)
                                    .note("`{}` stands in between", op_def(blocked_by[i]).name)
                                    .label(variable.span, "`{}` is declared here", variable.name));
        return;
    }
    if (trains || first == all.end()) return;
    const bool frozen = std::all_of(all.begin(), all.end(), [](const Variable& variable) {
        return variable.kind != VariableKind::parameter || variable.frozen;
    });
    session.diagnostics.add(
        diagnose<Code::no_gradient>(loss, first->name)
            .note("{}, so nothing is trained",
                  frozen ? "all parameters are frozen" : "the loss depends on no parameter"));
}

}  // namespace netc::frontend
