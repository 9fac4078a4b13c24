#include "passes/fuse_linear_activation.h"

#include <algorithm>

#include "passes/grouping.h"
#include "passes/order.h"

namespace netc {
namespace {

// Operands of a sum that no second-level cache holds: it is then computed in slices, between which it lies in
// memory, so that nothing can be done to it while it is in registers (backends/cpu/schedule.h).
constexpr std::int64_t kMuch = 1 << 20;

bool sums_much_over_batch(const GroupInfo& info, NodeId id, std::int64_t batch) {
    const Probe& probe = info.probes[id.index];
    const bool over_batch =
        std::ranges::any_of(probe.reduced, [](const Dim& dim) { return !dim.is_static(); });
    if (!over_batch || !product(info.function[id].type.shape).is_static()) return false;
    std::int64_t bytes = 0;
    for (const NodeId operand : info.function[id].inputs)
        bytes += bytes_of(info.function[operand].type, batch);
    return bytes >= kMuch;
}

}  // namespace

void fuse_linear_activation(Function& function, std::int64_t batch_hint) {
    Grouping grouping(function);
    for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
        const GroupInfo& info = grouping.info();
        if (!info.probes[i].leads_a_kernel() || function.nodes[i].group != 0) continue;
        if (info.readers[i].empty() && !info.wanted[i]) continue;
        if (!grouping.group({NodeId{i}}) || sums_much_over_batch(info, NodeId{i}, batch_hint))
            continue;
        grouping.absorb_elementwise(NodeId{i}, function.nodes[i].type.shape);
        const bool small = bytes_of(function.nodes[i].type, batch_hint) < kMuch / 4;
        grouping.leave_out(NodeId{i}, small);
    }
}

}  // namespace netc
