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

struct Gradients {
    std::vector<NodeId> variables;  // in the order of the request; zeros where nothing depends
    std::vector<NodeId> inputs;
};

// Appends the backward pass to `function`. `variables` are the module's.
Gradients differentiate(Function& function, const std::vector<Variable>& variables,
                        const GradientRequest& request);

// Once gradients are made, `stop_gradient` is the identity: its readers read its operand.
void remove_stop_gradients(Function& function);

}  // namespace netc
