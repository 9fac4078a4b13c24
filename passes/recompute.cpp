#include "passes/recompute.h"

#include <algorithm>

#include "passes/group.h"
#include "passes/order.h"

namespace netc {
namespace {

constexpr int kMostAgain = 16;
// What is smaller by this factor may be kept for the sake of what it makes.
constexpr std::int64_t kSmallShare = 8;
// Below this many bytes nothing is gained.
constexpr std::int64_t kWorthIt = 4096;
// From so many bytes on that would be kept, memory counts more than the few hundredths of a step that this takes.
constexpr std::int64_t kMuch = std::int64_t{1} << 29;

std::vector<bool> needed(const Function& function) {
    std::vector<bool> live(function.nodes.size());
    for (const auto& result : function.results) live[result.value.index] = true;
    for (const auto& update : function.updates) live[update.value.index] = true;
    for (std::size_t i = live.size(); i-- > 0;) {
        if (!live[i]) continue;
        for (NodeId input : function.nodes[i].inputs) live[input.index] = true;
    }
    return live;
}

// Which values of the forward pass the backward pass computes again.
class Choice {
public:
    Choice(const Function& function, const BackwardPass& backward, std::int64_t batch)
        : function_(function), backward_(backward), batch_(batch), info_(function),
          live_(needed(function)), kept_(function.nodes.size()), again_(function.nodes.size()) {
        for (std::uint32_t i = 0; i < backward.begin; ++i) kept_[i] = read_by_backward(NodeId{i});
        for (std::uint32_t i = 0; i < backward.begin; ++i) {
            if (!kept_[i] || info_.wanted[i] || !cheap(NodeId{i}) || bytes(NodeId{i}) < kWorthIt)
                continue;
            std::vector<NodeId> small;
            if (cost(NodeId{i}, NodeId{i}, small) > kMostAgain) continue;
            again_[i] = true;
            for (NodeId id : small) kept_[id.index] = true;
        }
    }

    // What the backward pass reads of the forward pass, where nothing is computed again.
    std::int64_t kept_bytes() const {
        std::int64_t sum = 0;
        for (std::uint32_t i = 0; i < backward_.begin; ++i) {
            if (read_by_backward(NodeId{i})) sum += bytes(NodeId{i});
        }
        return sum;
    }

    bool cheap(NodeId id) const {
        const OpDef& def = op_def(function_[id].op);
        const Probe& probe = info_.probes[id.index];
        const bool family = def.family == OpFamily::elementwise || def.family == OpFamily::random ||
                            def.family == OpFamily::view;
        return family && !probe.leaf && !probe.reduces && !def.alone && def.lower != nullptr;
    }
    // Whether a reader in the backward pass has to read another node instead.
    bool changes(NodeId id) const {
        if (id.index >= backward_.begin) return false;
        if (again_[id.index]) return true;
        return info_.is_virtual(id) &&
               std::ranges::any_of(info_.sources[id.index],
                                   [&](NodeId source) { return again_[source.index]; });
    }
    bool is_constant(NodeId id) const {
        return info_.is_virtual(id) && info_.sources[id.index].empty();
    }
    bool is_there(NodeId id) const {
        return info_.is_leaf(id) || (kept_[id.index] && !again_[id.index]) || !cheap(id);
    }
    bool live(NodeId id) const { return live_[id.index]; }

private:
    bool read_by_backward(NodeId id) const {
        if (info_.is_leaf(id) || info_.is_virtual(id)) return false;
        return std::ranges::any_of(info_.readers[id.index], [&](NodeId reader) {
            return reader.index >= backward_.begin && live_[reader.index];
        });
    }
    std::int64_t bytes(NodeId id) const { return bytes_of(function_[id].type, batch_); }

    // Nodes that making the value takes, from what is kept; more than kMostAgain where that is not possible.
    int cost(NodeId value, NodeId id, std::vector<NodeId>& small) const {
        int sum = 1;
        for (NodeId source : info_.sources[id.index]) {
            const bool there = kept_[source.index] && !again_[source.index];
            if (there || info_.is_leaf(source)) continue;
            if (kSmallShare * bytes(source) <= bytes(value)) {
                small.push_back(source);
            } else if (cheap(source) && sum <= kMostAgain) {
                sum += cost(value, source, small);
            } else {
                return kMostAgain + 1;
            }
        }
        return sum;
    }

    const Function& function_;
    const BackwardPass& backward_;
    const std::int64_t batch_;
    const GroupInfo info_;
    const std::vector<bool> live_;
    std::vector<bool> kept_, again_;  // in memory for the backward pass; computed again
};

// The function with the copies, each before its first reader.
class Copier {
public:
    Copier(Function& function, const BackwardPass& backward, const Choice& choice)
        : function_(function), backward_(backward), choice_(choice),
          old_(std::move(function.nodes)), mapped_(old_.size()), copies_(old_.size()) {
        function.nodes.clear();
    }

    void run() {
        for (std::uint32_t i = 0; i < old_.size(); ++i) {
            Node node = old_[i];
            for (NodeId& input : node.inputs) {
                const bool other =
                    i >= backward_.begin && choice_.live(NodeId{i}) && choice_.changes(input);
                input = other ? copy_of(input, i) : mapped_[input.index];
            }
            mapped_[i] = append(std::move(node));
        }
        for (auto& result : function_.results) result.value = mapped_[result.value.index];
        for (auto& update : function_.updates) update.value = mapped_[update.value.index];
    }

private:
    NodeId append(Node node) {
        function_.nodes.push_back(std::move(node));
        return NodeId{static_cast<std::uint32_t>(function_.nodes.size() - 1)};
    }

    NodeId copy_of(NodeId id, std::uint32_t reader) {
        NodeId& known = copies_[id.index];
        if (known.valid()) return known;
        if (choice_.is_constant(id)) return known = mapped_[id.index];
        Node node = old_[id.index];
        if (choice_.is_there(id)) {
            Node after{.op = OpId::after,
                       .inputs = {mapped_[id.index], mapped_[gradient_at(reader).index]},
                       .attributes = {},
                       .type = node.type,
                       .origin = node.origin,
                       .group = 0,
                       .layout = {}};
            return known = append(std::move(after));
        }
        for (NodeId& input : node.inputs) input = copy_of(input, reader);
        return known = append(std::move(node));
    }

    // What the rule that made this node was given: the backward pass has come that far.
    NodeId gradient_at(std::uint32_t reader) const {
        NodeId gradient = backward_.rules.front().gradient;
        for (const BackwardPass::Rule& rule : backward_.rules) {
            if (rule.first > reader) break;
            if (choice_.live(rule.gradient)) gradient = rule.gradient;
        }
        return gradient;
    }

    Function& function_;
    const BackwardPass& backward_;
    const Choice& choice_;
    const std::vector<Node> old_;
    std::vector<NodeId> mapped_, copies_;
};

}  // namespace

void recompute(Function& function, const BackwardPass& backward, std::int64_t batch_hint,
               Recompute when) {
    if (backward.rules.empty() || when == Recompute::never) return;
    const Function whole = function;
    const Choice choice(whole, backward, std::max<std::int64_t>(1, batch_hint));
    if (when == Recompute::automatic && choice.kept_bytes() <= kMuch) return;
    Copier(function, backward, choice).run();
}

}  // namespace netc
