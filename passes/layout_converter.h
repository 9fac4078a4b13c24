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
    // `in_blocks`: for vectors of a processor, see lay_out_operand.
    explicit LayoutConverter(Function& function, bool in_blocks = true)
        : function_(function), in_blocks_(in_blocks) {}

    // All readers of the node see a copy of this layout.
    void convert(NodeId node, Layout layout) { after_[node] = std::move(layout); }
    // One operand of one reader does.
    void convert_operand(NodeId reader, std::size_t operand, Layout layout) {
        before_[{reader, operand}] = std::move(layout);
    }
    // The operand, whose size is known, as vectors take it: `order` outermost first, of its last dim blocks of 16
    // outside and the 16 inside. In forms of the graph, [o, c, ky, kx] in the order ky, kx, c, o:
    //     copy(permute(reshape(w))) [o / 16, ky, kx, c, 16], then permute and reshape back
    // Halves: [o / 16, ky, kx, c / 2, 16, 2]; bytes: [o / 16, ky, kx, c / 4, 16, 4].
    // Not in blocks, [ky, kx, c, o]: threads of a GPU take what is along memory side by side, however much it is.
    void lay_out_operand(NodeId reader, std::size_t operand, std::vector<std::int32_t> order) {
        if (in_blocks_) {
            laid_out_[{reader, operand}] = std::move(order);
        } else if (order != row_major(order.size()).order) {
            convert_operand(reader, operand, Layout{.order = std::move(order)});
        }
    }
    void run();

private:
    NodeId copy(NodeId value, const Layout& layout);
    NodeId laid_out(NodeId value, const std::vector<std::int32_t>& order);
    NodeId append(OpId op, NodeId value, Attributes attributes, Shape shape);
    NodeId reshape(NodeId value, Shape shape);
    NodeId permute(NodeId value, const std::vector<std::int64_t>& order);

    Function& function_;
    bool in_blocks_;
    std::map<NodeId, Layout> after_;
    std::map<std::pair<NodeId, std::size_t>, Layout> before_;
    std::map<std::pair<NodeId, std::size_t>, std::vector<std::int32_t>> laid_out_;
    std::vector<std::pair<NodeId, NodeId>> copies_;
    std::map<std::pair<NodeId, std::vector<std::int32_t>>, NodeId> known_;
};

}  // namespace netc
