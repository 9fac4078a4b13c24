// order: the sequence of calls.
//
//     dw = x' dz; w -= dw          reads w: dx = dz w'       ->      dx = dz w'; w -= x' dz
//
// Data come before their readers, all readers of a variable before its update in place; calls that may meet a bad index
// which the model computes come before all updates. Among what may
// run, a call that frees at least as much as it allocates goes first, else the first as written.
#pragma once

#include <optional>
#include <vector>

#include "passes/lower.h"

namespace netc {

struct CallOrder {
    std::vector<std::size_t> sequence;
    // No order exists while this update (of Function::updates) is done in place.
    std::optional<std::size_t> blocked_by;
};

CallOrder order(const Lowered& lowered, std::int64_t batch_hint);

// Bytes that a value takes in the arena at this batch.
std::int64_t bytes_of(const Type& type, std::int64_t batch);

}  // namespace netc
