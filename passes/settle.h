// settle: makes every result and update a value of its own in memory.
//
//     result y = %x          (an input, a view, or taken already)   ->   %c = copy %x; result y = %c
//
// Why: lower writes a result straight into the caller's array and an updated variable in place. For
// that the value must belong to one of them only. What is read by data is in memory, too, where it is a view. Requires
// nothing; keeps every bit.
#pragma once

#include "ir/graph.h"

namespace netc {

void settle(Function& function);

// Gives the update a buffer in the arena and a copy behind it, where updating in place is impossible.
void detach_update(Function& function, std::size_t update);

}  // namespace netc
