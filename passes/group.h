// Groups of nodes: what fusing passes and lower ask about a function.
//
// Every node is one of three: a leaf (input, variable, hyper: a buffer that is there), a member of a
// group (computed by that group's kernel), or virtual (views and constants outside of groups:
// substituted wherever they are read, never in memory). Nodes that are none of these yet get a group
// of their own from `group_the_rest`.
#pragma once

#include <optional>
#include <vector>

#include "ir/graph.h"
#include "passes/probe.h"

namespace netc {

struct GroupInfo {
    explicit GroupInfo(const Function& function);

    const Function& function;
    std::vector<Probe> probes;  // per node, as all below
    std::vector<bool> wanted;   // a result or an update
    // Through virtual nodes, ascending: the nodes in memory or in groups that this one reads, and
    // those that read it. A virtual node is in none of these lists.
    std::vector<std::vector<NodeId>> sources, readers;

    bool is_leaf(NodeId id) const { return probes[id.index].leaf; }
    // Costs nothing where it is read: a view of one operand, or a constant, that nobody outside of
    // the function wants.
    bool is_virtual(NodeId id) const;
};

// Ungrouped nodes that cannot be virtual become groups of one.
void group_the_rest(Function& function);

GroupId new_group(const Function& function);
std::vector<NodeId> members(const Function& function, GroupId group);
// Members that are read outside of the group or wanted by the caller.
std::vector<NodeId> outputs(const GroupInfo& info, const std::vector<NodeId>& group);

// Nodes that must wait for the set, which are no members of it; groups wait as a whole.
std::vector<bool> waiting_for(const GroupInfo& info, const std::vector<NodeId>& group);
// One kernel can compute the set: no member waits for what waits for the set, and where a member
// updates a variable, no reader of its old value does.
bool can_run_at_once(const GroupInfo& info, const std::vector<NodeId>& group);

// The buffer that holds the value: follows `after` and ungrouped reshapes of row-major buffers (and of batch
// lanes where dim 0 stays). Nothing where the value is not in memory.
std::optional<NodeId> storage_of(const GroupInfo& info, NodeId id);
// The layout that a reader of `id` sees; only where storage_of gives one.
Layout layout_seen(const GroupInfo& info, NodeId id);

}  // namespace netc
