// lower: each group of a function becomes one kernel with its params bound to values.
//
//     %c = einsum "bi,io->bo" %x, %w   group 1          kernel 0: p0[B, 784] p1[784, 10] p2 out [B, 10]
//     %y = add %c, %bias               group 1    ->    call kernel 0 (%x, %w, %bias, %y)
//     %n = neg %y                      group 2          call kernel 1 (%y, %n)
//
// Ungrouped nodes become groups of one; views outside of groups are substituted where they are read.
// Results are written where the caller wants them, updates in place; where that cannot be, a copy is
// put in between. A scan becomes a loop over the calls of its body, which is lowered like a function.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "ir/kernel.h"
#include "passes/emit_group.h"

namespace netc {

struct LoweredLoop;

struct LoweredCall {
    Kernel kernel;
    std::vector<Binding> bindings;
    std::vector<NodeId> nodes;  // the group
    std::string label;          // conv_1: conv_nd+tanh+window
    OriginId origin = 0;
    // Of a scan, which has no kernel; the bindings then are its operands and its scan_results.
    std::shared_ptr<const LoweredLoop> loop = nullptr;
};

struct Lowered {
    Function function;               // with the copies that were needed, every node grouped
    std::vector<LoweredCall> calls;  // in the order of execution
};

// The loop of a scan. Results of the body are new carries first. A carry that is stacked as well has its
// slots in the stack: step t reads slot t of steps + 1 and writes the next one. Another carry has two
// slots, which the steps use in turn.
struct LoweredLoop {
    NodeId scan;
    std::int64_t steps = 1;
    bool reverse = false;
    std::size_t sequences = 0, carries = 0;
    Lowered body;
    // Per result of the scan: the result of `body.function` that it is.
    std::vector<std::size_t> result_of;
    std::vector<bool> stacked;  // per carry

    std::int64_t slots(std::size_t carry) const { return stacked[carry] ? steps + 1 : 2; }
    // Slots before the first step and behind the last one.
    std::int64_t first_slot(std::size_t carry) const {
        return stacked[carry] && reverse ? steps : 0;
    }
    std::int64_t last_slot(std::size_t carry) const {
        return !stacked[carry] ? steps % 2 : reverse ? 0 : steps;
    }
};

// A group that is not one kernel is an Error, status 70.
Result<Lowered> lower(const Function& function, std::int64_t batch_hint);

}  // namespace netc
