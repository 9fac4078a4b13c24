#include "passes/rewrite.h"

#include <bit>
#include <cstring>

#include "ir/op_def.h"

namespace netc {
namespace {

void append_bytes(std::string& key, const void* data, std::size_t size) {
    key.append(static_cast<const char*>(data), size);
}
void append_number(std::string& key, std::int64_t value) {
    append_bytes(key, &value, sizeof value);
}

struct AttributeKey {
    std::string& key;
    void operator()(bool v) const { append_number(key, v); }
    void operator()(std::int64_t v) const { append_number(key, v); }
    void operator()(double v) const { append_number(key, std::bit_cast<std::int64_t>(v)); }
    void operator()(const std::string& v) const { key += v; }
    void operator()(DType v) const { append_number(key, static_cast<std::int64_t>(v)); }
    void operator()(const std::vector<std::int64_t>& v) const {
        append_number(key, static_cast<std::int64_t>(v.size()));
        append_bytes(key, v.data(), v.size() * sizeof(std::int64_t));
    }
    void operator()(const std::vector<double>& v) const {
        append_number(key, static_cast<std::int64_t>(v.size()));
        append_bytes(key, v.data(), v.size() * sizeof(double));
    }
    void operator()(const Shape& v) const {
        for (const Dim& dim : v) key += dim.to_string() + ",";
    }
};

// Everything that decides the value of a node; origin and grouping do not.
std::string key_of(const Node& node) {
    std::string key;
    append_number(key, static_cast<std::int64_t>(node.op));
    for (NodeId input : node.inputs) append_number(key, input.index);
    for (const auto& [name, value] : node.attributes.all()) {
        key += name + "=";
        std::visit(AttributeKey{key}, value);
        key += ";";
    }
    key += node.type.to_string();
    return key;
}

}  // namespace

Rebuilder::Rebuilder(const Function& old) : old_(old), mapped_(old.nodes.size()) {
    fresh_.name = old.name;
    fresh_.inputs = old.inputs;
    fresh_.origins = old.origins;
    fresh_.bodies = old.bodies;
}

NodeId Rebuilder::append(Node node) {
    const NodeId next{static_cast<std::uint32_t>(fresh_.nodes.size())};
    auto [place, is_new] = known_.emplace(key_of(node), next);
    if (is_new) fresh_.nodes.push_back(std::move(node));
    return place->second;
}

NodeId Rebuilder::append(OpId op, std::vector<NodeId> inputs, Attributes attributes, Type type,
                         OriginId origin) {
    return append(Node{.op = op,
                       .inputs = std::move(inputs),
                       .attributes = std::move(attributes),
                       .type = std::move(type),
                       .origin = origin,
                       .group = 0,
                       .layout = {}});
}

std::optional<NodeId> Rebuilder::try_append(OpId op, std::vector<NodeId> inputs,
                                            Attributes attributes, OriginId origin) {
    std::vector<Type> types;
    for (const NodeId input : inputs) types.push_back(fresh_[input].type);
    Result<Type> type = infer_type(op, types, attributes);
    if (!type) return std::nullopt;
    return append(op, std::move(inputs), std::move(attributes), *type, origin);
}

Function Rebuilder::finish() && {
    for (const Function::Result& result : old_.results) {
        fresh_.results.push_back({result.name, (*this)(result.value), result.span, result.doc});
    }
    for (const Function::Update& update : old_.updates) {
        fresh_.updates.push_back({update.variable, (*this)(update.value)});
    }
    remove_dead_nodes(fresh_);
    return std::move(fresh_);
}

namespace {

void remove_unused_bodies(Function& function) {
    std::vector<Function> bodies;
    for (Node& node : function.nodes) {
        if (node.op != OpId::scan) continue;
        const auto number = static_cast<std::size_t>(node.attributes.get<std::int64_t>("body"));
        node.attributes.set("body", static_cast<std::int64_t>(bodies.size()));
        bodies.push_back(function.bodies[number]);
    }
    function.bodies = std::move(bodies);
}

}  // namespace

void remove_dead_nodes(Function& function) {
    std::vector<bool> live(function.nodes.size());
    for (const Function::Result& result : function.results) live[result.value.index] = true;
    for (const Function::Update& update : function.updates) live[update.value.index] = true;
    for (std::size_t i = function.nodes.size(); i-- > 0;) {
        if (!live[i]) continue;
        for (NodeId input : function.nodes[i].inputs) live[input.index] = true;
    }
    std::vector<NodeId> renumbered(function.nodes.size());
    std::vector<Node> nodes;
    for (std::size_t i = 0; i < function.nodes.size(); ++i) {
        if (!live[i]) continue;
        renumbered[i] = NodeId{static_cast<std::uint32_t>(nodes.size())};
        nodes.push_back(std::move(function.nodes[i]));
        for (NodeId& input : nodes.back().inputs) input = renumbered[input.index];
    }
    function.nodes = std::move(nodes);
    for (Function::Result& result : function.results) result.value = renumbered[result.value.index];
    for (Function::Update& update : function.updates) update.value = renumbered[update.value.index];
    if (!function.bodies.empty()) remove_unused_bodies(function);
}

void sort_topologically(Function& function) {
    // Depth first over operands, in the old order, without recursion: networks are deep.
    std::vector<NodeId> renumbered(function.nodes.size());
    std::vector<Node> nodes;
    std::vector<std::pair<std::uint32_t, std::size_t>> stack;
    for (std::uint32_t root = 0; root < function.nodes.size(); ++root) {
        stack.emplace_back(root, 0);
        while (!stack.empty()) {
            auto& [node, next] = stack.back();
            if (renumbered[node].valid()) {
                stack.pop_back();
            } else if (next < function.nodes[node].inputs.size()) {
                const std::uint32_t operand = function.nodes[node].inputs[next++].index;
                if (!renumbered[operand].valid()) stack.emplace_back(operand, 0);
            } else {
                renumbered[node] = NodeId{static_cast<std::uint32_t>(nodes.size())};
                nodes.push_back(function.nodes[node]);
                for (NodeId& input : nodes.back().inputs) input = renumbered[input.index];
                stack.pop_back();
            }
        }
    }
    function.nodes = std::move(nodes);
    for (Function::Result& result : function.results) result.value = renumbered[result.value.index];
    for (Function::Update& update : function.updates) update.value = renumbered[update.value.index];
    remove_dead_nodes(function);
}

bool rewrite(Function& function, const RewriteRule& rule) {
    bool changed = false;
    const std::size_t before = function.nodes.size();
    Rebuilder rebuilder(function);
    for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
        Node node = function.nodes[i];
        for (NodeId& input : node.inputs) input = rebuilder(input);
        const std::optional<NodeId> replacement = rule(rebuilder, node);
        changed = changed || replacement.has_value();
        rebuilder.map(NodeId{i}, replacement ? *replacement : rebuilder.append(std::move(node)));
    }
    function = std::move(rebuilder).finish();
    return changed || function.nodes.size() != before;
}

}  // namespace netc
