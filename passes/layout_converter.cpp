#include "passes/layout_converter.h"

#include <algorithm>

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
            if (const auto order = laid_out_.find({NodeId{i}, k}); order != laid_out_.end()) {
                node.inputs[k] = laid_out(seen[input], order->second);
                continue;
            }
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

NodeId LayoutConverter::append(OpId op, NodeId value, Attributes attributes, Shape shape) {
    Node node{.op = op,
              .inputs = {value},
              .attributes = std::move(attributes),
              .type = {function_[value].type.dtype, std::move(shape)},
              .origin = function_[value].origin,
              .group = 0,
              .layout = {}};
    function_.nodes.push_back(std::move(node));
    return NodeId{static_cast<std::uint32_t>(function_.nodes.size() - 1)};
}

NodeId LayoutConverter::reshape(NodeId value, Shape shape) {
    if (function_[value].type.shape == shape) return value;
    return append(OpId::reshape, value, {{"shape", shape}}, shape);
}

NodeId LayoutConverter::permute(NodeId value, const std::vector<std::int64_t>& order) {
    Shape shape;
    for (const std::int64_t dim : order)
        shape.push_back(function_[value].type.shape[static_cast<std::size_t>(dim)]);
    return append(OpId::permute, value, {{"order", order}}, shape);
}

NodeId LayoutConverter::laid_out(NodeId value, const std::vector<std::int32_t>& order) {
    NodeId& known = known_[{value, order}];
    if (known.index != NodeId{}.index) return known;
    const Shape shape = function_[value].type.shape;
    const auto size = [&](std::int32_t dim) {
        return shape[static_cast<std::size_t>(dim)].value();
    };
    const std::int32_t last = order.back();
    // The innermost dim of the sum that has more than one value.
    const auto summed = std::find_if(order.rbegin() + 1, order.rend(),
                                     [&](std::int32_t dim) { return size(dim) > 1; });
    const std::int32_t inner = summed == order.rend() ? last : *summed;
    const bool blocked = size(last) % kLanes == 0;
    // Parts of words that one sum takes one after the other lie side by side (backends/cpu/emit_dot.cpp).
    const DType dtype = function_[value].type.dtype;
    const std::int64_t in_word = is_part_of_word(dtype) ? 4 / size_of(dtype) : 1;
    const bool paired = blocked && inner != last && in_word > 1 && size(inner) % in_word == 0;
    Shape split;
    std::vector<std::int64_t> place;  // of each dim, its outer part, in `split`
    for (std::int32_t dim = 0; dim < static_cast<std::int32_t>(shape.size()); ++dim) {
        place.push_back(static_cast<std::int64_t>(split.size()));
        const std::int64_t part = dim == last && blocked   ? kLanes
                                  : dim == inner && paired ? in_word
                                                           : 1;
        split.push_back(part == 1 ? shape[static_cast<std::size_t>(dim)] : Dim(size(dim) / part));
        if (part > 1) split.emplace_back(part);
    }
    const auto at = [&](std::int32_t dim) { return place[static_cast<std::size_t>(dim)]; };
    std::vector<std::int64_t> outward;
    if (blocked) outward.push_back(at(last));
    for (const std::int32_t dim : order)
        outward.push_back(dim == last && blocked ? at(dim) + 1 : at(dim));
    if (paired) outward.push_back(at(inner) + 1);
    std::vector<std::int64_t> back(outward.size());
    for (std::size_t d = 0; d < outward.size(); ++d)
        back[static_cast<std::size_t>(outward[d])] = static_cast<std::int64_t>(d);
    const NodeId moved = permute(reshape(value, split), outward);
    const NodeId copied = append(OpId::copy, moved, {}, function_[moved].type.shape);
    return known = reshape(permute(copied, back), shape);
}

}  // namespace netc
