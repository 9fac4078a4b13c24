// What passes about mean and deviation recognise in a graph.
//
//     %s = reduce_sum %x {axes}
//     %m = div %s, n                     the mean of %x over axes of n elements
//     %d = sub %x, broadcast %m          %x, centred over these axes
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ir/graph.h"

namespace netc {

// How many elements lie along the axes.
Dim elements_along(const Shape& shape, const std::vector<std::int64_t>& axes);

// What the value repeats along the axes: a value with one element for each element of a sum over them,
// in their order. Nothing where it may differ along an axis.
std::optional<NodeId> repeated_along(const Function& function, NodeId value,
                                     const std::vector<std::int64_t>& axes);

struct Centred {
    NodeId value;     // %x
    NodeId sum;       // %s
    NodeId quotient;  // %m
    NodeId mean;      // the same, perhaps reshaped
};
std::optional<Centred> centred(const Function& function, NodeId value,
                               const std::vector<std::int64_t>& axes);

}  // namespace netc
