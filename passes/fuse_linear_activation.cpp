#include "passes/fuse_linear_activation.h"

#include "passes/grouping.h"

namespace netc {

void fuse_linear_activation(Function& function) {
    Grouping grouping(function);
    for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
        if (!grouping.info().probes[i].contraction || function.nodes[i].group != 0) continue;
        if (grouping.info().readers[i].empty() && !grouping.info().wanted[i]) continue;
        if (grouping.group({NodeId{i}})) {
            grouping.absorb_elementwise(NodeId{i}, function.nodes[i].type.shape);
            grouping.leave_out(NodeId{i});
        }
    }
}

}  // namespace netc
