#include "passes/fuse_linear_activation.h"

#include <algorithm>
#include <set>

#include "passes/grouping.h"
#include "passes/order.h"

namespace netc {
namespace {

// Operands of a sum that no second-level cache holds: it is then computed in slices, between which it lies in
// memory, so that nothing can be done to it while it is in registers (backends/cpu/schedule.h).
constexpr std::int64_t kMuch = 1 << 20;

bool sums_much_over_batch(const GroupInfo& info, NodeId id, std::int64_t batch) {
    const Probe& probe = info.probes[id.index];
    const bool over_batch =
        std::ranges::any_of(probe.reduced, [](const Dim& dim) { return !dim.is_static(); });
    if (!over_batch || !product(info.function[id].type.shape).is_static()) return false;
    std::int64_t bytes = 0;
    for (const NodeId operand : info.function[id].inputs)
        bytes += bytes_of(info.function[operand].type, batch);
    return bytes >= kMuch;
}

// What a sum of products of parts is made of: contractions, the additions of their results.
struct Parts {
    std::vector<NodeId> contractions, additions;
};

// The tree of additions under this node whose leaves are contractions in bf16 of this shape; empty where another value
// is among them.
Parts parts_below(const GroupInfo& info, NodeId id) {
    const Function& function = info.function;
    const Node& node = function[id];
    if (node.group != 0) return {};
    if (info.probes[id.index].contraction) {
        const bool halves = std::ranges::all_of(
            node.inputs, [&](NodeId input) { return function[input].type.dtype == DType::bf16; });
        return halves ? Parts{{id}, {}} : Parts{};
    }
    if (node.op != OpId::add) return {};
    Parts all;
    for (const NodeId input : node.inputs) {
        const Parts parts = parts_below(info, input);
        if (parts.contractions.empty()) return {};
        all.contractions.insert(all.contractions.end(), parts.contractions.begin(),
                                parts.contractions.end());
        all.additions.insert(all.additions.end(), parts.additions.begin(), parts.additions.end());
    }
    all.additions.push_back(id);
    return all;
}

// Three products of two parts of each factor, six of three.
bool are_of_one_pair(const Function& function, const std::vector<NodeId>& contractions) {
    std::set<NodeId> a, b;
    for (const NodeId id : contractions) {
        a.insert(function[id].inputs[0]);
        b.insert(function[id].inputs[1]);
    }
    const std::size_t parts = a.size();
    return parts >= 2 && b.size() == parts && contractions.size() == parts * (parts + 1) / 2;
}

}  // namespace

void join_parts(Function& function) {
    Grouping grouping(function);
    for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
        if (function.nodes[i].op != OpId::add) continue;
        Parts parts = parts_below(grouping.info(), NodeId{i});
        if (parts.contractions.empty() || !are_of_one_pair(function, parts.contractions)) continue;
        std::vector<NodeId> nodes = parts.additions;
        nodes.insert(nodes.end(), parts.contractions.begin(), parts.contractions.end());
        if (grouping.group(std::move(nodes)))
            grouping.absorb_elementwise(NodeId{i}, function.nodes[i].type.shape);
    }
}

void fuse_linear_activation(Function& function, std::int64_t batch_hint) {
    Grouping grouping(function);
    for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
        const GroupInfo& info = grouping.info();
        if (!info.probes[i].leads_a_kernel() || function.nodes[i].group != 0) continue;
        if (info.readers[i].empty() && !info.wanted[i]) continue;
        if (!grouping.group({NodeId{i}}) || sums_much_over_batch(info, NodeId{i}, batch_hint))
            continue;
        grouping.absorb_elementwise(NodeId{i}, function.nodes[i].type.shape);
        const bool small = bytes_of(function.nodes[i].type, batch_hint) < kMuch / 4;
        grouping.leave_out(NodeId{i}, small);
    }
}

}  // namespace netc
