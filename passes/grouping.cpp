#include "passes/grouping.h"

#include <algorithm>

#include "passes/emit_group.h"
#include "passes/scatter_rows.h"

namespace netc {

std::vector<NodeId> Grouping::group_of(NodeId id) const {
    const GroupId group = function_[id].group;
    return group == 0 ? std::vector<NodeId>{id} : members(function_, group);
}

bool Grouping::group(std::vector<NodeId> nodes) {
    std::sort(nodes.begin(), nodes.end());
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
    const bool alone = std::ranges::any_of(nodes, [&](NodeId id) {
        return op_def(function_[id].op).alone || is_scattered(function_[id]);
    });
    if (alone && nodes.size() > 1) return false;
    // Of a view that is a result, settle makes a copy: the view itself is then computed nowhere.
    const bool viewed = std::ranges::any_of(nodes, [&](NodeId id) {
        return info_.wanted[id.index] && op_def(function_[id].op).family == OpFamily::view;
    });
    if (viewed) return false;
    if (!can_run_at_once(info_, nodes)) return false;
    const std::vector<NodeId> stored = outputs(info_, nodes);
    if (stored.empty() || !emit_group(info_, nodes, stored)) return false;
    const GroupId group = new_group(function_);
    for (NodeId id : nodes) function_[id].group = group;
    return true;
}

// A kernel whose vectors run over channels that lie last would scatter what lies otherwise.
bool Grouping::lies_alike(NodeId id, const std::vector<NodeId>& nodes) const {
    return std::ranges::all_of(nodes, [&](NodeId member) {
        if (!info_.probes[member.index].leads_a_kernel()) return true;
        const Layout layout = layout_seen(info_, member);
        return layout.lanes || layout == row_major(layout.order.size()) ||
               layout == layout_seen(info_, id);
    });
}

// Elementwise nodes without a group, of this shape, that read a member; or that only elementwise
// members read, so that they are not computed once a term of a sum.
std::vector<NodeId> Grouping::neighbours(const std::vector<NodeId>& nodes,
                                         const Shape& wanted) const {
    auto is_member = [&](NodeId id) { return std::binary_search(nodes.begin(), nodes.end(), id); };
    auto fits = [&](NodeId id) {
        const Probe& p = info_.probes[id.index];
        return function_[id].group == 0 && !p.leaf && !p.reduces && shape(id) == wanted &&
               !is_member(id) && lies_alike(id, nodes);
    };
    std::vector<NodeId> found;
    for (NodeId id : nodes) {
        for (NodeId reader : info_.readers[id.index]) {
            if (fits(reader)) found.push_back(reader);
        }
        if (info_.probes[id.index].reduces) continue;
        for (NodeId source : info_.sources[id.index]) {
            const auto& readers = info_.readers[source.index];
            const bool inner = std::all_of(readers.begin(), readers.end(), [&](NodeId reader) {
                return is_member(reader) && !info_.probes[reader.index].reduces;
            });
            if (inner && fits(source) && !info_.wanted[source.index]) found.push_back(source);
        }
    }
    return found;
}

// A member that whatever reads it can make for itself from what the group stores in any case.
bool Grouping::is_better_left(NodeId id, const std::vector<NodeId>& nodes) const {
    const std::vector<NodeId> stored = outputs(info_, nodes);
    const auto has = [](const std::vector<NodeId>& list, NodeId one) {
        return std::ranges::binary_search(list, one);
    };
    const Probe& probe = info_.probes[id.index];
    if (!has(stored, id) || probe.contraction || probe.transcendental || info_.wanted[id.index])
        return false;
    const bool fuses = std::ranges::all_of(info_.readers[id.index], [&](NodeId reader) {
        const OpDef& def = op_def(function_[reader].op);
        return function_[reader].group == 0 && !has(nodes, reader) && !def.alone &&
               (def.family == OpFamily::elementwise || def.family == OpFamily::reduction);
    });
    return fuses && std::ranges::all_of(info_.sources[id.index], [&](NodeId source) {
               return !has(nodes, source) || has(stored, source);
           });
}

// Storing what can be made again from its neighbours costs more than making it where it is read.
void Grouping::leave_out(NodeId member, bool wider) {
    const auto may_go = [&](NodeId id) {
        return id != member && (!wider || size_of(function_[id].type.dtype) >
                                              size_of(function_[member].type.dtype));
    };
    for (bool smaller = true; smaller;) {
        const std::vector<NodeId> nodes = group_of(member);
        const auto found = std::ranges::find_if(
            nodes, [&](NodeId id) { return may_go(id) && is_better_left(id, nodes); });
        smaller = found != nodes.end();
        if (!smaller) return;
        std::vector<NodeId> rest = nodes;
        std::erase(rest, *found);
        smaller = group(std::move(rest));
        if (smaller) function_[*found].group = 0;
    }
}

void Grouping::absorb_elementwise(NodeId member, const Shape& wanted) {
    for (bool grown = true; grown;) {
        const std::vector<NodeId> nodes = group_of(member);
        const std::vector<NodeId> candidates = neighbours(nodes, wanted);
        grown = std::any_of(candidates.begin(), candidates.end(), [&](NodeId candidate) {
            std::vector<NodeId> larger = nodes;
            larger.push_back(candidate);
            return group(std::move(larger));
        });
    }
}

}  // namespace netc
