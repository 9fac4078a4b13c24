#include "passes/fold_pooling.h"

#include <algorithm>

#include "passes/grouping.h"

namespace netc {
namespace {

bool is_window(const Node& node) {
    return node.op == OpId::window || node.op == OpId::window_argmax;
}

// The group of the contraction behind the window's operand.
std::optional<std::vector<NodeId>> contraction_below(const Grouping& grouping, NodeId window) {
    for (NodeId source : grouping.info().sources[window.index]) {
        const std::vector<NodeId> nodes = grouping.group_of(source);
        const bool found = std::any_of(nodes.begin(), nodes.end(), [&](NodeId id) {
            return grouping.info().probes[id.index].contraction;
        });
        if (found) return nodes;
    }
    return std::nullopt;
}

}  // namespace

void fold_pooling(Function& function) {
    Grouping grouping(function);
    for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
        const NodeId window{i};
        if (!is_window(function[window]) || function[window].group != 0) continue;
        std::optional<std::vector<NodeId>> nodes = contraction_below(grouping, window);
        if (!nodes) continue;
        nodes->push_back(window);
        // Overlapping windows, or windows that leave elements out, are refused by emit_group: it
        // computes no element twice and stores no value in part.
        if (!grouping.group(*std::move(nodes))) continue;
        grouping.absorb_elementwise(window, function[window].type.shape);
    }
}

}  // namespace netc
