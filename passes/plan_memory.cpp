#include "passes/plan_memory.h"

#include <algorithm>
#include <set>

#include "passes/group.h"

namespace netc {
namespace {

std::int64_t round_up(std::int64_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// The number that one part of the arena is planned in.
using Part = std::int64_t Bytes::*;

std::int64_t place_part(std::vector<ArenaValue>& values, Part part) {
    std::vector<ArenaValue*> sorted;
    for (ArenaValue& value : values) {
        if (value.size.*part > 0) sorted.push_back(&value);
    }
    std::stable_sort(sorted.begin(), sorted.end(), [&](const ArenaValue* a, const ArenaValue* b) {
        return a->size.*part > b->size.*part;
    });
    std::int64_t end = 0;
    std::vector<const ArenaValue*> placed;  // ascending offsets
    for (ArenaValue* value : sorted) {
        std::int64_t offset = 0;
        for (const ArenaValue* other : placed) {
            if (other->last < value->first || value->last < other->first) continue;
            if (offset + value->size.*part <= other->offset.*part) break;
            offset = std::max(offset, other->offset.*part + other->size.*part);
        }
        value->offset.*part = offset;
        end = std::max(end, offset + value->size.*part);
        placed.insert(std::upper_bound(placed.begin(), placed.end(), value,
                                       [&](const ArenaValue* a, const ArenaValue* b) {
                                           return a->offset.*part < b->offset.*part;
                                       }),
                      value);
    }
    return end;
}

std::vector<ArenaValue> arena_values(const Lowered& lowered) {
    const GroupInfo info(lowered.function);
    std::set<NodeId> outside;
    for (const auto& update : lowered.function.updates) outside.insert(update.value);
    for (const auto& result : lowered.function.results) outside.insert(result.value);
    std::vector<ArenaValue> values;
    std::map<NodeId, std::size_t> number;
    for (std::size_t c = 0; c < lowered.calls.size(); ++c) {
        for (const Binding& binding : lowered.calls[c].bindings) {
            const NodeId storage = *storage_of(info, binding.value);
            if (info.is_leaf(storage) || outside.count(storage) > 0) continue;
            if (binding.written) {
                number[storage] = values.size();
                values.push_back({storage, c, c, arena_bytes(lowered.function[storage].type), {}});
            } else {
                values[number.at(storage)].last = c;
            }
        }
    }
    return values;
}

}  // namespace

Bytes arena_bytes(const Type& type) {
    std::int64_t elements = 1;
    bool grows = false;
    for (const Dim& dim : type.shape) {
        const Extent extent = dim.extent().value_or(Extent{});
        // a*B + c is at most (16 a + c) ceil(B/16), for B >= 1.
        elements *= extent.is_static()
                        ? extent.constant
                        : kLanes * extent.per_batch + std::max<std::int64_t>(0, extent.constant);
        grows = grows || !extent.is_static();
    }
    const std::int64_t bytes = round_up(elements * size_of(type.dtype));
    return grows ? Bytes{0, bytes, 0} : Bytes{bytes, 0, 0};
}

Bytes place_values(std::vector<ArenaValue>& values) {
    Bytes end;
    end.constant = place_part(values, &Bytes::constant);
    end.per_16 = place_part(values, &Bytes::per_16);
    // The growing part lies behind the constant one.
    for (ArenaValue& value : values) {
        if (value.size.per_16 > 0) value.offset.constant = end.constant;
    }
    return end;
}

MemoryPlan plan_memory(const Lowered& lowered, std::int64_t batch_hint) {
    MemoryPlan plan;
    plan.values = arena_values(lowered);
    plan.workspace = place_values(plan.values);
    for (std::size_t c = 0; c < lowered.calls.size(); ++c) {
        std::int64_t alive = 0;
        const ArenaValue* largest = nullptr;
        for (const ArenaValue& value : plan.values) {
            if (c < value.first || value.last < c) continue;
            alive += value.size.at(batch_hint);
            if (largest == nullptr || value.size.at(batch_hint) > largest->size.at(batch_hint)) {
                largest = &value;
            }
        }
        if (alive <= plan.peak) continue;
        plan.peak = alive;
        const Node& node = lowered.function[largest->value];
        const std::string& instance = lowered.function.origins[node.origin].instance;
        plan.peak_reason = "during " + lowered.calls[c].label + "; the largest is " +
                           node.type.to_string() + " of " +
                           (instance.empty() ? std::string(op_def(node.op).name) : instance);
    }
    return plan;
}

}  // namespace netc
