#include "passes/scatter_rows.h"

#include <algorithm>

#include "ir/op_def.h"
#include "passes/reduction_order.h"

namespace netc {
namespace {

bool is_zero(const Function& function, NodeId id) {
    const Node& node = function[id];
    if (node.op == OpId::broadcast || node.op == OpId::reshape)
        return is_zero(function, node.inputs[0]);
    return node.op == OpId::constant && node.attributes.get<double>("value") == 0;
}

bool checks_numbers(const Function& function, const Node& reader, NodeId ids, const Dim& rows) {
    return reader.op == OpId::gather && reader.inputs[1] == ids &&
           function[reader.inputs[0]].type.shape[0] == rows;
}

}  // namespace

bool is_scattered(const Node& node) {
    return op_def(node.op).family == OpFamily::scatter && node.attributes.get<bool>("scattered");
}

void scatter_rows(Function& function) {
    for (Node& node : function.nodes) {
        if (node.op != OpId::scatter_add || !is_worth_scattering(node.type.shape)) continue;
        const bool checked = std::ranges::any_of(function.nodes, [&](const Node& reader) {
            return checks_numbers(function, reader, node.inputs[1], node.type.shape[0]);
        });
        if (checked && is_zero(function, node.inputs[0])) node.attributes.set("scattered", true);
    }
}

}  // namespace netc
