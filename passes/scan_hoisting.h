// One scan and a copy of its body, from which things are taken: the machine behind hoist; see there. Only hoist*.cpp
// include it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ir/graph_builder.h"

namespace netc {

// The shape of the values of all steps.
Shape stacked_shape(const Shape& shape, const Dim& steps);

class ScanHoisting {
public:
    ScanHoisting(Function& function, NodeId scan);

    void hoist_fixed();
    void hoist_steps();
    // The scan with what is left; its old results are read from where they are now.
    void finish();

private:
    enum class Kind : std::uint8_t { sequence, carry, fixed };
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
    bool is_fixed(NodeId id) const { return !carried_[id.index] && !stepwise_[id.index]; }

    // hoist.cpp
    void classify();
    void sort_body();

    // hoist_before.cpp
    NodeId fixed_outside(NodeId id);
    std::string unused_name() const;
    void replace_by_input(NodeId id, Kind kind, NodeId outside);
    bool worth_moving(NodeId id) const;
    void move_fixed();
    bool can_lift(NodeId id) const;
    Value stack_outside(NodeId id, NodeId from);
    void operands(NodeId id, NodeId from, std::vector<Value>& inputs, std::vector<bool>& stacked);
    void move_lifted();

    // hoist_behind.cpp
    void find_results();
    std::size_t input_or_result(const Node& node) const;
    std::size_t carry_of(std::size_t input) const;
    std::vector<bool> live_nodes(bool carries_only) const;
    void find_sums();
    bool is_sum(std::size_t carry, NodeId root, std::vector<NodeId>& terms) const;
    bool is_view_of_one(NodeId id) const;
    bool can_sum(NodeId id) const;
    void find_sunk();
    bool leaves_loop(NodeId id) const;

    // hoist_scan.cpp
    void need_stack(NodeId id);
    void drop_unread();
    NodeId make_scan();
    Value part(NodeId scan, std::size_t result);
    NodeId value_of(std::size_t r, NodeId scan);
    Value sum_of(NodeId id, NodeId scan);
    NodeId now(NodeId id) const;

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

}  // namespace netc
