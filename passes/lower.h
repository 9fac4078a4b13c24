// lower: each group of a function becomes one kernel with its params bound to values.
//
//     %c = einsum "bi,io->bo" %x, %w   group 1          kernel 0: p0[B, 784] p1[784, 10] p2 out [B, 10]
//     %y = add %c, %bias               group 1    ->    call kernel 0 (%x, %w, %bias, %y)
//     %n = neg %y                      group 2          call kernel 1 (%y, %n)
//
// Ungrouped nodes become groups of one; views outside of groups are substituted where they are read.
// Results are written where the caller wants them, updates in place; where that cannot be, a copy is
// put in between.
#pragma once

#include <string>
#include <vector>

#include "ir/graph.h"
#include "ir/kernel.h"
#include "passes/emit_group.h"

namespace netc {

struct LoweredCall {
    Kernel kernel;
    std::vector<Binding> bindings;
    std::vector<NodeId> nodes;  // the group
    std::string label;          // conv_1: conv_nd+tanh+window
    OriginId origin = 0;
};

struct Lowered {
    Function function;               // with the copies that were needed, every node grouped
    std::vector<LoweredCall> calls;  // in the order of execution
};

// A group that is not one kernel is an Error, status 70.
Result<Lowered> lower(const Function& function, std::int64_t batch_hint);

}  // namespace netc
