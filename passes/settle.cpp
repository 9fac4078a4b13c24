#include "passes/settle.h"

#include <set>

#include "passes/group.h"

namespace netc {
namespace {

NodeId append_copy(std::vector<Node>& nodes, NodeId value) {
    const Node& from = nodes[value.index];
    Node copy{.op = OpId::copy,
              .inputs = {value},
              .attributes = {},
              .type = from.type,
              .origin = from.origin,
              .group = 0,
              .layout = {}};
    nodes.push_back(std::move(copy));
    return NodeId{static_cast<std::uint32_t>(nodes.size() - 1)};
}

// A buffer that is written as the result of a node; what a scan leaves has a place of its own.
bool is_written(OpFamily family) {
    return family != OpFamily::leaf && family != OpFamily::view && family != OpFamily::loop;
}

bool is_row_major(const Node& node) {
    return node.layout.order.empty() || node.layout == row_major(node.type.rank());
}

// The layout that a body takes an input in.
Layout layout_in(const Function& body, std::size_t input) {
    for (const Node& node : body.nodes) {
        if (node.op == OpId::input &&
            node.attributes.get<std::int64_t>("index") == static_cast<std::int64_t>(input)) {
            return node.layout;
        }
    }
    return {};
}

// A scan reads buffers: slices of what lies row-major, and what its body takes in the same layout. Initial
// carries are copies of its own, which lie where the carries are.
void settle_scans(Function& function) {
    std::vector<NodeId> moved(function.nodes.size());
    std::vector<Node> nodes;
    nodes.reserve(function.nodes.size());
    for (std::size_t i = 0; i < function.nodes.size(); ++i) {
        Node node = std::move(function.nodes[i]);
        for (NodeId& input : node.inputs) input = moved[input.index];
        if (node.op == OpId::scan) {
            const auto sequences =
                static_cast<std::size_t>(node.attributes.get<std::int64_t>("sequences"));
            const auto carries =
                static_cast<std::size_t>(node.attributes.get<std::int64_t>("carries"));
            const Function& body =
                function
                    .bodies[static_cast<std::size_t>(node.attributes.get<std::int64_t>("body"))];
            for (std::size_t k = 0; k < node.inputs.size(); ++k) {
                const Node& operand = nodes[node.inputs[k].index];
                const OpFamily family = op_def(operand.op).family;
                const bool buffer = operand.op == OpId::input || operand.op == OpId::variable ||
                                    operand.op == OpId::hyper || operand.op == OpId::scan_result ||
                                    is_written(family);
                const bool carry = k >= sequences && k < sequences + carries;
                const Layout wanted = layout_in(body, k);
                const bool same_layout =
                    wanted.order.empty() ? is_row_major(operand) : operand.layout == wanted;
                if (carry || !buffer || !same_layout)
                    node.inputs[k] = append_copy(nodes, node.inputs[k]);
            }
        }
        moved[i] = NodeId{static_cast<std::uint32_t>(nodes.size())};
        nodes.push_back(std::move(node));
    }
    function.nodes = std::move(nodes);
    for (Function::Result& result : function.results) result.value = moved[result.value.index];
    for (Function::Update& update : function.updates) update.value = moved[update.value.index];
}

// Operands that are read by data, by reader and number, and are views that lie nowhere in memory.
std::set<std::pair<std::uint32_t, std::size_t>> unstored_tables(const Function& function) {
    const GroupInfo info(function);
    std::set<std::pair<std::uint32_t, std::size_t>> found;
    for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
        for (const Access& access : info.probes[i].reads) {
            if (access.indirect >= 0 && !storage_of(info, function.nodes[i].inputs[access.operand]))
                found.insert({i, access.operand});
        }
    }
    return found;
}

// What is read by data lies in memory: a view that does not is copied.
void settle_tables(Function& function) {
    const auto tables = unstored_tables(function);
    if (tables.empty()) return;
    const std::vector<Node> old = std::move(function.nodes);
    function.nodes.clear();
    std::vector<NodeId> moved(old.size());
    for (std::uint32_t i = 0; i < old.size(); ++i) {
        Node node = old[i];
        for (std::size_t k = 0; k < node.inputs.size(); ++k) {
            NodeId& input = node.inputs[k];
            input = moved[input.index];
            if (tables.contains({i, k})) input = append_copy(function.nodes, input);
        }
        moved[i] = NodeId{static_cast<std::uint32_t>(function.nodes.size())};
        function.nodes.push_back(std::move(node));
    }
    for (Function::Result& result : function.results) result.value = moved[result.value.index];
    for (Function::Update& update : function.updates) update.value = moved[update.value.index];
}

}  // namespace

void settle(Function& function) {
    settle_scans(function);
    // v' = v is no update.
    std::erase_if(function.updates, [&](const Function::Update& update) {
        const Node& node = function[update.value];
        return node.op == OpId::variable &&
               node.attributes.get<std::int64_t>("index") == std::int64_t{update.variable};
    });
    std::set<NodeId> taken;
    auto own = [&](NodeId& value) {
        const bool in_memory = is_written(op_def(function[value].op).family);
        if (!in_memory || !is_row_major(function[value]) || taken.count(value) > 0) {
            value = append_copy(function.nodes, value);
        }
        taken.insert(value);
    };
    for (Function::Update& update : function.updates) own(update.value);
    for (Function::Result& result : function.results) own(result.value);
    settle_tables(function);
}

void detach_update(Function& function, std::size_t update) {
    NodeId& value = function.updates[update].value;
    value = append_copy(function.nodes, value);
}

}  // namespace netc
