#include "passes/hoist.h"

#include <algorithm>
#include <map>

#include "ir/graph_builder.h"
#include "passes/probe.h"
#include "passes/rewrite.h"

namespace netc {
namespace {

enum class Kind : std::uint8_t { sequence, carry, fixed };

Shape stacked_shape(const Shape& shape, const Dim& steps) {
    Shape stacked = shape;
    stacked.insert(stacked.begin(), steps);
    return stacked;
}

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

// One scan and a copy of its body, from which things are taken.
class Hoisting {
public:
    Hoisting(Function& function, NodeId scan)
        : function_(function), outer_(function), scan_(scan), node_(function[scan]),
          steps_(node_.attributes.get<Shape>("steps")[0]), body_(function.bodies[number("body")]) {
        const std::size_t sequences = number("sequences"), carries = number("carries");
        for (std::size_t k = 0; k < node_.inputs.size(); ++k) {
            inputs_.push_back({k < sequences             ? Kind::sequence
                               : k < sequences + carries ? Kind::carry
                                                         : Kind::fixed,
                               node_.inputs[k]});
        }
        carries_ = carries;
        outer_.set_origin(node_.origin);
        values_.resize(body_.results.size());
    }

    void hoist_fixed() {
        classify();
        move_fixed();
    }
    void hoist_steps() {
        classify();
        move_lifted();
        find_results();
        find_sums();
        find_sunk();
    }

    // The scan with what is left; its old results are read from where they are now.
    void finish() {
        find_results();
        drop_unread();
        const NodeId fresh = make_scan();
        for (std::size_t r = 0; r < values_.size(); ++r) {
            if (values_[r].mode == Mode::gone) continue;
            replaced_[r] = value_of(r, fresh);
        }
        for (Node& node : function_.nodes) {
            for (NodeId& input : node.inputs) input = now(input);
        }
        for (auto& result : function_.results) result.value = now(result.value);
        for (auto& update : function_.updates) update.value = now(update.value);
    }

private:
    struct In {
        Kind kind;
        NodeId outside;
    };
    enum class Mode : std::uint8_t { gone, kept, sum, sunk };
    struct ScanValue {
        Mode mode = Mode::gone;
        std::size_t result = 0;     // kept: number among the new results
        std::vector<NodeId> terms;  // sum: of the body
        std::vector<NodeId> old;    // the scan_result nodes
    };

    std::size_t number(const char* attribute) const {
        return static_cast<std::size_t>(node_.attributes.get<std::int64_t>(attribute));
    }
    const Node& at(NodeId id) const { return body_[id]; }
    std::size_t input_of(const Node& leaf) const {
        return static_cast<std::size_t>(leaf.attributes.get<std::int64_t>("index"));
    }
    bool is_input(NodeId id, Kind kind) const {
        return at(id).op == OpId::input && inputs_[input_of(at(id))].kind == kind;
    }

    // ---- what depends on what

    void classify() {
        carried_.assign(body_.nodes.size(), false);
        stepwise_.assign(body_.nodes.size(), false);
        from_outside_.assign(body_.nodes.size(), false);
        contraction_.assign(body_.nodes.size(), false);
        for (std::uint32_t i = 0; i < body_.nodes.size(); ++i) {
            const NodeId id{i};
            carried_[i] = is_input(id, Kind::carry);
            stepwise_[i] = is_input(id, Kind::sequence);
            from_outside_[i] = is_input(id, Kind::fixed);
            for (const NodeId input : at(id).inputs) {
                carried_[i] = carried_[i] || carried_[input.index];
                stepwise_[i] = stepwise_[i] || stepwise_[input.index];
                from_outside_[i] = from_outside_[i] || from_outside_[input.index];
            }
            contraction_[i] = probe(body_, id).contraction;
        }
    }
    bool is_fixed(NodeId id) const { return !carried_[id.index] && !stepwise_[id.index]; }

    // ---- before the loop

    NodeId fixed_outside(NodeId id) {
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
    std::string unused_name() const {
        for (std::size_t number = body_.inputs.size();; ++number) {
            std::string name = "hoisted_" + std::to_string(number);
            if (std::ranges::none_of(body_.inputs,
                                     [&](const Input& input) { return input.name == name; }))
                return name;
        }
    }

    // All readers of a node read a new input of the body instead.
    void replace_by_input(NodeId id, Kind kind, NodeId outside) {
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
    bool worth_moving(NodeId id) const {
        const OpFamily family = op_def(at(id).op).family;
        return is_fixed(id) && from_outside_[id.index] && family != OpFamily::view &&
               family != OpFamily::leaf && at(id).op != OpId::scan;
    }

    void move_fixed() {
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

    void sort_body() {
        for (auto& value : values_) value.terms.clear();
        fixed_.clear();
        stacked_.clear();
        sort_topologically(body_);
        classify();
    }

    // Whether the record can lift this node, tried on inputs alone.
    bool can_lift(NodeId id) const {
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
    Value stack_outside(NodeId id, NodeId from) {
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
    void operands(NodeId id, NodeId from, std::vector<Value>& inputs, std::vector<bool>& stacked) {
        for (const NodeId input : at(id).inputs) {
            stacked.push_back(!is_fixed(input));
            inputs.push_back(stacked.back() ? stack_outside(input, from)
                                            : Value{&outer_, fixed_outside(input)});
        }
    }

    // Contractions that no carry reaches, with what they need and what elementwise follows.
    void move_lifted() {
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
            for (const auto& result : body_.results)
                frontier = frontier || result.value == NodeId{i};
            if (!frontier) continue;
            const NodeId outside = stack_outside({i}, NodeId{}).id;
            replace_by_input({i}, Kind::sequence, outside);
            moved = true;
        }
        if (moved) sort_body();
    }

    // ---- behind the loop

    void find_results() {
        for (auto& value : values_) value.old.clear();
        for (std::uint32_t i = 0; i < function_.nodes.size(); ++i) {
            const Node& node = function_.nodes[i];
            if (node.op != OpId::scan_result || node.inputs[0] != scan_) continue;
            ScanValue& value = values_[input_or_result(node)];
            value.old.push_back({i});
            if (value.mode == Mode::gone) value.mode = Mode::kept;
        }
        // A carry is needed where something needed reads it.
        for (bool changed = true; changed;) {
            changed = false;
            const std::vector<bool> live = live_nodes(false);
            for (std::uint32_t i = 0; i < body_.nodes.size(); ++i) {
                if (!live[i] || !is_input({i}, Kind::carry)) continue;
                ScanValue& value = values_[carry_of(input_of(at({i})))];
                if (value.mode != Mode::gone) continue;
                value.mode = Mode::kept;
                changed = true;
            }
        }
    }
    std::size_t input_or_result(const Node& node) const {
        return static_cast<std::size_t>(node.attributes.get<std::int64_t>("number"));
    }
    // The carries among the inputs stand in the order of the results.
    std::size_t carry_of(std::size_t input) const {
        return static_cast<std::size_t>(
            std::count_if(inputs_.begin(), inputs_.begin() + static_cast<std::ptrdiff_t>(input),
                          [](const In& in) { return in.kind == Kind::carry; }));
    }

    // What the values that stay in the loop need; of carries alone, or of all.
    std::vector<bool> live_nodes(bool carries_only) const {
        std::vector<bool> live(body_.nodes.size());
        for (std::size_t r = 0; r < values_.size(); ++r) {
            if (values_[r].mode != Mode::kept || (carries_only && r >= carries_)) continue;
            live[body_.results[r].value.index] = true;
        }
        for (std::size_t i = body_.nodes.size(); i-- > 0;) {
            if (!live[i]) continue;
            for (const NodeId input : body_.nodes[i].inputs) live[input.index] = true;
        }
        return live;
    }

    // Carries that only add up: carry + a + b.
    void find_sums() {
        for (std::size_t c = 0; c < carries_; ++c) {
            ScanValue& value = values_[c];
            if (value.mode != Mode::kept) continue;
            std::vector<NodeId> terms;
            if (is_sum(c, body_.results[c].value, terms)) {
                value.mode = Mode::sum;
                value.terms = std::move(terms);
            }
        }
    }
    bool is_sum(std::size_t carry, NodeId root, std::vector<NodeId>& terms) const {
        std::vector<NodeId> open{root};
        bool own = false;
        while (!open.empty()) {
            const NodeId id = open.back();
            open.pop_back();
            if (is_input(id, Kind::carry) && carry_of(input_of(at(id))) == carry) {
                if (own) return false;
                own = true;
            } else if (at(id).op == OpId::add) {
                open.push_back(at(id).inputs[1]);
                open.push_back(at(id).inputs[0]);
            } else {
                terms.push_back(id);
            }
        }
        std::size_t readers = 0;
        for (const Node& node : body_.nodes) {
            for (const NodeId input : node.inputs) {
                if (is_input(input, Kind::carry) && carry_of(input_of(at(input))) == carry)
                    ++readers;
            }
        }
        for (std::size_t r = 0; r < body_.results.size(); ++r) {
            if (r != carry && body_.results[r].value == root) return false;
        }
        return own && readers == 1 && !terms.empty() &&
               std::all_of(terms.begin(), terms.end(), [&](NodeId id) { return can_sum(id); });
    }
    bool is_view_of_one(NodeId id) const {
        return op_def(at(id).op).family == OpFamily::view && at(id).inputs.size() == 1;
    }
    bool can_sum(NodeId id) const {
        while (is_view_of_one(id)) id = at(id).inputs[0];
        return op_def(at(id).op).lift_sum != nullptr && !is_fixed(id);
    }

    // Contractions that no carry waits for and everything behind them.
    void find_sunk() {
        const auto count = static_cast<std::uint32_t>(body_.nodes.size());
        const std::vector<bool> live = live_nodes(true);
        std::vector<bool> down(count, true);
        for (std::uint32_t i = count; i-- > 0;) {
            const bool able = down[i] && can_lift({i});
            for (const NodeId input : at({i}).inputs) {
                if (!able) down[input.index] = false;
            }
        }
        sunk_.assign(count, false);
        for (std::uint32_t i = 0; i < count; ++i) {
            if (live[i] || is_fixed({i}) || at({i}).op == OpId::input) continue;
            sunk_[i] = contraction_[i] && down[i] && can_lift({i});
            for (const NodeId input : at({i}).inputs) sunk_[i] = sunk_[i] || sunk_[input.index];
        }
        for (std::size_t r = carries_; r < values_.size(); ++r) {
            if (values_[r].mode == Mode::kept && sunk_[body_.results[r].value.index]) {
                values_[r].mode = Mode::sunk;
            }
        }
    }
    // A view is made outside of what the loop gives, rather than stored by it.
    bool leaves_loop(NodeId id) const {
        if (id.index < sunk_.size() && sunk_[id.index]) return true;
        return is_view_of_one(id) && can_lift(id);
    }

    // What the loop has to give for a value that is computed behind it.
    void need_stack(NodeId id) {
        if (is_fixed(id) || is_input(id, Kind::sequence)) return;
        if (leaves_loop(id)) {
            for (const NodeId input : at(id).inputs) need_stack(input);
        } else if (yields_.emplace(id, 0).second) {
            wanted_.push_back(id);
        }
    }

    // ---- the scan again

    void drop_unread() {
        for (std::size_t r = 0; r < values_.size(); ++r) {
            ScanValue& value = values_[r];
            if (value.mode == Mode::sunk) need_stack(body_.results[r].value);
            for (NodeId term : value.terms) {
                while (is_view_of_one(term)) term = at(term).inputs[0];
                for (const NodeId input : at(term).inputs) need_stack(input);
            }
        }
        std::vector<Function::Result> results;
        for (std::size_t r = 0; r < values_.size(); ++r) {
            if (values_[r].mode != Mode::kept) continue;
            values_[r].result = results.size();
            if (r < carries_) ++kept_carries_;
            results.push_back(
                {"out_" + std::to_string(results.size() + 1), body_.results[r].value});
        }
        for (const NodeId id : wanted_) {
            const auto known = std::find_if(
                results.begin() + static_cast<std::ptrdiff_t>(kept_carries_), results.end(),
                [&](const Function::Result& result) { return result.value == id; });
            yields_[id] = static_cast<std::size_t>(known - results.begin());
            if (known == results.end()) {
                results.push_back({"out_" + std::to_string(results.size() + 1), id});
            }
        }
        fresh_results_ = std::move(results);
    }

    NodeId make_scan() {
        Function body = body_;
        body.results = fresh_results_;
        remove_dead_nodes(body);
        std::vector<bool> read(body.inputs.size());
        for (const Node& node : body.nodes) {
            if (node.op == OpId::input) read[input_of(node)] = true;
        }
        std::vector<std::int64_t> place(body.inputs.size(), -1);
        std::vector<Input> inputs;
        std::vector<Value> operands;
        std::int64_t counts[3] = {};
        for (const Kind kind : {Kind::sequence, Kind::carry, Kind::fixed}) {
            for (std::size_t k = 0; k < inputs_.size(); ++k) {
                if (inputs_[k].kind != kind) continue;
                const bool kept = kind == Kind::carry ? values_[carry_of(k)].mode == Mode::kept
                                                      : static_cast<bool>(read[k]);
                if (!kept) continue;
                ++counts[static_cast<std::size_t>(kind)];
                place[k] = static_cast<std::int64_t>(inputs.size());
                inputs.push_back(body.inputs[k]);
                operands.push_back({&outer_, inputs_[k].outside});
            }
        }
        body.inputs = std::move(inputs);
        for (Node& node : body.nodes) {
            if (node.op == OpId::input) node.attributes.set("index", place[input_of(node)]);
        }
        fresh_body_ = body;
        if (body.results.empty()) return {};
        const auto number = static_cast<std::int64_t>(function_.bodies.size());
        function_.bodies.push_back(std::move(body));
        return outer_
            .make(OpId::scan, std::move(operands),
                  {{"body", number},
                   {"steps", Shape{steps_}},
                   {"sequences", counts[0]},
                   {"carries", counts[1]},
                   {"reverse", node_.attributes.get<bool>("reverse")}})
            .id;
    }

    Value part(NodeId scan, std::size_t result) {
        Type type = fresh_body_[fresh_body_.results[result].value].type;
        if (result >= kept_carries_) type.shape = stacked_shape(type.shape, steps_);
        return outer_.make(OpId::scan_result, {{&outer_, scan}},
                           {{"number", static_cast<std::int64_t>(result)},
                            {"dtype", type.dtype},
                            {"shape", type.shape}});
    }

    NodeId value_of(std::size_t r, NodeId scan) {
        const ScanValue& value = values_[r];
        if (value.mode == Mode::kept) return part(scan, value.result).id;
        if (value.mode == Mode::sunk) return stack_outside(body_.results[r].value, scan).id;
        std::size_t input = 0;
        while (inputs_[input].kind != Kind::carry || carry_of(input) != r) ++input;
        Value sum{&outer_, inputs_[input].outside};
        const Node& initial = function_[sum.id];
        bool empty = initial.op == OpId::constant && initial.attributes.get<double>("value") == 0;
        for (const NodeId term : value.terms) {
            const Value all = sum_of(term, scan);
            sum = empty ? all : sum + all;
            empty = false;
        }
        return sum.id;
    }
    Value sum_of(NodeId id, NodeId scan) {
        const Node node = at(id);
        if (is_view_of_one(id)) {
            return outer_.make(node.op, {sum_of(node.inputs[0], scan)}, node.attributes);
        }
        std::vector<Value> inputs;
        std::vector<bool> stacked;
        operands(id, scan, inputs, stacked);
        return op_def(node.op).lift_sum(
            Lift{outer_, node.attributes, std::move(inputs), stacked, steps_, node.type.shape});
    }

    NodeId now(NodeId id) const {
        for (const auto& [r, fresh] : replaced_) {
            const auto& old = values_[r].old;
            if (std::find(old.begin(), old.end(), id) != old.end()) return fresh;
        }
        return id;
    }

    Function& function_;
    GraphBuilder outer_;
    NodeId scan_;
    const Node node_;
    Dim steps_;
    Function body_;
    std::vector<In> inputs_;  // per input of the body
    std::size_t carries_ = 0, kept_carries_ = 0;
    std::vector<ScanValue> values_;  // per result of the old scan
    std::vector<bool> carried_, stepwise_, from_outside_, contraction_, sunk_;
    std::map<NodeId, NodeId> fixed_, stacked_;  // of the body, and what stands for them outside
    std::map<NodeId, std::size_t> yields_;      // stacks that are needed behind the loop
    std::vector<NodeId> wanted_;                // the same in order
    std::vector<Function::Result> fresh_results_;
    Function fresh_body_;
    std::map<std::size_t, NodeId> replaced_;
};

template <class Work>
void each_scan(Function& function, Work work) {
    std::vector<NodeId> scans;
    for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
        if (function.nodes[i].op == OpId::scan) scans.push_back({i});
    }
    for (const NodeId scan : scans) {
        Hoisting hoisting(function, scan);
        work(hoisting);
        hoisting.finish();
    }
    if (!scans.empty()) sort_topologically(function);
}

}  // namespace

void hoist(Function& function) {
    each_scan(function, [](Hoisting& hoisting) {
        hoisting.hoist_fixed();
        hoisting.hoist_steps();
    });
}

void hoist_fixed(Function& function) {
    each_scan(function, [](Hoisting& hoisting) { hoisting.hoist_fixed(); });
}

}  // namespace netc
