#include "passes/group.h"

#include <algorithm>

namespace netc {

GroupInfo::GroupInfo(const Function& f)
    : function(f), wanted(f.nodes.size()), sources(f.nodes.size()), readers(f.nodes.size()) {
    for (const Function::Result& result : f.results) wanted[result.value.index] = true;
    for (const Function::Update& update : f.updates) wanted[update.value.index] = true;
    probes.reserve(f.nodes.size());
    for (std::uint32_t i = 0; i < f.nodes.size(); ++i) {
        probes.push_back(probe(f, NodeId{i}));
        std::vector<NodeId>& list = sources[i];
        for (NodeId input : f.nodes[i].inputs) {
            if (is_virtual(input)) {
                list.insert(list.end(), sources[input.index].begin(), sources[input.index].end());
            } else {
                list.push_back(input);
            }
        }
        std::sort(list.begin(), list.end());
        list.erase(std::unique(list.begin(), list.end()), list.end());
        if (is_virtual(NodeId{i})) continue;
        for (NodeId source : list) readers[source.index].push_back(NodeId{i});
    }
}

bool GroupInfo::is_virtual(NodeId id) const {
    const OpFamily family = op_def(function[id].op).family;
    const Probe& p = probes[id.index];
    if (p.leaf || wanted[id.index]) return false;
    if (family == OpFamily::leaf) return true;
    return family == OpFamily::view && p.moves_only && p.reads.size() == 1;
}

GroupId new_group(const Function& function) {
    GroupId last = 0;
    for (const Node& node : function.nodes) last = std::max(last, node.group);
    return last + 1;
}

void group_the_rest(Function& function) {
    const GroupInfo info(function);
    GroupId next = new_group(function);
    for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
        Node& node = function.nodes[i];
        if (node.group != 0 || info.is_leaf(NodeId{i})) continue;
        if (info.is_virtual(NodeId{i})) continue;
        node.group = next++;
    }
}

std::vector<NodeId> members(const Function& function, GroupId group) {
    std::vector<NodeId> found;
    for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
        if (function.nodes[i].group == group) found.push_back(NodeId{i});
    }
    return found;
}

std::vector<NodeId> outputs(const GroupInfo& info, const std::vector<NodeId>& group) {
    std::vector<NodeId> found;
    for (NodeId id : group) {
        const auto& list = info.readers[id.index];
        const bool leaves = std::any_of(list.begin(), list.end(), [&](NodeId reader) {
            return !std::binary_search(group.begin(), group.end(), reader);
        });
        if (leaves || info.wanted[id.index]) found.push_back(id);
    }
    return found;
}

std::vector<bool> waiting_for(const GroupInfo& info, const std::vector<NodeId>& group) {
    const Function& function = info.function;
    std::vector<bool> member(function.nodes.size()), waiting(function.nodes.size());
    for (NodeId id : group) member[id.index] = true;
    // What one member of another group waits for, all of it waits for; they need not be adjacent.
    std::vector<bool> group_waits(new_group(function));
    for (bool changed = true; changed;) {
        changed = false;
        for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
            if (waiting[i] || member[i] || info.is_virtual(NodeId{i})) continue;
            const GroupId g = function.nodes[i].group;
            bool waits = g != 0 && group_waits[g];
            for (NodeId source : info.sources[i]) {
                waits = waits || waiting[source.index] || member[source.index];
            }
            if (!waits) continue;
            waiting[i] = true;
            if (g != 0 && !group_waits[g]) group_waits[g] = changed = true;
        }
    }
    return waiting;
}

bool can_run_at_once(const GroupInfo& info, const std::vector<NodeId>& group) {
    const Function& function = info.function;
    const std::vector<bool> waiting = waiting_for(info, group);
    for (NodeId id : group) {
        for (NodeId source : info.sources[id.index]) {
            if (waiting[source.index]) return false;
        }
    }
    for (const Function::Update& update : function.updates) {
        if (!std::binary_search(group.begin(), group.end(), update.value)) continue;
        for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
            const Node& node = function.nodes[i];
            if (node.op != OpId::variable ||
                node.attributes.get<std::int64_t>("index") != std::int64_t{update.variable}) {
                continue;
            }
            for (NodeId reader : info.readers[i]) {
                if (waiting[reader.index]) return false;
            }
        }
    }
    return true;
}

std::optional<NodeId> storage_of(const GroupInfo& info, NodeId id) {
    const Function& function = info.function;
    if (!info.is_virtual(id)) return id;
    const Node& node = function[id];
    if (node.op == OpId::after) return storage_of(info, node.inputs[0]);
    // The one other view that keeps the order of the elements.
    if (node.op != OpId::reshape) return std::nullopt;
    const NodeId source = node.inputs[0];
    const std::optional<NodeId> storage = storage_of(info, source);
    if (!storage) return std::nullopt;
    const Layout seen = layout_seen(info, source);
    const Shape& from = function[source].type.shape;
    if (seen.extra != 0 || seen.order != row_major(from.size()).order) return std::nullopt;
    if (seen.lanes && (from.empty() || node.type.shape.empty() || from[0] != node.type.shape[0])) {
        return std::nullopt;
    }
    return storage;
}

Layout layout_seen(const GroupInfo& info, NodeId id) {
    const Node& node = info.function[id];
    if (info.is_virtual(id)) {
        if (node.op == OpId::after) return layout_seen(info, node.inputs[0]);
        const bool lanes = layout_seen(info, node.inputs[0]).lanes;
        return lanes ? batch_lanes(node.type.rank()) : row_major(node.type.rank());
    }
    return node.layout.order.empty() ? row_major(node.type.rank()) : node.layout;
}

}  // namespace netc
