// emit_group: one kernel out of a group of nodes, by one substitution routine.
//
//     group { %c = einsum "bi,io->bo" %x, %w        outer b, o
//             %y = tanh(%c + broadcast %bias) }  ->   stage reduced i: state = fma(x[b,i], w[i,o], state)
//                                                       store y[b,o] = tanh(state + bias[o])
//
// A reduction of the group is a stage; a pointwise node has no buffer, its definition is put where it
// is read, with the index it is read at. What a later stage reads of an earlier one is a local. The
// outer axes are the dims of the group's last reduction, or of its output where it has none.
//
// Whether nodes fit into one kernel is asked by trying: an Error here means "not as one kernel".
#pragma once

#include <vector>

#include "ir/kernel.h"
#include "passes/group.h"

namespace netc {

// What the caller binds to a param: the buffer of a leaf or of a group's output, as the shape and
// layout of `value` (which may be a reshape of it).
struct Binding {
    NodeId value;
    bool written = false;
};

struct EmittedKernel {
    Kernel kernel;
    std::vector<Binding> bindings;  // one per param
};

// `stored` are the members that get a buffer. In the order of the nodes, both.
Result<EmittedKernel> emit_group(const GroupInfo& info, const std::vector<NodeId>& members,
                                 const std::vector<NodeId>& stored);

}  // namespace netc
