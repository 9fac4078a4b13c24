// What the grouping passes share: a set of nodes becomes a group where one kernel can compute it.
#pragma once

#include <vector>

#include "passes/group.h"

namespace netc {

class Grouping {
public:
    explicit Grouping(Function& function) : function_(function), info_(function) {}

    const GroupInfo& info() const { return info_; }
    const Function& function() const { return function_; }
    const Shape& shape(NodeId id) const { return function_[id].type.shape; }

    // Members of the node's group, or the node alone.
    std::vector<NodeId> group_of(NodeId id) const;
    // Makes the set one group, if emit_group can and nothing must run in between.
    bool group(std::vector<NodeId> nodes);
    // Adds elementwise nodes of this shape beside the group's, one after the other.
    void absorb_elementwise(NodeId member, const Shape& shape);
    // Takes members out of the node's group again that only cost memory there; `wider`: only those
    // whose elements are larger than the node's.
    void leave_out(NodeId member, bool wider);

private:
    bool is_better_left(NodeId id, const std::vector<NodeId>& nodes) const;
    bool lies_alike(NodeId id, const std::vector<NodeId>& nodes) const;
    std::vector<NodeId> neighbours(const std::vector<NodeId>& nodes, const Shape& wanted) const;

    Function& function_;
    GroupInfo info_;
};

}  // namespace netc
