#include "passes/centred.h"

#include <algorithm>

namespace netc {
namespace {

NodeId below_views(const Function& function, NodeId id) {
    while (function[id].op == OpId::reshape || function[id].op == OpId::broadcast)
        id = function[id].inputs[0];
    return id;
}

// A constant, or the number of elements that `extent` gives.
bool is_number(const Function& function, NodeId id, const Dim& number) {
    const Node& node = function[below_views(function, id)];
    if (node.op == OpId::extent) return node.attributes.get<Shape>("dim")[0] == number;
    return node.op == OpId::constant && number.is_static() &&
           node.attributes.get<double>("value") == static_cast<double>(number.value());
}

// simplify makes products of divisions by powers of two: exact.
bool is_reciprocal(const Function& function, NodeId id, const Dim& number) {
    const Node& node = function[below_views(function, id)];
    return node.op == OpId::constant && number.is_static() &&
           node.attributes.get<double>("value") * static_cast<double>(number.value()) == 1;
}

}  // namespace

Dim elements_along(const Shape& shape, const std::vector<std::int64_t>& axes) {
    Shape reduced;
    for (const std::int64_t axis : axes) reduced.push_back(shape[static_cast<std::size_t>(axis)]);
    return product(reduced);
}

std::optional<NodeId> repeated_along(const Function& function, NodeId value,
                                     const std::vector<std::int64_t>& axes) {
    const Node& node = function[value];
    if (node.op != OpId::broadcast) return std::nullopt;
    Shape kept = node.type.shape;
    for (const std::int64_t axis : axes) kept[static_cast<std::size_t>(axis)] = Dim(1);
    Shape repeated = function[node.inputs[0]].type.shape;
    repeated.insert(repeated.begin(), kept.size() - repeated.size(), Dim(1));
    if (repeated != kept) return std::nullopt;
    return node.inputs[0];
}

std::optional<Centred> centred(const Function& function, NodeId value,
                               const std::vector<std::int64_t>& axes) {
    const Node& difference = function[value];
    if (difference.op != OpId::sub) return std::nullopt;
    const NodeId x = difference.inputs[0];
    const std::optional<NodeId> mean = repeated_along(function, difference.inputs[1], axes);
    if (!mean) return std::nullopt;
    NodeId quotient = *mean;  // whose elements are in the order of the sum's whatever the reshapes
    while (function[quotient].op == OpId::reshape) quotient = function[quotient].inputs[0];
    const Node& divided = function[quotient];
    const Dim count = elements_along(function[x].type.shape, axes);
    const bool by_count =
        (divided.op == OpId::div && is_number(function, divided.inputs[1], count)) ||
        (divided.op == OpId::mul && is_reciprocal(function, divided.inputs[1], count));
    if (!by_count) return std::nullopt;
    NodeId sum = divided.inputs[0];
    while (function[sum].op == OpId::reshape) sum = function[sum].inputs[0];
    const Node& reduction = function[sum];
    if (reduction.op != OpId::reduce_sum || reduction.inputs[0] != x ||
        reduction.attributes.get<std::vector<std::int64_t>>("axes") != axes) {
        return std::nullopt;
    }
    return Centred{x, sum, quotient, *mean};
}

}  // namespace netc
