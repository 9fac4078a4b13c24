#include "passes/layout_converter.h"

namespace netc {

void LayoutConverter::run() {
    const std::vector<Node> old = std::move(function_.nodes);
    function_.nodes.clear();
    std::vector<NodeId> seen(old.size());   // by readers
    std::vector<NodeId> plain(old.size());  // before a conversion for all readers
    for (std::uint32_t i = 0; i < old.size(); ++i) {
        Node node = old[i];
        for (std::size_t k = 0; k < node.inputs.size(); ++k) {
            const std::uint32_t input = node.inputs[k].index;
            const auto layout = before_.find({NodeId{i}, k});
            node.inputs[k] = seen[input];
            if (layout == before_.end()) continue;
            const bool as_it_was = after_.count(NodeId{input}) > 0 &&
                                   layout->second == row_major(old[input].type.rank());
            node.inputs[k] = as_it_was ? plain[input] : copy(seen[input], layout->second);
        }
        const NodeId own{static_cast<std::uint32_t>(function_.nodes.size())};
        function_.nodes.push_back(std::move(node));
        const auto layout = after_.find(NodeId{i});
        plain[i] = own;
        seen[i] = layout == after_.end() ? own : copy(own, layout->second);
    }
    for (auto& result : function_.results) result.value = seen[result.value.index];
    for (auto& update : function_.updates) update.value = seen[update.value.index];
}

NodeId LayoutConverter::copy(NodeId value, const Layout& layout) {
    for (const auto& [source, made] : copies_) {
        if (source == value && function_[made].layout == layout) return made;
    }
    Node node{.op = OpId::copy,
              .inputs = {value},
              .attributes = {},
              .type = function_[value].type,
              .origin = function_[value].origin,
              .group = 0,
              .layout = layout};
    const NodeId made{static_cast<std::uint32_t>(function_.nodes.size())};
    function_.nodes.push_back(std::move(node));
    copies_.push_back({value, made});
    return made;
}

}  // namespace netc
