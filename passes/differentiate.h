// differentiate: reverse-mode gradients of a scalar result, as ordinary nodes.
//
//     %loss = mean(%y)             ->   %loss, and results "grad:w" = x^T @ dy, ...
//     %y = einsum %x, @w
//
// Why here: everything after sees one graph, so the backward pass is simplified, fused and planned like
// the forward pass. Knows no operator by name: each record has its own rule (OpDef::grad), and a record
// without a rule lets no gradient through. Contributions to one value are added in the order in which
// the reverse sweep meets them, so the result is deterministic.
//
// Method: vector-Jacobian products in one reverse topological sweep (Speelpenning 1980; Griewank and
// Walther, Evaluating Derivatives, 2008, algorithm 3.4).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace netc {

struct GradientRequest {
    NodeId loss;  // rank 0, float
    std::vector<VariableId> variables;
    std::vector<std::uint32_t> inputs;  // indices into Function::inputs, float
};

// Which nodes the backward pass is: all from `begin` on. Each rule made the nodes from its `first` on, out of
// the gradient that it was given.
struct BackwardPass {
    struct Rule {
        std::uint32_t first = 0;
        NodeId gradient;
    };
    std::uint32_t begin = 0;
    std::vector<Rule> rules;  // in the order of the nodes
};

struct Gradients {
    std::vector<NodeId> variables;  // in the order of the request; zeros where nothing depends
    std::vector<NodeId> inputs;
    BackwardPass backward;
};

// Appends the backward pass to `function`. `variables` are the module's.
Gradients differentiate(Function& function, const std::vector<Variable>& variables,
                        const GradientRequest& request);

// Once gradients are made, `stop_gradient` is the identity: its readers read its operand.
void remove_stop_gradients(Function& function);

}  // namespace netc
