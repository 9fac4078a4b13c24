#include "passes/grouping.h"

#include <algorithm>

#include "passes/emit_group.h"

namespace netc {

std::vector<NodeId> Grouping::group_of(NodeId id) const {
    const GroupId group = function_[id].group;
    return group == 0 ? std::vector<NodeId>{id} : members(function_, group);
}

bool Grouping::group(std::vector<NodeId> nodes) {
    std::sort(nodes.begin(), nodes.end());
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
    if (!can_run_at_once(info_, nodes)) return false;
    const std::vector<NodeId> stored = outputs(info_, nodes);
    if (stored.empty() || !emit_group(info_, nodes, stored)) return false;
    const GroupId group = new_group(function_);
    for (NodeId id : nodes) function_[id].group = group;
    return true;
}

void Grouping::absorb_elementwise(NodeId member, const Shape& wanted) {
    for (bool grown = true; grown;) {
        grown = false;
        const std::vector<NodeId> nodes = group_of(member);
        for (NodeId id : nodes) {
            for (NodeId reader : info_.readers[id.index]) {
                const bool fits = function_[reader].group == 0 && !info_.probes[reader.index].reduces &&
                                  shape(reader) == wanted;
                if (!fits || std::binary_search(nodes.begin(), nodes.end(), reader)) continue;
                std::vector<NodeId> larger = nodes;
                larger.push_back(reader);
                if (group(std::move(larger))) {
                    grown = true;
                    break;
                }
            }
            if (grown) break;
        }
    }
}

}  // namespace netc
