// duplicate: what costs no more to make than to read is made by each of its readers.
//
//     %d = sub %x, broadcast %m        read by kernels of the forward and of the backward pass
//
//     %d1 = sub %x, broadcast %m       the same, once for each reader: reading %x, which is in memory in any
//     %d2 = sub %x, broadcast %m       case, costs a kernel what reading %d would, and nobody stores %d
//
// That is, short chains of plain elementwise operations on one value that lies in memory alike and has as many bytes at
// most; what else they read is much smaller. Only for readers that such a node can be fused into; each is grouped with
// its copies.
// Requires: fuse_linear_activation ran, fuse follows. Keeps every bit.
#pragma once

#include <cstdint>

#include "ir/graph.h"

namespace netc {

void duplicate(Function& function, std::int64_t batch_hint);

}  // namespace netc
