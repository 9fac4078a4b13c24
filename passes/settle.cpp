#include "passes/settle.h"

#include <set>

#include "passes/group.h"

namespace netc {
namespace {

NodeId append_copy(Function& function, NodeId value) {
    const Node& from = function[value];
    Node copy{.op = OpId::copy,
              .inputs = {value},
              .attributes = {},
              .type = from.type,
              .origin = from.origin,
              .group = 0,
              .layout = {}};
    function.nodes.push_back(std::move(copy));
    return NodeId{static_cast<std::uint32_t>(function.nodes.size() - 1)};
}

bool is_row_major(const Node& node) {
    return node.layout.order.empty() || node.layout == row_major(node.type.rank());
}

}  // namespace

void settle(Function& function) {
    // v' = v is no update.
    std::erase_if(function.updates, [&](const Function::Update& update) {
        const Node& node = function[update.value];
        return node.op == OpId::variable &&
               node.attributes.get<std::int64_t>("index") == std::int64_t{update.variable};
    });
    std::set<NodeId> taken;
    auto own = [&](NodeId& value) {
        const OpFamily family = op_def(function[value].op).family;
        const bool in_memory = family != OpFamily::leaf && family != OpFamily::view;
        if (!in_memory || !is_row_major(function[value]) || taken.count(value) > 0) {
            value = append_copy(function, value);
        }
        taken.insert(value);
    };
    for (Function::Update& update : function.updates) own(update.value);
    for (Function::Result& result : function.results) own(result.value);
}

void detach_update(Function& function, std::size_t update) {
    NodeId& value = function.updates[update].value;
    value = append_copy(function, value);
}

}  // namespace netc
