// The scan again, without what hoist took from it, and what is behind it: its old results are read from there.
#include <algorithm>

#include "passes/rewrite.h"
#include "passes/scan_hoisting.h"

namespace netc {

void ScanHoisting::finish() {
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

// What the loop has to give for a value that is computed behind it.
void ScanHoisting::need_stack(NodeId id) {
    if (is_fixed(id) || is_input(id, Kind::sequence)) return;
    if (leaves_loop(id)) {
        for (const NodeId input : at(id).inputs) need_stack(input);
    } else if (yields_.emplace(id, 0).second) {
        wanted_.push_back(id);
    }
}

void ScanHoisting::drop_unread() {
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
        results.push_back({"out_" + std::to_string(results.size() + 1), body_.results[r].value});
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

NodeId ScanHoisting::make_scan() {
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

Value ScanHoisting::part(NodeId scan, std::size_t result) {
    Type type = fresh_body_[fresh_body_.results[result].value].type;
    if (result >= kept_carries_) type.shape = stacked_shape(type.shape, steps_);
    return outer_.make(OpId::scan_result, {{&outer_, scan}},
                       {{"number", static_cast<std::int64_t>(result)},
                        {"dtype", type.dtype},
                        {"shape", type.shape}});
}

NodeId ScanHoisting::value_of(std::size_t r, NodeId scan) {
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
Value ScanHoisting::sum_of(NodeId id, NodeId scan) {
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

NodeId ScanHoisting::now(NodeId id) const {
    for (const auto& [r, fresh] : replaced_) {
        const auto& old = values_[r].old;
        if (std::find(old.begin(), old.end(), id) != old.end()) return fresh;
    }
    return id;
}

}  // namespace netc
