#include "passes/siblings.h"

#include <algorithm>
#include <set>

namespace netc {
namespace {

// A reduction of one operand, term by term.
bool is_plain_sum(const Probe& probe) {
    return probe.reduces && !probe.contraction && probe.reads.size() == 1 && probe.guards.empty() &&
           probe.reads[0].indirect < 0;
}

// What the terms of the reduction read from outside, of the size of the terms.
std::set<NodeId> read_from_outside(const GroupInfo& info, const std::vector<NodeId>& nodes,
                                   NodeId reduction) {
    const Function& function = info.function;
    const Dim terms = product(function[function[reduction].inputs[0]].type.shape);
    std::set<NodeId> outside;
    std::set<NodeId> seen;
    std::vector<NodeId> work = info.sources[reduction.index];
    while (!work.empty()) {
        const NodeId next = work.back();
        work.pop_back();
        if (!seen.insert(next).second) continue;
        const bool member = std::ranges::binary_search(nodes, next);
        if (member && !info.probes[next.index].reduces) {
            work.insert(work.end(), info.sources[next.index].begin(),
                        info.sources[next.index].end());
        } else if (!member && product(function[next].type.shape) == terms) {
            outside.insert(next);
        }
    }
    return outside;
}

}  // namespace

bool is_below(const GroupInfo& info, const std::vector<NodeId>& nodes, NodeId earlier,
              NodeId later) {
    std::set<NodeId> seen;
    std::vector<NodeId> work{later};
    while (!work.empty()) {
        const NodeId next = work.back();
        work.pop_back();
        for (const NodeId source : info.sources[next.index]) {
            if (source == earlier) return true;
            if (source < earlier || !std::ranges::binary_search(nodes, source)) continue;
            if (seen.insert(source).second) work.push_back(source);
        }
    }
    return false;
}

bool are_siblings(const GroupInfo& info, const std::vector<NodeId>& nodes, NodeId a, NodeId b) {
    const Function& function = info.function;
    const Probe& first = info.probes[a.index];
    const Probe& second = info.probes[b.index];
    if (a == b || !is_plain_sum(first) || !is_plain_sum(second)) return false;
    const bool same_sums =
        function[a].type == function[b].type &&
        function[function[a].inputs[0]].type.shape == function[function[b].inputs[0]].type.shape &&
        first.reduced == second.reduced && first.reads[0].index == second.reads[0].index;
    if (!same_sums) return false;
    const std::set<NodeId> read = read_from_outside(info, nodes, a);
    const bool share = std::ranges::any_of(read_from_outside(info, nodes, b),
                                           [&](NodeId id) { return read.contains(id); });
    return share && !is_below(info, nodes, a, b) && !is_below(info, nodes, b, a);
}

}  // namespace netc
