// The gradient of a scan is a scan in the other direction (Werbos 1990, backpropagation through time).
//
//     body (x, h, w) -> h'             ->     body (x, h, w) -> h', saved
//                                             body (dh', saved, w, dw) -> dh, dw + its part
//
// The body and its reverse sweep are made as one function, which is then cut in two: what depends on a
// gradient runs backward, all else forward. What the backward part reads of the forward part is stacked by
// the forward scan, except what is cheap to make again from what is there: views and plain arithmetic. The
// value of a carry before each step is its stack, moved by one.
#include <algorithm>
#include <map>
#include <set>

#include "passes/probe.h"
#include "passes/reverse_sweep.h"
#include "passes/rewrite.h"

namespace netc {
namespace {

std::size_t count(const Node& scan, const char* attribute) {
    return static_cast<std::size_t>(scan.attributes.get<std::int64_t>(attribute));
}

std::size_t leaf_number(const Node& leaf) {
    return static_cast<std::size_t>(leaf.attributes.get<std::int64_t>("index"));
}

// The backward body under construction: nodes of the joint function, copied as they are needed.
class BackwardBody {
public:
    enum class Kind : std::uint8_t { sequence, carry, fixed };

    explicit BackwardBody(const Function& joint) : joint_(joint), copied_(joint.nodes.size()) {
        body_.name = joint.name + "_back";
        body_.origins = joint.origins;
    }

    NodeId input(Kind kind, std::string name, const Type& type, NodeId outside) {
        const auto index = static_cast<std::uint32_t>(body_.inputs.size());
        body_.inputs.push_back({std::move(name), type, {}, {}});
        kinds_.push_back(kind);
        outside_.push_back(outside);
        return GraphBuilder(body_).input(index).id;
    }
    void stands_for(NodeId joint, NodeId own) { copied_[joint.index] = own; }
    bool has(NodeId joint) const { return copied_[joint.index].valid(); }

    NodeId copy(NodeId joint) {
        if (has(joint)) return copied_[joint.index];
        Node node = joint_[joint];
        for (NodeId& input : node.inputs) input = copy(input);
        if (node.op == OpId::scan) {
            const std::size_t number = count(node, "body");
            node.attributes.set("body", static_cast<std::int64_t>(body_.bodies.size()));
            body_.bodies.push_back(joint_.bodies[number]);
        }
        body_.nodes.push_back(std::move(node));
        const NodeId own{static_cast<std::uint32_t>(body_.nodes.size() - 1)};
        copied_[joint.index] = own;
        return own;
    }

    void result(NodeId own) {
        const std::string name = "out_" + std::to_string(body_.results.size() + 1);
        body_.results.push_back({name, own});
    }
    Function& function() { return body_; }

    // Inputs in their order; gives the operands of the scan.
    std::vector<NodeId> finish() {
        std::vector<std::size_t> order;
        for (const Kind kind : {Kind::sequence, Kind::carry, Kind::fixed}) {
            for (std::size_t i = 0; i < kinds_.size(); ++i) {
                if (kinds_[i] == kind) order.push_back(i);
            }
        }
        std::vector<std::int64_t> place(order.size());
        std::vector<Input> inputs;
        std::vector<NodeId> operands;
        for (std::size_t i = 0; i < order.size(); ++i) {
            place[order[i]] = static_cast<std::int64_t>(i);
            inputs.push_back(body_.inputs[order[i]]);
            operands.push_back(outside_[order[i]]);
        }
        body_.inputs = std::move(inputs);
        for (Node& node : body_.nodes) {
            if (node.op == OpId::input) node.attributes.set("index", place[leaf_number(node)]);
        }
        return operands;
    }
    std::size_t inputs_of(Kind kind) const {
        return static_cast<std::size_t>(std::count(kinds_.begin(), kinds_.end(), kind));
    }

private:
    const Function& joint_;
    std::vector<NodeId> copied_;
    Function body_;
    std::vector<Kind> kinds_;
    std::vector<NodeId> outside_;
};

class ScanGradient {
public:
    ScanGradient(ReverseSweep& sweep, NodeId scan)
        : sweep_(sweep), graph_(sweep.graph()), scan_(scan), node_(graph_.function()[scan]),
          joint_(graph_.function().bodies[count(node_, "body")]),
          sequences_(count(node_, "sequences")), carries_(count(node_, "carries")),
          inputs_(joint_.inputs.size()), results_(joint_.results.size()) {}

    void run() {
        find_gradients();
        choose_inputs();
        sweep_body();
        cut();
    }

private:
    using Kind = BackwardBody::Kind;

    bool is_carry(std::size_t input) const {
        return input >= sequences_ && input < sequences_ + carries_;
    }

    // Gradients of what the scan left, per result; invalid where there is none.
    void find_gradients() {
        given_.resize(results_);
        const Function& function = graph_.function();
        for (std::uint32_t i = scan_.index + 1; i < function.nodes.size(); ++i) {
            const Node& node = function.nodes[i];
            if (node.op != OpId::scan_result || node.inputs[0] != scan_ || !sweep_.depends({i}))
                continue;
            const NodeId gradient = sweep_.gradient_of({i});
            if (!gradient.valid()) continue;
            NodeId& sum = given_[count(node, "number")];
            sum = sum.valid() ? (Value{&graph_, sum} + Value{&graph_, gradient}).id : gradient;
        }
    }

    // Inputs of the body that need a gradient. A carry does when it comes to depend on one that does.
    void choose_inputs() {
        wanted_.resize(inputs_);
        for (std::size_t k = 0; k < inputs_; ++k) {
            wanted_[k] = is_float(joint_.inputs[k].type.dtype) && sweep_.depends(node_.inputs[k]);
        }
        for (bool changed = true; changed;) {
            changed = false;
            depends_ = depends_on(joint_, [&](const Node& node) {
                return node.op == OpId::input && wanted_[leaf_number(node)];
            });
            for (std::size_t c = 0; c < carries_; ++c) {
                if (wanted_[sequences_ + c] || !depends_[joint_.results[c].value.index]) continue;
                wanted_[sequences_ + c] = changed = true;
            }
        }
    }

    // The body and its reverse sweep in one function. Gradients come in as further inputs.
    void sweep_body() {
        ReverseSweep inner(joint_, depends_);
        for (std::size_t r = 0; r < results_; ++r) {
            const NodeId value = joint_.results[r].value;
            const bool carried = r < carries_ && wanted_[sequences_ + r];
            if (!depends_[value.index] || !(carried || (r >= carries_ && given_[r].valid())))
                continue;
            const auto index = static_cast<std::uint32_t>(joint_.inputs.size());
            joint_.inputs.push_back({"d_" + joint_.results[r].name, joint_[value].type, {}, {}});
            const Value seed = inner.graph().input(index);
            seeds_.emplace(r, seed.id);
            inner.add_to(value, seed);
        }
        inner.run();
        gradients_.resize(inputs_);
        for (std::size_t k = 0; k < inputs_; ++k) {
            if (!wanted_[k]) continue;
            gradients_[k] = inner.gradient_of_leaf(OpId::input, static_cast<std::int64_t>(k));
        }
    }

    void cut() {
        std::vector<bool> backward(joint_.nodes.size());
        for (const auto& [result, seed] : seeds_) backward[seed.index] = true;
        for (std::size_t i = 0; i < joint_.nodes.size(); ++i) {
            for (const NodeId input : joint_.nodes[i].inputs) {
                backward[i] = backward[i] || backward[input.index];
            }
        }
        BackwardBody body(joint_);
        take_gradients(body);
        take_forward_values(body, backward);
        finish(body);
    }

    void take_gradients(BackwardBody& body) {
        for (const auto& [r, seed] : seeds_) {
            const Type type = joint_[seed].type;
            const NodeId from =
                given_[r].valid() ? given_[r] : graph_.constant(0.0, type.dtype, type.shape).id;
            const Kind kind = r < carries_ ? Kind::carry : Kind::sequence;
            body.stands_for(seed, body.input(kind, "d_" + joint_.results[r].name, type, from));
        }
    }

    // What the backward nodes read of the forward ones, views seen through.
    void collect(NodeId id, const std::vector<bool>& backward, std::set<NodeId>& read) const {
        if (backward[id.index]) return;
        const Node& node = joint_[id];
        const bool view = op_def(node.op).family == OpFamily::view;
        if (!view) read.insert(id);
        for (const NodeId input : node.inputs) {
            if (view) collect(input, backward, read);
        }
    }

    void take_forward_values(BackwardBody& body, const std::vector<bool>& backward) {
        std::set<NodeId> read;
        for (std::size_t i = 0; i < joint_.nodes.size(); ++i) {
            if (!backward[i]) continue;
            for (const NodeId input : joint_.nodes[i].inputs) collect(input, backward, read);
        }
        for (const NodeId gradient : gradients_) {
            if (gradient.valid()) collect(gradient, backward, read);
        }
        // What the scan gives anyway costs nothing; where it is not read after all, hoist drops it.
        for (std::size_t r = carries_; r < results_; ++r) {
            const NodeId id = joint_.results[r].value;
            if (!backward[id.index] && op_def(joint_[id].op).family != OpFamily::leaf) {
                take(body, id);
            }
        }
        for (const NodeId id : read) take(body, id);
    }

    // Everything that the node needs is in the backward body, or a leaf or view of such.
    bool at_hand(const BackwardBody& body, NodeId id) const {
        if (body.has(id)) return true;
        const Node& node = joint_[id];
        const OpFamily family = op_def(node.op).family;
        const bool again = family == OpFamily::view ||
                           (family == OpFamily::leaf && node.op != OpId::input) ||
                           (family == OpFamily::elementwise && !probe(joint_, id).transcendental);
        return again && std::all_of(node.inputs.begin(), node.inputs.end(),
                                    [&](NodeId input) { return at_hand(body, input); });
    }

    void take(BackwardBody& body, NodeId id) {
        if (at_hand(body, id)) {
            body.copy(id);
            return;
        }
        const Node& node = joint_[id];
        NodeId outside;
        Kind kind = Kind::sequence;
        if (node.op == OpId::input && is_carry(leaf_number(node))) {
            outside = before(leaf_number(node) - sequences_);
        } else if (node.op == OpId::input) {
            outside = node_.inputs[leaf_number(node)];
            if (leaf_number(node) >= sequences_) kind = Kind::fixed;
        } else {
            outside = stack_of(id);
        }
        const std::string name = "kept_" + std::to_string(body.function().inputs.size() + 1);
        body.stands_for(id, body.input(kind, name, node.type, outside));
    }

    // What the forward scan stacks; a further result of its body where it did not.
    NodeId stack_of(NodeId id) {
        std::size_t number = carries_;
        while (number < joint_.results.size() && joint_.results[number].value != id) ++number;
        if (number == joint_.results.size()) {
            joint_.results.push_back({"kept_" + std::to_string(number + 1), id});
        }
        Type type = joint_[id].type;
        type.shape.insert(type.shape.begin(), steps());
        return part(scan_, number, type).id;
    }

    Dim steps() const { return node_.attributes.get<Shape>("steps")[0]; }
    bool reverse() const { return node_.attributes.get<bool>("reverse"); }

    Value part(NodeId scan, std::size_t number, const Type& type) {
        return graph_.make(OpId::scan_result, {{&graph_, scan}},
                           {{"number", static_cast<std::int64_t>(number)},
                            {"dtype", type.dtype},
                            {"shape", type.shape}});
    }

    // A carry before each step: its initial value, then its stack without the last step.
    NodeId before(std::size_t carry) {
        const Value initial{&graph_, node_.inputs[sequences_ + carry]};
        const Type type = initial.type();
        Shape one = type.shape;
        one.insert(one.begin(), Dim(1));
        const Value first = graph_.reshape(initial, one);
        if (steps() == Dim(1)) return first.id;
        const Value stack{&graph_, stack_of(joint_.results[carry].value)};
        std::vector<std::int64_t> starts(one.size()), stops(one.size(), -1);
        if (reverse()) {
            starts[0] = 1;
        } else {
            stops[0] = steps().value() - 1;
        }
        const Value others =
            graph_.make(OpId::slice, {stack}, {{"starts", starts}, {"stops", stops}});
        const std::vector<Value> both =
            reverse() ? std::vector<Value>{others, first} : std::vector<Value>{first, others};
        return graph_.make(OpId::concat, both, {{"axis", std::int64_t{0}}}).id;
    }

    void finish(BackwardBody& body) {
        // New carries first: gradients of carries, then sums for what is the same in all steps.
        for (const auto& [r, seed] : seeds_) {
            if (r >= carries_) continue;
            const NodeId gradient = gradients_[sequences_ + r];
            const Type type = joint_[seed].type;
            body.result(
                gradient.valid()
                    ? body.copy(gradient)
                    : GraphBuilder(body.function()).constant(0.0, type.dtype, type.shape).id);
        }
        for (std::size_t k = sequences_ + carries_; k < inputs_; ++k) {
            if (!gradients_[k].valid()) continue;
            const Type type = joint_.inputs[k].type;
            const NodeId zero = graph_.constant(0.0, type.dtype, type.shape).id;
            const NodeId sum = body.input(Kind::carry, "sum_" + joint_.inputs[k].name, type, zero);
            GraphBuilder builder(body.function());
            const NodeId own = body.copy(gradients_[k]);
            body.result((Value{&builder, sum} + Value{&builder, own}).id);
        }
        for (std::size_t k = 0; k < sequences_; ++k) {
            if (gradients_[k].valid()) body.result(body.copy(gradients_[k]));
        }
        keep_forward_part();
        add_scan(body);
    }

    // The scan runs what does not depend on gradients, and gives what is read later.
    void keep_forward_part() {
        Function forward = joint_;
        remove_dead_nodes(forward);
        forward.inputs.resize(inputs_);
        graph_.function().bodies[count(node_, "body")] = std::move(forward);
    }

    void add_scan(BackwardBody& body) {
        std::vector<Value> operands;
        for (const NodeId operand : body.finish()) operands.push_back({&graph_, operand});
        std::vector<Type> types;
        for (const Function::Result& result : body.function().results) {
            types.push_back(body.function()[result.value].type);
        }
        const auto number = static_cast<std::int64_t>(graph_.function().bodies.size());
        graph_.function().bodies.push_back(std::move(body.function()));
        const Value back =
            graph_.make(OpId::scan, operands,
                        {{"body", number},
                         {"steps", Shape{steps()}},
                         {"sequences", static_cast<std::int64_t>(body.inputs_of(Kind::sequence))},
                         {"carries", static_cast<std::int64_t>(body.inputs_of(Kind::carry))},
                         {"reverse", !reverse()}});
        std::size_t next = 0;
        const auto give = [&](std::size_t input, bool stacked) {
            Type type = types[next];
            if (stacked) type.shape.insert(type.shape.begin(), steps());
            sweep_.add_to(node_.inputs[input], part(back.id, next++, type));
        };
        for (const auto& [r, seed] : seeds_) {
            if (r < carries_) give(sequences_ + r, false);
        }
        for (std::size_t k = sequences_ + carries_; k < inputs_; ++k) {
            if (gradients_[k].valid()) give(k, false);
        }
        for (std::size_t k = 0; k < sequences_; ++k) {
            if (gradients_[k].valid()) give(k, true);
        }
    }

    ReverseSweep& sweep_;
    GraphBuilder& graph_;
    NodeId scan_;
    const Node node_;  // copies, since appending nodes moves them
    Function joint_;
    std::size_t sequences_, carries_, inputs_, results_;
    std::vector<NodeId> given_;
    std::vector<bool> wanted_, depends_;
    std::map<std::size_t, NodeId> seeds_;  // by result, ascending
    std::vector<NodeId> gradients_;        // per input
};

}  // namespace

void differentiate_scan(ReverseSweep& sweep, NodeId scan) { ScanGradient(sweep, scan).run(); }

}  // namespace netc
