#include "passes/order.h"

#include <algorithm>
#include <map>
#include <set>

namespace netc {
namespace {

// Reads and writes of the calls, as storage: leaves and outputs of groups.
struct Traffic {
    std::vector<std::vector<NodeId>> reads, writes;  // per call
    std::map<NodeId, std::size_t> writer;

    explicit Traffic(const Lowered& lowered) {
        const GroupInfo info(lowered.function);
        for (std::size_t c = 0; c < lowered.calls.size(); ++c) {
            reads.emplace_back();
            writes.emplace_back();
            for (const Binding& binding : lowered.calls[c].bindings) {
                const NodeId storage = *storage_of(info, binding.value);
                (binding.written ? writes : reads).back().push_back(storage);
                if (binding.written) writer[storage] = c;
            }
        }
    }
};

struct Edges {
    std::vector<std::set<std::size_t>> after;  // call -> calls that must wait for it
    std::vector<std::set<std::size_t>> waits;  // call -> calls that it waits for

    explicit Edges(std::size_t calls) : after(calls), waits(calls) {}
    void add(std::size_t first, std::size_t second) {
        if (first == second) return;
        after[first].insert(second);
        waits[second].insert(first);
    }
    bool leads(std::size_t first, std::size_t to) const {
        std::vector<std::size_t> open{first};
        std::set<std::size_t> seen;
        while (!open.empty()) {
            const std::size_t call = open.back();
            open.pop_back();
            if (call == to) return true;
            if (seen.insert(call).second)
                open.insert(open.end(), after[call].begin(), after[call].end());
        }
        return false;
    }
    void ran(std::size_t call) {
        for (std::size_t waiting : after[call]) waits[waiting].erase(call);
    }
};

std::optional<std::uint32_t> variable_of(const Function& function, NodeId id) {
    const Node& node = function[id];
    if (node.op != OpId::variable) return std::nullopt;
    return static_cast<std::uint32_t>(node.attributes.get<std::int64_t>("index"));
}

// Whether calls take rows of a table by numbers that the model computes, which nobody could check before the entry ran.
class ComputedRows {
public:
    // `given`: per input, whether it is the caller's, as it is.
    ComputedRows(const Lowered& lowered, std::vector<bool> given)
        : lowered_(lowered), info_(lowered.function), given_(std::move(given)) {}

    bool in(const LoweredCall& call) const {
        if (call.loop) return in_body(call);
        return std::ranges::any_of(call.kernel.reads, [&](const Read& read) {
            return read.indirect >= 0 && !is_given(call, read.position);
        });
    }

private:
    bool in_body(const LoweredCall& call) const {
        const LoweredLoop& loop = *call.loop;
        std::vector<bool> given;
        for (std::size_t k = 0; k < loop.body.function.inputs.size(); ++k) {
            const bool carried = k >= loop.sequences && k < loop.sequences + loop.carries;
            given.push_back(!carried && is_given(call.bindings[k].value));
        }
        const ComputedRows inside(loop.body, std::move(given));
        return std::ranges::any_of(loop.body.calls,
                                   [&](const LoweredCall& each) { return inside.in(each); });
    }

    bool is_given(const LoweredCall& call, ScalarId position) const {
        const Scalar* scalar = &call.kernel.scalars[position];
        while (scalar->op == ScalarOp::cast) scalar = &call.kernel.scalars[scalar->operands[0]];
        if (scalar->op != ScalarOp::read || is_float(scalar->type)) return false;
        const Read& read = call.kernel.reads[static_cast<std::size_t>(scalar->integer)];
        return read.source.kind == Buffer::Kind::param &&
               is_given(call.bindings[read.source.index].value);
    }

    bool is_given(NodeId value) const {
        const Node& leaf = lowered_.function[*storage_of(info_, value)];
        return leaf.op == OpId::input &&
               given_[static_cast<std::size_t>(leaf.attributes.get<std::int64_t>("index"))];
    }

    const Lowered& lowered_;
    const GroupInfo info_;
    const std::vector<bool> given_;
};

// A bad row number ends the entry, and then nothing may have been updated in place, unless the number itself waits for
// the update.
void keep_updates_behind(const Lowered& lowered, const Traffic& traffic, Edges& edges) {
    if (lowered.function.updates.empty()) return;
    const ComputedRows rows(lowered, std::vector<bool>(lowered.function.inputs.size(), true));
    for (std::size_t c = 0; c < lowered.calls.size(); ++c) {
        if (!rows.in(lowered.calls[c])) continue;
        for (const Function::Update& update : lowered.function.updates) {
            const std::size_t writer = traffic.writer.at(update.value);
            if (!edges.leads(writer, c)) edges.add(c, writer);
        }
    }
}

// Arena bytes that appear and that may go when a call has run.
class Balance {
public:
    Balance(const Lowered& lowered, const Traffic& traffic, std::int64_t batch)
        : lowered_(lowered), traffic_(traffic), batch_(batch) {
        for (const auto& list : traffic.reads) {
            for (NodeId id : std::set<NodeId>(list.begin(), list.end())) ++readers_left_[id];
        }
        for (const auto& update : lowered.function.updates) outside_.insert(update.value);
        for (const auto& result : lowered.function.results) outside_.insert(result.value);
    }

    std::int64_t growth(std::size_t call) const {
        std::int64_t bytes = 0;
        for (NodeId id : traffic_.writes[call]) bytes += size(id);
        const auto& list = traffic_.reads[call];
        for (NodeId id : std::set<NodeId>(list.begin(), list.end())) {
            if (traffic_.writer.count(id) > 0 && readers_left_.at(id) == 1) bytes -= size(id);
        }
        return bytes;
    }
    // It reads nothing that a call has made, as what lays weights out: there is no hurry.
    bool can_wait(std::size_t call) const {
        const auto is_made = [&](NodeId id) { return traffic_.writer.count(id) > 0; };
        return std::ranges::none_of(traffic_.reads[call], is_made) && growth(call) > 0;
    }
    void ran(std::size_t call) {
        const auto& list = traffic_.reads[call];
        for (NodeId id : std::set<NodeId>(list.begin(), list.end())) --readers_left_[id];
    }

private:
    std::int64_t size(NodeId id) const {
        return outside_.count(id) > 0 ? 0 : bytes_of(lowered_.function[id].type, batch_);
    }
    const Lowered& lowered_;
    const Traffic& traffic_;
    std::int64_t batch_;
    std::map<NodeId, std::size_t> readers_left_;
    std::set<NodeId> outside_;
};

}  // namespace

std::int64_t bytes_of(const Type& type, std::int64_t batch) {
    std::int64_t bytes = size_of(type.dtype);
    for (const Dim& dim : type.shape) bytes *= dim.extent().value_or(Extent{}).at(batch);
    return bytes;
}

CallOrder order(const Lowered& lowered, std::int64_t batch_hint) {
    const Function& function = lowered.function;
    const Traffic traffic(lowered);
    const std::size_t count = lowered.calls.size();
    Edges edges(count);
    for (std::size_t c = 0; c < count; ++c) {
        for (NodeId id : traffic.reads[c]) {
            if (const auto w = traffic.writer.find(id); w != traffic.writer.end()) {
                edges.add(w->second, c);
            }
        }
    }
    for (const Function::Update& update : function.updates) {
        const std::size_t writer = traffic.writer.at(update.value);
        for (std::size_t c = 0; c < count; ++c) {
            for (NodeId id : traffic.reads[c]) {
                if (variable_of(function, id) == update.variable) edges.add(c, writer);
            }
        }
    }
    keep_updates_behind(lowered, traffic, edges);

    CallOrder result;
    Balance balance(lowered, traffic, batch_hint);
    std::vector<bool> done(count), can_wait(count);
    for (std::size_t c = 0; c < count; ++c) can_wait[c] = balance.can_wait(c);
    while (result.sequence.size() < count) {
        std::optional<std::size_t> first, shrinking;
        std::int64_t least = 0;
        for (std::size_t c = 0; c < count && !first; ++c) {
            if (done[c] || can_wait[c]) continue;
            const std::set<std::size_t>& waits = edges.waits[c];
            if (std::ranges::all_of(waits, [&](std::size_t other) { return can_wait[other]; }))
                first = waits.empty() ? c : *waits.begin();
        }
        for (std::size_t c = 0; c < count; ++c) {
            if (done[c] || !edges.waits[c].empty()) continue;
            if (!first) first = c;
            const std::int64_t growth = balance.growth(c);
            if (growth <= 0 && (!shrinking || growth < least)) {
                shrinking = c;
                least = growth;
            }
        }
        if (!first) break;
        const std::size_t next = shrinking.value_or(*first);
        done[next] = true;
        balance.ran(next);
        result.sequence.push_back(next);
        edges.ran(next);
    }
    for (std::size_t u = 0; u < function.updates.size() && result.sequence.size() < count; ++u) {
        const NodeId value = function.updates[u].value;
        // A copy waits for nothing but its operand, so detaching it again would not help.
        if (done[traffic.writer.at(value)] || function[value].op == OpId::copy) continue;
        result.blocked_by = u;
        break;
    }
    return result;
}

}  // namespace netc
