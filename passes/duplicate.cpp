#include "passes/duplicate.h"

#include <algorithm>
#include <map>
#include <optional>

#include "passes/grouping.h"
#include "passes/order.h"

namespace netc {
namespace {

// Longer chains cost more than memory does.
constexpr int kMostOperations = 4;
// What is smaller by this factor is read at no cost.
constexpr std::int64_t kSmallShare = 8;
// Below this many bytes nothing is gained.
constexpr std::int64_t kWorthIt = 4096;

// Which nodes each reader makes for itself.
class Choice {
public:
    Choice(const Function& function, std::int64_t batch)
        : function_(function), batch_(batch), info_(function), chains_(function.nodes.size()) {
        for (std::uint32_t i = 0; i < function.nodes.size(); ++i) chains_[i] = chain_of(NodeId{i});
    }

    bool is_chosen(NodeId id) const { return chains_[id.index].operations > 0; }
    bool reads_chosen(NodeId id) const {
        return std::ranges::any_of(info_.sources[id.index],
                                   [&](NodeId source) { return is_chosen(source); });
    }
    bool is_view(NodeId id) const { return info_.is_virtual(id); }

private:
    struct Chain {
        int operations = 0;  // 0: no chain
        NodeId base;         // what lies in memory
    };

    std::int64_t bytes(NodeId id) const { return bytes_of(function_[id].type, batch_); }

    // Elementwise nodes and sums without a kernel take what they read into their own.
    bool takes_in(NodeId reader) const {
        const OpDef& def = op_def(function_[reader].op);
        return function_[reader].group == 0 && !def.alone &&
               (def.family == OpFamily::elementwise || def.family == OpFamily::reduction);
    }
    bool is_in_memory(NodeId id) const {
        if (info_.is_leaf(id) || info_.wanted[id.index] || function_[id].group != 0) return true;
        return !std::ranges::all_of(info_.readers[id.index],
                                    [&](NodeId reader) { return takes_in(reader); });
    }

    Chain chain_of(NodeId id) const {
        const Node& node = function_[id];
        const auto& readers = info_.readers[id.index];
        const bool plain = op_def(node.op).family == OpFamily::elementwise &&
                           !op_def(node.op).alone && !info_.probes[id.index].transcendental;
        if (!plain || node.group != 0 || info_.wanted[id.index] || info_.is_virtual(id)) return {};
        if (readers.size() < 2 || bytes(id) < kWorthIt) return {};
        if (!std::ranges::all_of(readers, [&](NodeId reader) { return takes_in(reader); }))
            return {};
        Chain chain{1, NodeId{}};
        for (const NodeId source : info_.sources[id.index]) {
            if (kSmallShare * bytes(source) <= bytes(id)) continue;
            const Chain& inner = chains_[source.index];
            const NodeId base = inner.operations > 0 ? inner.base : source;
            if (chain.base.valid() && chain.base != base) return {};
            chain.base = base;
            chain.operations += inner.operations;
        }
        if (!chain.base.valid() || chain.operations > kMostOperations) return {};
        const bool alike = layout_seen(info_, chain.base) == layout_seen(info_, id);
        if (!alike || bytes(chain.base) > bytes(id) || !is_in_memory(chain.base)) return {};
        return chain;
    }

    const Function& function_;
    const std::int64_t batch_;
    const GroupInfo info_;
    std::vector<Chain> chains_;
};

// The function with a copy of what is chosen before each of its readers.
class Copier {
public:
    Copier(Function& function, const Choice& choice)
        : function_(function), choice_(choice), old_(std::move(function.nodes)),
          moved_(old_.size()) {
        function.nodes.clear();
    }

    // Gives each reader with its copies.
    std::vector<std::vector<NodeId>> run() {
        for (std::uint32_t i = 0; i < old_.size(); ++i) {
            const NodeId id{i};
            if (choice_.is_chosen(id) || is_changed_view(id)) continue;
            std::map<NodeId, NodeId> copies;
            moved_[i] = append_with_inputs(id, copies);
            if (copies.empty() || choice_.is_view(id)) continue;
            std::vector<NodeId>& kernel = together_.emplace_back(1, moved_[i]);
            for (const auto& [original, copy] : copies) {
                if (choice_.is_chosen(original)) kernel.push_back(copy);
            }
        }
        for (auto& result : function_.results) result.value = moved_[result.value.index];
        for (auto& update : function_.updates) update.value = moved_[update.value.index];
        return std::move(together_);
    }

private:
    bool is_changed_view(NodeId id) const {
        return choice_.is_view(id) && choice_.reads_chosen(id);
    }

    NodeId append_with_inputs(NodeId id, std::map<NodeId, NodeId>& copies) {
        Node node = old_[id.index];
        for (NodeId& input : node.inputs) input = value_for(input, copies);
        function_.nodes.push_back(std::move(node));
        return NodeId{static_cast<std::uint32_t>(function_.nodes.size() - 1)};
    }

    NodeId value_for(NodeId id, std::map<NodeId, NodeId>& copies) {
        if (!choice_.is_chosen(id) && !is_changed_view(id)) return moved_[id.index];
        if (const auto found = copies.find(id); found != copies.end()) return found->second;
        const NodeId copy = append_with_inputs(id, copies);
        copies.emplace(id, copy);
        return copy;
    }

    Function& function_;
    const Choice& choice_;
    const std::vector<Node> old_;
    std::vector<NodeId> moved_;
    std::vector<std::vector<NodeId>> together_;
};

}  // namespace

void duplicate(Function& function, std::int64_t batch_hint) {
    const Function whole = function;
    const Choice choice(whole, std::max<std::int64_t>(1, batch_hint));
    const std::vector<std::vector<NodeId>> together = Copier(function, choice).run();
    // Or a kernel that makes what they read might store them.
    Grouping grouping(function);
    for (const std::vector<NodeId>& kernel : together) grouping.group(kernel);
}

}  // namespace netc
