#include "passes/differentiate.h"

#include "passes/reverse_sweep.h"
#include "passes/rewrite.h"

namespace netc {

void ReverseSweep::run() {
    for (auto i = static_cast<std::uint32_t>(depends_.size()); i-- > 0;) {
        if (!depends_[i]) continue;
        node_ = NodeId{i};
        const Node& node = builder_.function()[node_];
        builder_.set_origin(node.origin);
        if (node.op == OpId::scan) {
            differentiate_scan(*this, node_);
            continue;
        }
        const OpDef& def = op_def(node.op);
        if (!gradients_[i].valid() || def.grad == nullptr) continue;
        attributes_ = node.attributes;
        rules_.push_back(
            {static_cast<std::uint32_t>(builder_.function().nodes.size()), gradients_[i]});
        def.grad(*this);
    }
    builder_.set_origin(0);
}

void ReverseSweep::add_to(NodeId node, Value gradient) {
    if (!depends(node)) return;
    NodeId& sum = gradients_[node.index];
    sum = sum.valid() ? (Value{&builder_, sum} + gradient).id : gradient.id;
}

// One leaf may be read by several nodes: their gradients add up, in node order.
NodeId ReverseSweep::gradient_of_leaf(OpId op, std::int64_t index) {
    NodeId total;
    for (std::uint32_t i = 0; i < gradients_.size(); ++i) {
        const Node& node = builder_.function().nodes[i];
        if (node.op != op || node.attributes.get<std::int64_t>("index") != index) continue;
        const NodeId part = gradients_[i];
        if (!part.valid()) continue;
        builder_.set_origin(node.origin);
        total = total.valid() ? (Value{&builder_, total} + Value{&builder_, part}).id : part;
    }
    return total;
}

namespace {

std::vector<bool> depends_on_request(const Function& function, const GradientRequest& request) {
    std::vector<bool> variables, inputs;
    const auto mark = [](std::vector<bool>& list, std::uint32_t id) {
        if (id >= list.size()) list.resize(id + 1);
        list[id] = true;
    };
    for (const VariableId id : request.variables) mark(variables, id);
    for (const std::uint32_t id : request.inputs) mark(inputs, id);
    return depends_on(function, [&](const Node& node) {
        if (node.op != OpId::variable && node.op != OpId::input) return false;
        const auto id = static_cast<std::size_t>(node.attributes.get<std::int64_t>("index"));
        const std::vector<bool>& wanted = node.op == OpId::variable ? variables : inputs;
        return id < wanted.size() && wanted[id];
    });
}

}  // namespace

Gradients differentiate(Function& function, const std::vector<Variable>& variables,
                        const GradientRequest& request) {
    ReverseSweep sweep(function, depends_on_request(function, request));
    const auto begin = static_cast<std::uint32_t>(function.nodes.size());
    if (sweep.depends(request.loss)) {
        const DType type = function[request.loss].type.dtype;
        sweep.add_to(request.loss, sweep.graph().constant(1.0, type));
        sweep.run();
    }
    GraphBuilder builder(function);
    const auto collect = [&](OpId op, std::int64_t index, const Type& type) {
        const NodeId total = sweep.gradient_of_leaf(op, index);
        return total.valid() ? total : builder.constant(0.0, type.dtype, type.shape).id;
    };
    Gradients gradients;
    gradients.backward = {begin, sweep.rules()};
    for (VariableId id : request.variables) {
        gradients.variables.push_back(collect(OpId::variable, id, variables[id].type));
    }
    for (std::uint32_t id : request.inputs) {
        gradients.inputs.push_back(collect(OpId::input, id, function.inputs[id].type));
    }
    return gradients;
}

void remove_stop_gradients(Function& function) {
    for (Function& body : function.bodies) remove_stop_gradients(body);
    rewrite(function, [](Rebuilder&, const Node& node) -> std::optional<NodeId> {
        if (node.op == OpId::stop_gradient) return node.inputs[0];
        return std::nullopt;
    });
}

}  // namespace netc
