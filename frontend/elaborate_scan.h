// `scan`: the loop over time steps. Its body is elaborated once, into a function of its own; what it reads
// of the world around becomes an operand of the scan.
#pragma once

#include <map>
#include <utility>

#include "frontend/elaborate.h"

namespace netc::frontend {

// An outer `var` that holds a tensor while the body is elaborated: a carry if the body assigns it.
struct Carry {
    Entry* entry = nullptr;
    Datum initial;
    NodeId inside;  // what the body sees before it assigns
    Span assigned;  // the last assignment
};

// The body of a scan under construction.
struct Region {
    Region* outer = nullptr;
    std::uint32_t number = 0;
    const Frame* frame = nullptr;  // whose text the body is; `yield` belongs to it alone
    Span place;                    // of the scan
    Function function;
    GraphBuilder builder{function};
    GraphBuilder* outer_builder = nullptr;
    std::vector<Carry> carries;
    // Values from outside that the body reads, and what stands for them here.
    std::map<std::pair<std::uint32_t, NodeId>, NodeId> captured;
    std::vector<NodeId> outside;  // per input of `function`: the operand; invalid for carries
    NodeId index;                 // i64[]: number of the step, also over the scans around
};

Datum evaluate_scan(Context& context, const ast::Scan& node, Span place, const ScopePointer& scope);
// The node of a scan whose body is finished. Carries get their last values; what the body yields is given stacked.
Datum make_scan_node(Context& context, Region& region, const std::vector<SequenceValue>& sequences,
                     const Dim& steps, Span place, const Datum& result);

// 0 outside of every scan.
std::uint32_t current_region(const Context& context);
// True where a `yield` would belong to a scan.
bool in_scan_body(const Context& context);
Span scan_place(const Context& context);
// Called when a variable got a value: it may be a carry.
void note_assignment(Context& context, const Entry& entry, Span place);
// A node of a region, as a node of the body that is being made.
NodeId node_here(Context& context, std::uint32_t region, NodeId node);
// Operands of random operators. In a scan the counter also counts its steps: step + 2^32 * number.
netc::Value random_seed(Context& context);
netc::Value random_step(Context& context);

}  // namespace netc::frontend
