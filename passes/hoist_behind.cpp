// What hoist puts behind the loop: sums over the steps that only add up in a carry, and contractions that no carry
// waits for. Here they are found; hoist_scan.cpp makes them.
#include <algorithm>

#include "passes/scan_hoisting.h"

namespace netc {

void ScanHoisting::find_results() {
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
std::size_t ScanHoisting::input_or_result(const Node& node) const {
    return static_cast<std::size_t>(node.attributes.get<std::int64_t>("number"));
}
// The carries among the inputs stand in the order of the results.
std::size_t ScanHoisting::carry_of(std::size_t input) const {
    return static_cast<std::size_t>(
        std::count_if(inputs_.begin(), inputs_.begin() + static_cast<std::ptrdiff_t>(input),
                      [](const In& in) { return in.kind == Kind::carry; }));
}

// What the values that stay in the loop need; of carries alone, or of all.
std::vector<bool> ScanHoisting::live_nodes(bool carries_only) const {
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
void ScanHoisting::find_sums() {
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
bool ScanHoisting::is_sum(std::size_t carry, NodeId root, std::vector<NodeId>& terms) const {
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
            if (is_input(input, Kind::carry) && carry_of(input_of(at(input))) == carry) ++readers;
        }
    }
    for (std::size_t r = 0; r < body_.results.size(); ++r) {
        if (r != carry && body_.results[r].value == root) return false;
    }
    return own && readers == 1 && !terms.empty() &&
           std::all_of(terms.begin(), terms.end(), [&](NodeId id) { return can_sum(id); });
}
bool ScanHoisting::is_view_of_one(NodeId id) const {
    return op_def(at(id).op).family == OpFamily::view && at(id).inputs.size() == 1;
}
bool ScanHoisting::can_sum(NodeId id) const {
    while (is_view_of_one(id)) id = at(id).inputs[0];
    return op_def(at(id).op).lift_sum != nullptr && !is_fixed(id);
}

// Contractions that no carry waits for and everything behind them.
void ScanHoisting::find_sunk() {
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
bool ScanHoisting::leaves_loop(NodeId id) const {
    if (id.index < sunk_.size() && sunk_[id.index]) return true;
    return is_view_of_one(id) && can_lift(id);
}

}  // namespace netc
