// plan_memory: lifetimes to offsets.
//
//     call 0 writes %a (64 B/sample)            %a at 0
//     call 1 reads %a, writes %b          ->    %b at 1024 * ceil(B/16)
//     call 2 reads %b, writes %c                %c at 0, since %a is dead
//     call 3 writes %d = tanh %c                %d over %c, whose last reader it is
//
// The arena has a constant part, in front, and a part in units of 16 samples: within each part, one
// plan holds for every batch. Largest buffers first, each at the lowest place that is free throughout
// its life.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ir/program.h"
#include "passes/lower.h"

namespace netc {

// A value in the arena, alive from call `first` (which writes it) to call `last` (which reads it last).
struct ArenaValue {
    NodeId value;
    std::size_t first = 0, last = 0;
    Bytes size;                     // of one kind only: constant, per_16 or per_sample
    Bytes offset;                   // filled by place_values
    const Lowered* home = nullptr;  // whose function `value` is of
    // Further values in the same memory, from its offset on: what a scan makes of a carry.
    std::vector<std::pair<NodeId, Bytes>> parts = {};
    // The value, by its number, in whose memory this one is written by that one's last reader (in_place.h).
    std::optional<std::size_t> over = {};
};

struct MemoryPlan {
    std::vector<ArenaValue> values;
    Bytes workspace;
    // Where the most of the arena is alive, at the hinted batch, and what is the largest then.
    std::int64_t peak = 0;
    std::string peak_reason;
};

// What a buffer of this type and layout takes, rounded up so that the next one is aligned.
// `in_blocks`: of 16 samples, else sample by sample.
Bytes arena_bytes(const Type& type, const Layout& layout, bool in_blocks);

// The bytes of a value of this type without any padding: what lies between two slices of a stack.
Bytes dense_bytes(const Type& type);

// Gives offsets to values whose lives and sizes are known.
Bytes place_values(std::vector<ArenaValue>& values);

// Calls count as they are written: the body of a loop stands where the loop does.
MemoryPlan plan_memory(const Lowered& lowered, std::int64_t batch_hint);

}  // namespace netc
