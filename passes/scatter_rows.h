// scatter_rows: gradients of large tables are added up in memory.
//
//     %e = gather @table, %ids                      scatter_add compares each of 5,000 rows with each number:
//     %g = scatter_add 0, %ids, %de           ->    {scattered = true}: the zeros are stored, then each row of %de is
//                                                   added where it belongs
//
// For backends that go through memory in an order, the sum's own: it is sequential (reduction_order.h), so that both
// forms have the same bits. The sum must begin with zeros, because the first form adds what is there at the end; and a
// gather must check the numbers anyway, because the second form raises the fault flag where one is out of range.
//
// Requires: no groups.
#pragma once

#include "ir/graph.h"

namespace netc {

void scatter_rows(Function& function);

// Whether the node is a scatter of this form.
bool is_scattered(const Node& node);

}  // namespace netc
