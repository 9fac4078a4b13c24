#include "passes/differentiate.h"

#include "ir/graph_builder.h"
#include "ir/op_def.h"
#include "passes/rewrite.h"

namespace netc {
namespace {

// Which nodes lie on a path from a requested leaf: only these need a gradient.
std::vector<bool> depends_on_request(const Function& function, const GradientRequest& request) {
    std::vector<bool> variable_wanted;
    for (VariableId id : request.variables) {
        if (id >= variable_wanted.size()) variable_wanted.resize(id + 1);
        variable_wanted[id] = true;
    }
    std::vector<bool> depends(function.nodes.size());
    for (std::size_t i = 0; i < function.nodes.size(); ++i) {
        const Node& node = function.nodes[i];
        if (node.op == OpId::variable) {
            auto id = static_cast<std::size_t>(node.attributes.get<std::int64_t>("index"));
            depends[i] = id < variable_wanted.size() && variable_wanted[id];
        } else if (node.op == OpId::input) {
            auto id = node.attributes.get<std::int64_t>("index");
            for (std::uint32_t wanted : request.inputs) depends[i] = depends[i] || wanted == id;
        } else if (op_def(node.op).grad != nullptr && is_float(node.type.dtype)) {
            for (NodeId input : node.inputs) depends[i] = depends[i] || depends[input.index];
        }
    }
    return depends;
}

class ReverseSweep final : public GradBuilder {
public:
    ReverseSweep(Function& function, std::vector<bool> depends)
        : builder_(function), depends_(std::move(depends)), gradients_(function.nodes.size()) {}

    void run(NodeId loss) {
        const Type type = builder_.function()[loss].type;
        if (!depends_[loss.index]) return;
        gradients_[loss.index] = builder_.constant(1.0, type.dtype).id;
        for (std::uint32_t i = loss.index + 1; i-- > 0;) {
            if (!depends_[i] || !gradients_[i].valid()) continue;
            const OpDef& def = op_def(builder_.function().nodes[i].op);
            if (def.grad == nullptr) continue;
            node_ = NodeId{i};
            builder_.set_origin(builder_.function().nodes[i].origin);
            def.grad(*this);
        }
        builder_.set_origin(0);
    }

    NodeId gradient_of(std::uint32_t node) const { return gradients_[node]; }

    GraphBuilder& graph() override { return builder_; }
    const Attributes& attributes() const override {
        // A copy, since appending nodes moves them.
        attributes_ = const_cast<GraphBuilder&>(builder_).function()[node_].attributes;
        return attributes_;
    }
    Value x(std::size_t operand) override {
        return {&builder_, builder_.function()[node_].inputs[operand]};
    }
    Value y() override { return {&builder_, node_}; }
    Value dy() override { return {&builder_, gradients_[node_.index]}; }
    bool needs(std::size_t operand) override {
        return depends_[builder_.function()[node_].inputs[operand].index];
    }
    void add(std::size_t operand, Value gradient) override {
        if (!needs(operand)) return;
        NodeId& sum = gradients_[builder_.function()[node_].inputs[operand].index];
        sum = sum.valid() ? (Value{&builder_, sum} + gradient).id : gradient.id;
    }

private:
    GraphBuilder builder_;
    std::vector<bool> depends_;
    std::vector<NodeId> gradients_;
    NodeId node_;
    mutable Attributes attributes_;
};

}  // namespace

Gradients differentiate(Function& function, const std::vector<Variable>& variables,
                        const GradientRequest& request) {
    const std::size_t forward_nodes = function.nodes.size();
    ReverseSweep sweep(function, depends_on_request(function, request));
    sweep.run(request.loss);

    GraphBuilder builder(function);
    // One leaf may be read by several nodes: their gradients add up, in node order.
    auto collect = [&](OpId op, std::int64_t index, const Type& type) {
        NodeId total;
        for (std::uint32_t i = 0; i < forward_nodes; ++i) {
            const Node& node = function.nodes[i];
            if (node.op != op || node.attributes.get<std::int64_t>("index") != index) continue;
            const NodeId part = sweep.gradient_of(i);
            if (!part.valid()) continue;
            builder.set_origin(function.nodes[i].origin);
            total = total.valid() ? (Value{&builder, total} + Value{&builder, part}).id : part;
        }
        return total.valid() ? total : builder.constant(0.0, type.dtype, type.shape).id;
    };
    Gradients gradients;
    for (VariableId id : request.variables) {
        gradients.variables.push_back(collect(OpId::variable, id, variables[id].type));
    }
    for (std::uint32_t id : request.inputs) {
        gradients.inputs.push_back(collect(OpId::input, id, function.inputs[id].type));
    }
    return gradients;
}

void remove_stop_gradients(Function& function) {
    rewrite(function, [](Rebuilder&, const Node& node) -> std::optional<NodeId> {
        if (node.op == OpId::stop_gradient) return node.inputs[0];
        return std::nullopt;
    });
}

}  // namespace netc
