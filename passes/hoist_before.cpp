// What hoist puts before the loop: what is the same in all steps, and contractions of sequences as one for all
// steps. The machine of both is shared: a node of the body as a node outside.
#include <algorithm>

#include "passes/rewrite.h"
#include "passes/scan_hoisting.h"

namespace netc {

Shape stacked_shape(const Shape& shape, const Dim& steps) {
    Shape stacked = shape;
    stacked.insert(stacked.begin(), steps);
    return stacked;
}

namespace {

// The node for all steps at once. Nothing where it has no such form.
Value lift_node(GraphBuilder& graph, const Node& node, std::vector<Value> inputs,
                const std::vector<bool>& stacked, const Dim& steps) {
    const OpDef& def = op_def(node.op);
    if (def.lift != nullptr) {
        return def.lift(
            Lift{graph, node.attributes, std::move(inputs), stacked, steps, node.type.shape});
    }
    if (def.family != OpFamily::elementwise) return {};
    for (std::size_t k = 0; k < inputs.size(); ++k) {
        if (!stacked[k])
            inputs[k] = graph.broadcast(inputs[k], stacked_shape(node.type.shape, steps));
    }
    return graph.make(node.op, std::move(inputs), node.attributes);
}

}  // namespace

NodeId ScanHoisting::fixed_outside(NodeId id) {
    const auto known = fixed_.find(id);
    if (known != fixed_.end()) return known->second;
    if (at(id).op == OpId::input) return inputs_[input_of(at(id))].outside;
    Node node = at(id);
    for (NodeId& input : node.inputs) input = fixed_outside(input);
    node.origin = node_.origin;
    node.group = 0;
    if (node.op == OpId::scan) {
        const auto inner = static_cast<std::size_t>(node.attributes.get<std::int64_t>("body"));
        node.attributes.set("body", static_cast<std::int64_t>(function_.bodies.size()));
        function_.bodies.push_back(body_.bodies[inner]);
    }
    function_.nodes.push_back(std::move(node));
    const NodeId made{static_cast<std::uint32_t>(function_.nodes.size() - 1)};
    fixed_.emplace(id, made);
    return made;
}

// Inputs that nobody reads any more have gone: their number is no name.
std::string ScanHoisting::unused_name() const {
    for (std::size_t number = body_.inputs.size();; ++number) {
        std::string name = "hoisted_" + std::to_string(number);
        if (std::ranges::none_of(body_.inputs,
                                 [&](const Input& input) { return input.name == name; }))
            return name;
    }
}

// All readers of a node read a new input of the body instead.
void ScanHoisting::replace_by_input(NodeId id, Kind kind, NodeId outside) {
    const auto index = static_cast<std::uint32_t>(body_.inputs.size());
    body_.inputs.push_back({unused_name(), at(id).type, {}, {}});
    inputs_.push_back({kind, outside});
    const Layout layout = at(id).layout;
    const NodeId leaf = GraphBuilder(body_).input(index).id;
    body_[leaf].layout = layout;
    for (std::uint32_t i = 0; i < leaf.index; ++i) {
        for (NodeId& input : body_.nodes[i].inputs) {
            if (input == id) input = leaf;
        }
    }
    for (auto& result : body_.results) {
        if (result.value == id) result.value = leaf;
    }
}

// Views and constants stay: they cost nothing.
bool ScanHoisting::worth_moving(NodeId id) const {
    const OpFamily family = op_def(at(id).op).family;
    return is_fixed(id) && from_outside_[id.index] && family != OpFamily::view &&
           family != OpFamily::leaf && at(id).op != OpId::scan;
}

void ScanHoisting::move_fixed() {
    const auto count = static_cast<std::uint32_t>(body_.nodes.size());
    std::vector<bool> read(count);
    for (const Node& node : body_.nodes) {
        for (const NodeId input : node.inputs) read[input.index] = true;
    }
    // Those that something reads which stays.
    std::vector<bool> frontier(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        if (worth_moving({i})) continue;
        for (const NodeId input : body_.nodes[i].inputs) {
            if (worth_moving(input)) frontier[input.index] = true;
        }
    }
    for (const auto& result : body_.results) {
        if (worth_moving(result.value)) frontier[result.value.index] = true;
    }
    for (std::uint32_t i = 0; i < count; ++i) {
        if (frontier[i]) replace_by_input({i}, Kind::fixed, fixed_outside({i}));
    }
    sort_body();
}

// Whether the record can lift this node, tried on inputs alone.
bool ScanHoisting::can_lift(NodeId id) const {
    Function trial;
    GraphBuilder graph(trial);
    std::vector<Value> inputs;
    std::vector<bool> stacked;
    for (const NodeId input : at(id).inputs) {
        Type type = at(input).type;
        stacked.push_back(!is_fixed(input));
        if (stacked.back()) type.shape = stacked_shape(type.shape, steps_);
        trial.inputs.push_back({std::to_string(inputs.size()), type, {}, {}});
        inputs.push_back(graph.input(static_cast<std::uint32_t>(inputs.size())));
    }
    if (std::find(stacked.begin(), stacked.end(), true) == stacked.end()) return false;
    const OpDef& def = op_def(at(id).op);
    if (def.lift == nullptr && def.family != OpFamily::elementwise) return false;
    return lift_node(graph, at(id), std::move(inputs), stacked, steps_).id.valid();
}

// The value of all steps, outside. What the loop computes is taken from the scan `from`.
Value ScanHoisting::stack_outside(NodeId id, NodeId from) {
    if (is_input(id, Kind::sequence)) return {&outer_, inputs_[input_of(at(id))].outside};
    const auto known = stacked_.find(id);
    if (known != stacked_.end()) return {&outer_, known->second};
    Value value;
    if (from.valid() && !leaves_loop(id)) {
        value = part(from, yields_.at(id));
    } else {
        std::vector<Value> inputs;
        std::vector<bool> stacked;
        operands(id, from, inputs, stacked);
        value = lift_node(outer_, at(id), std::move(inputs), stacked, steps_);
    }
    stacked_.emplace(id, value.id);
    return value;
}
void ScanHoisting::operands(NodeId id, NodeId from, std::vector<Value>& inputs,
                            std::vector<bool>& stacked) {
    for (const NodeId input : at(id).inputs) {
        stacked.push_back(!is_fixed(input));
        inputs.push_back(stacked.back() ? stack_outside(input, from)
                                        : Value{&outer_, fixed_outside(input)});
    }
}

// Contractions that no carry reaches, with what they need and what elementwise follows.
void ScanHoisting::move_lifted() {
    const auto count = static_cast<std::uint32_t>(body_.nodes.size());
    std::vector<bool> liftable(count), lifted(count);
    std::vector<int> readers(count);
    for (const Node& node : body_.nodes) {
        for (const NodeId input : node.inputs) ++readers[input.index];
    }
    for (std::uint32_t i = 0; i < count; ++i) {
        if (carried_[i] || !stepwise_[i]) continue;
        liftable[i] = at({i}).op == OpId::input || can_lift({i});
        for (const NodeId input : at({i}).inputs) {
            liftable[i] = liftable[i] && (is_fixed(input) || liftable[input.index]);
        }
        if (!liftable[i] || at({i}).op == OpId::input) continue;
        lifted[i] = contraction_[i];
        if (op_def(at({i}).op).family != OpFamily::elementwise) continue;
        bool follows = true, any = false;
        for (const NodeId input : at({i}).inputs) {
            if (is_fixed(input)) continue;
            follows = follows && lifted[input.index] && readers[input.index] == 1;
            any = true;
        }
        lifted[i] = follows && any;
    }
    bool moved = false;
    for (std::uint32_t i = 0; i < count; ++i) {
        if (!lifted[i]) continue;
        bool frontier = false;
        for (std::uint32_t r = i + 1; r < count; ++r) {
            const auto& list = at({r}).inputs;
            const bool reads = std::find(list.begin(), list.end(), NodeId{i}) != list.end();
            frontier = frontier || (reads && !lifted[r]);
        }
        for (const auto& result : body_.results) frontier = frontier || result.value == NodeId{i};
        if (!frontier) continue;
        const NodeId outside = stack_outside({i}, NodeId{}).id;
        replace_by_input({i}, Kind::sequence, outside);
        moved = true;
    }
    if (moved) sort_body();
}

}  // namespace netc
