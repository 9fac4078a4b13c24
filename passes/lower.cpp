#include "passes/lower.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "passes/collapse_axes.h"
#include "passes/join_dims.h"
#include "passes/order.h"
#include "passes/rewrite.h"
#include "passes/settle.h"
#include "passes/split_axes.h"

namespace netc {
namespace {

// The member that the group is about: its last contraction, else reduction, else its last node.
NodeId main_node(const GroupInfo& info, const std::vector<NodeId>& nodes) {
    NodeId best = nodes.back();
    int rank = 0;
    for (NodeId id : nodes) {
        const Probe& p = info.probes[id.index];
        const int own = p.contraction ? 2 : p.reduces ? 1 : 0;
        if (own > 0 && own >= rank) {
            best = id;
            rank = own;
        }
    }
    return best;
}

std::string label_of(const GroupInfo& info, const std::vector<NodeId>& nodes) {
    const Function& function = info.function;
    const Node& main = function[main_node(info, nodes)];
    std::string label;
    std::vector<std::string_view> seen;
    for (NodeId id : nodes) {
        const OpDef& def = op_def(function[id].op);
        const bool shown =
            nodes.size() == 1 || (def.family != OpFamily::view && def.family != OpFamily::leaf);
        if (!shown || std::find(seen.begin(), seen.end(), def.name) != seen.end()) continue;
        seen.push_back(def.name);
        if (!label.empty()) label += "+";
        label += def.name;
    }
    const std::string& instance = function.origins[main.origin].instance;
    return instance.empty() ? label : instance + ": " + label;
}

// Updates whose value the group computes.
std::vector<std::size_t> updates_of(const Function& function, const std::vector<NodeId>& nodes) {
    std::vector<std::size_t> found;
    for (std::size_t u = 0; u < function.updates.size(); ++u) {
        if (std::binary_search(nodes.begin(), nodes.end(), function.updates[u].value)) {
            found.push_back(u);
        }
    }
    return found;
}

Error not_one_kernel(const Function& function, const std::string& label, const Error& error) {
    return {kExitInternal, "`" + function.name + "`: " + label + ": " + error.message};
}

Result<Lowered> lower_body(Function body, std::int64_t batch_hint) {
    remove_dead_nodes(body);
    return lower(body, batch_hint);
}

// The loop of one scan. What nobody reads is not made. A result that is a new carry too is not written twice: it is that carry's stack.
Result<LoweredLoop> lower_scan(const Function& function, NodeId id, std::int64_t batch_hint) {
    const Node& scan = function[id];
    const auto count = [&](const char* name) {
        return static_cast<std::size_t>(scan.attributes.get<std::int64_t>(name));
    };
    Function body = function.bodies[count("body")];
    body.name = function.name + "." + body.name;
    LoweredLoop loop;
    loop.scan = id;
    const Dim& steps = scan.attributes.get<Shape>("steps")[0];
    if (!steps.is_static()) {
        return Error{kExitInternal, "a scan over " + steps.to_string() + " steps"};
    }
    loop.steps = steps.value();
    loop.reverse = scan.attributes.get<bool>("reverse");
    loop.sequences = count("sequences");
    loop.carries = count("carries");
    loop.stacked.resize(loop.carries);
    std::vector<bool> wanted(body.results.size());
    std::fill_n(wanted.begin(), loop.carries, true);
    for (const Node& node : function.nodes) {
        if (node.op != OpId::scan_result || node.inputs[0] != id) continue;
        wanted[static_cast<std::size_t>(node.attributes.get<std::int64_t>("number"))] = true;
    }
    std::vector<Function::Result> results;
    for (std::size_t k = 0; k < body.results.size(); ++k) {
        if (!wanted[k]) {
            loop.result_of.push_back(body.results.size());
            continue;
        }
        std::size_t place = results.size();
        for (std::size_t c = 0; k >= loop.carries && c < loop.carries; ++c) {
            if (loop.stacked[c] || results[c].value != body.results[k].value) continue;
            loop.stacked[c] = true;
            place = c;
            break;
        }
        loop.result_of.push_back(place);
        if (place == results.size()) results.push_back(body.results[k]);
    }
    body.results = std::move(results);
    Result<Lowered> lowered = lower_body(std::move(body), batch_hint);
    if (!lowered) return lowered.error();
    loop.body = std::move(*lowered);
    return loop;
}

// The loops of the function's scans.
Result<std::vector<LoweredCall>> emit_loops(const Function& function, std::int64_t batch_hint) {
    std::vector<LoweredCall> calls;
    for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
        const Node& node = function.nodes[i];
        if (node.op != OpId::scan) continue;
        Result<LoweredLoop> loop = lower_scan(function, NodeId{i}, batch_hint);
        if (!loop) return loop.error();
        const std::string& instance = function.origins[node.origin].instance;
        LoweredCall call{{},          {},
                         {NodeId{i}}, instance.empty() ? "scan" : instance + ": scan",
                         node.origin, nullptr};
        for (const NodeId input : node.inputs) call.bindings.push_back({input, false});
        for (std::uint32_t r = i + 1; r < function.nodes.size(); ++r) {
            const Node& result = function.nodes[r];
            if (result.op != OpId::scan_result || result.inputs[0] != NodeId{i}) continue;
            call.bindings.push_back({NodeId{r}, true});
        }
        call.loop = std::make_shared<const LoweredLoop>(std::move(*loop));
        calls.push_back(std::move(call));
    }
    return calls;
}

// All calls, in the order of the groups' last nodes; an update that cannot be done in place is
// detached and the work begins again.
Result<Lowered> emit_all(Function function, std::int64_t batch_hint) {
    Result<std::vector<LoweredCall>> loops = emit_loops(function, batch_hint);
    if (!loops) return loops.error();
    for (;;) {
        group_the_rest(function);
        const GroupInfo info(function);
        std::map<GroupId, std::vector<NodeId>> groups;
        for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
            if (function.nodes[i].group != 0) groups[function.nodes[i].group].push_back(NodeId{i});
        }
        Lowered lowered;
        std::vector<std::size_t> detach;
        for (const auto& [group, nodes] : groups) {
            const std::vector<NodeId> stored = outputs(info, nodes);
            if (stored.empty()) continue;  // nobody reads it
            std::string label = label_of(info, nodes);
            Result<EmittedKernel> emitted = emit_group(info, nodes, stored);
            if (!emitted) {
                detach = updates_of(function, nodes);
                std::erase_if(detach, [&](std::size_t u) {
                    return function[function.updates[u].value].op == OpId::copy;
                });
                if (detach.empty()) return not_one_kernel(function, label, emitted.error());
                break;
            }
            collapse_axes(emitted->kernel);
            join_dims(emitted->kernel);
            split_phases(emitted->kernel);
            split_groups(emitted->kernel);
            lowered.calls.push_back({std::move(emitted->kernel), std::move(emitted->bindings),
                                     nodes, std::move(label),
                                     function[main_node(info, nodes)].origin, nullptr});
        }
        if (detach.empty()) {
            std::ranges::move(*loops, std::back_inserter(lowered.calls));
            std::stable_sort(lowered.calls.begin(), lowered.calls.end(),
                             [](const LoweredCall& a, const LoweredCall& b) {
                                 return a.nodes.back() < b.nodes.back();
                             });
            lowered.function = std::move(function);
            return lowered;
        }
        for (std::size_t update : detach) detach_update(function, update);
    }
}

}  // namespace

Result<Lowered> lower(const Function& function, std::int64_t batch_hint) {
    Function settled = function;
    settle(settled);
    for (;;) {
        Result<Lowered> lowered = emit_all(std::move(settled), batch_hint);
        if (!lowered) return lowered;
        const CallOrder calls = order(*lowered, batch_hint);
        if (calls.sequence.size() == lowered->calls.size()) {
            std::vector<LoweredCall> sorted;
            for (std::size_t c : calls.sequence) sorted.push_back(std::move(lowered->calls[c]));
            lowered->calls = std::move(sorted);
            return lowered;
        }
        if (!calls.blocked_by) {
            return Error{kExitInternal, "`" + function.name + "`: the groups depend on each other"};
        }
        settled = std::move(lowered->function);
        detach_update(settled, *calls.blocked_by);
    }
}

}  // namespace netc
