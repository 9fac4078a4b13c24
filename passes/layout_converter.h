// Puts conversions of layout into a function: `copy` nodes, one for each value and layout.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "ir/graph.h"

namespace netc {

// Collects what to convert, by ids of the function as it is; `run` then puts the copies in.
class LayoutConverter {
public:
    explicit LayoutConverter(Function& function) : function_(function) {}

    // All readers of the node see a copy of this layout.
    void convert(NodeId node, Layout layout) { after_[node] = std::move(layout); }
    // One operand of one reader does.
    void convert_operand(NodeId reader, std::size_t operand, Layout layout) {
        before_[{reader, operand}] = std::move(layout);
    }
    void run();

private:
    NodeId copy(NodeId value, const Layout& layout);

    Function& function_;
    std::map<NodeId, Layout> after_;
    std::map<std::pair<NodeId, std::size_t>, Layout> before_;
    std::vector<std::pair<NodeId, NodeId>> copies_;
};

}  // namespace netc
