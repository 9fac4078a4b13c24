// The reverse sweep behind `differentiate`: gradients of the nodes of one function, in one pass from its
// end to its beginning. Used for functions and for the bodies of scans.
#pragma once

#include <vector>

#include "ir/graph_builder.h"
#include "passes/differentiate.h"

namespace netc {

// Which nodes lie on a path from a leaf that `wanted` names: only these need a gradient.
template <class Wanted>
std::vector<bool> depends_on(const Function& function, Wanted wanted) {
    std::vector<bool> depends(function.nodes.size());
    for (std::size_t i = 0; i < function.nodes.size(); ++i) {
        const Node& node = function.nodes[i];
        const OpDef& def = op_def(node.op);
        const bool loop = def.family == OpFamily::loop;
        depends[i] = wanted(node);
        const bool passes = def.grad != nullptr || loop;
        if (!passes || !(is_float(node.type.dtype) || node.op == OpId::scan)) continue;
        for (const NodeId input : node.inputs) depends[i] = depends[i] || depends[input.index];
    }
    return depends;
}

class ReverseSweep final : public GradBuilder {
public:
    ReverseSweep(Function& function, std::vector<bool> depends)
        : builder_(function), depends_(std::move(depends)), gradients_(function.nodes.size()) {}

    // Begins with what was added so far.
    void run();

    bool depends(NodeId node) const { return node.index < depends_.size() && depends_[node.index]; }
    // Adds to the gradient of a node, unless nobody wants it.
    void add_to(NodeId node, Value gradient);
    NodeId gradient_of(NodeId node) const { return gradients_[node.index]; }
    const std::vector<BackwardPass::Rule>& rules() const { return rules_; }
    // Of all leaves of this operator and number together; invalid where nothing depends on them.
    NodeId gradient_of_leaf(OpId op, std::int64_t index);

    GraphBuilder& graph() override { return builder_; }
    const Attributes& attributes() const override { return attributes_; }
    Value x(std::size_t operand) override {
        return {&builder_, builder_.function()[node_].inputs[operand]};
    }
    Value y() override { return {&builder_, node_}; }
    Value dy() override { return {&builder_, gradients_[node_.index]}; }
    bool needs(std::size_t operand) override {
        return depends(builder_.function()[node_].inputs[operand]);
    }
    void add(std::size_t operand, Value gradient) override {
        add_to(builder_.function()[node_].inputs[operand], gradient);
    }

private:
    GraphBuilder builder_;
    std::vector<bool> depends_;
    std::vector<NodeId> gradients_;
    std::vector<BackwardPass::Rule> rules_;
    NodeId node_;
    Attributes attributes_;  // of that node: a copy, since appending nodes moves them
};

// The gradient of a scan: a scan in the other direction. See differentiate_scan.cpp.
void differentiate_scan(ReverseSweep& sweep, NodeId scan);

}  // namespace netc
