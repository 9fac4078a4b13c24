#include "passes/plan_memory.h"

#include <algorithm>
#include <set>

#include "passes/group.h"
#include "passes/in_place.h"

namespace netc {
namespace {

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

Bytes place_apart(std::vector<ArenaValue>& values) {
    Bytes end;
    end.constant = place_part(values, &Bytes::constant);
    end.per_16 = place_part(values, &Bytes::per_16);
    end.per_sample = place_part(values, &Bytes::per_sample);
    // The growing part lies behind the constant one; it is in blocks or in samples, see LifeFinder.
    for (ArenaValue& value : values) {
        if (value.size.per_16 > 0 || value.size.per_sample > 0)
            value.offset.constant = end.constant;
    }
    return end;
}

// Lets results take the memory of operands that die with them. `positions`: of the calls of this function; a
// loop has none. What a carry shares its memory with lives on, so carries stay as they are.
void find_in_place(const Lowered& lowered, const GroupInfo& info,
                   const std::map<NodeId, std::size_t>& number,
                   const std::vector<std::optional<std::size_t>>& positions,
                   std::vector<ArenaValue>& values) {
    for (std::size_t c = 0; c < lowered.calls.size(); ++c) {
        if (!positions[c]) continue;
        const LoweredCall& call = lowered.calls[c];
        std::vector<std::optional<std::size_t>> bound;  // per param: its arena value
        for (const Binding& binding : call.bindings) {
            const auto found = number.find(*storage_of(info, binding.value));
            bound.push_back(found == number.end() ? std::nullopt : std::optional(found->second));
        }
        for (std::uint32_t to = 0; to < bound.size(); ++to) {
            if (!bound[to] || !call.bindings[to].written) continue;
            ArenaValue& result = values[*bound[to]];
            for (std::uint32_t from = 0; from < bound.size() && !result.over; ++from) {
                if (!bound[from] || call.bindings[from].written) continue;
                const ArenaValue& operand = values[*bound[from]];
                const bool dies = operand.last == *positions[c] && operand.size == result.size &&
                                  operand.parts.empty() && result.parts.empty() &&
                                  std::ranges::count(bound, bound[from]) == 1;
                const bool taken = std::ranges::any_of(
                    values, [&](const ArenaValue& v) { return v.over == bound[from]; });
                if (dies && !taken && can_overwrite(call.kernel, from, to))
                    result.over = bound[from];
            }
        }
    }
}

// Collects the values of a function and of the bodies in it.
class LifeFinder {
public:
    std::vector<ArenaValue> values;
    std::vector<const LoweredCall*> calls;  // per position

    // Where values in batch lanes take whole blocks of samples, all do, so that they can share memory.
    explicit LifeFinder(bool in_blocks) : in_blocks_(in_blocks) {}

    void run(const Lowered& lowered) {
        const GroupInfo info(lowered.function);
        std::set<NodeId> outside;
        for (const auto& update : lowered.function.updates) outside.insert(update.value);
        for (const auto& result : lowered.function.results) outside.insert(result.value);
        std::map<NodeId, const LoweredCall*> carries;  // initial ones, and their loops
        for (const LoweredCall& call : lowered.calls) {
            if (!call.loop) continue;
            for (std::size_t c = 0; c < call.loop->carries; ++c) {
                carries[call.bindings[call.loop->sequences + c].value] = &call;
            }
        }
        std::map<NodeId, std::size_t> number;
        std::vector<std::optional<std::size_t>> positions;
        for (const LoweredCall& call : lowered.calls) {
            const std::size_t begin = calls.size();
            if (call.loop) {
                run(call.loop->body);
            } else {
                calls.push_back(&call);
            }
            const std::size_t end = calls.size() - 1;
            positions.push_back(call.loop ? std::nullopt : std::optional(end));
            for (const Binding& binding : call.bindings) {
                const NodeId storage = *storage_of(info, binding.value);
                const bool result = lowered.function[storage].op == OpId::scan_result;
                if ((info.is_leaf(storage) && !result) || outside.count(storage) > 0) continue;
                const auto known = number.find(storage);
                if (known != number.end()) {
                    values[known->second].last = end;
                    continue;
                }
                const Node& node = lowered.function[storage];
                ArenaValue value{
                    storage, begin,    end, arena_bytes(node.type, node.layout, in_blocks_),
                    {},      &lowered, {}};
                if (const auto carry = carries.find(storage); carry != carries.end()) {
                    lay_out_carry(lowered, *carry->second, value);
                }
                number[storage] = values.size();
                for (const auto& [part, at] : value.parts) number[part] = values.size();
                values.push_back(std::move(value));
            }
        }
        find_in_place(lowered, info, number, positions, values);
    }

private:
    // The initial value, the final one and the stack of a carry share its slots.
    void lay_out_carry(const Lowered& lowered, const LoweredCall& call, ArenaValue& value) {
        const LoweredLoop& loop = *call.loop;
        const Function& function = lowered.function;
        std::size_t c = 0;
        while (call.bindings[loop.sequences + c].value != value.value) ++c;
        Type slots = function[value.value].type;
        const Bytes slot = dense_bytes(slots);
        slots.shape.insert(slots.shape.begin(), Dim(loop.slots(c)));
        value.size = arena_bytes(slots, Layout{}, in_blocks_);
        value.parts.emplace_back(value.value, loop.first_slot(c) * slot);
        for (const Binding& binding : call.bindings) {
            if (!binding.written) continue;
            const auto number = static_cast<std::size_t>(
                function[binding.value].attributes.get<std::int64_t>("number"));
            if (loop.result_of[number] != c) continue;
            const std::int64_t first = number == c ? loop.last_slot(c) : loop.reverse ? 0 : 1;
            value.parts.emplace_back(binding.value, first * slot);
        }
    }

    bool in_blocks_;
};

bool has_lanes(const Lowered& lowered) {
    return std::ranges::any_of(lowered.function.nodes,
                               [](const Node& node) { return node.layout.lanes; }) ||
           std::ranges::any_of(lowered.calls, [](const LoweredCall& call) {
               return call.loop && has_lanes(call.loop->body);
           });
}

}  // namespace

Bytes arena_bytes(const Type& type, const Layout& layout, bool in_blocks) {
    std::int64_t elements = 1;
    bool grows = false;
    for (std::size_t k = type.rank(); k-- > 0;) {
        const std::size_t d = layout.order.empty() ? k : static_cast<std::size_t>(layout.order[k]);
        if (k == spaced_position(layout)) elements += layout.extra;
        const Extent extent = type.shape[d].extent().value_or(Extent{});
        const std::int64_t fixed = std::max<std::int64_t>(0, extent.constant);
        // a*B + c is at most (16 a + c) ceil(B/16) and (a + c) B, for B >= 1.
        const std::int64_t samples = in_blocks ? kLanes : 1;
        elements *= extent.is_static() ? fixed : samples * extent.per_batch + fixed;
        grows = grows || !extent.is_static();
    }
    const std::int64_t bytes = round_up(elements * size_of(type.dtype));
    if (!grows) return {bytes, 0, 0};
    return in_blocks ? Bytes{0, bytes, 0} : Bytes{0, 0, bytes};
}

Bytes dense_bytes(const Type& type) {
    std::int64_t elements = size_of(type.dtype);
    bool grows = false;
    // Slices have at most one dimension that holds the batch, as a multiple of it.
    for (const Dim& dim : type.shape) {
        const Extent extent = dim.extent().value_or(Extent{});
        elements *= extent.is_static() ? extent.constant : extent.per_batch;
        grows = grows || !extent.is_static();
    }
    return grows ? Bytes{0, 0, elements} : Bytes{elements, 0, 0};
}

Bytes place_values(std::vector<ArenaValue>& values) {
    // What lies over another value only makes that one's life longer; it comes later in the list.
    std::vector<ArenaValue> places;
    std::vector<std::size_t> place_of;
    for (const ArenaValue& value : values) {
        if (value.over) {
            place_of.push_back(place_of[*value.over]);
            places[place_of.back()].last = std::max(places[place_of.back()].last, value.last);
        } else {
            place_of.push_back(places.size());
            places.push_back(value);
        }
    }
    const Bytes end = place_apart(places);
    for (std::size_t i = 0; i < values.size(); ++i) values[i].offset = places[place_of[i]].offset;
    return end;
}

namespace {

MemoryPlan planned(const Lowered& lowered, std::int64_t batch_hint, bool in_blocks) {
    MemoryPlan plan;
    LifeFinder lives(in_blocks);
    lives.run(lowered);
    plan.values = std::move(lives.values);
    plan.workspace = place_values(plan.values);
    for (std::size_t c = 0; c < lives.calls.size(); ++c) {
        std::int64_t alive = 0;
        const ArenaValue* largest = nullptr;
        for (const ArenaValue& value : plan.values) {
            const bool written_over = value.over && c == value.first;
            if (c < value.first || value.last < c || written_over) continue;
            alive += value.size.at(batch_hint);
            if (largest == nullptr || value.size.at(batch_hint) > largest->size.at(batch_hint)) {
                largest = &value;
            }
        }
        if (alive <= plan.peak) continue;
        plan.peak = alive;
        const Node& node = largest->home->function[largest->value];
        const std::string& instance = largest->home->function.origins[node.origin].instance;
        plan.peak_reason = "during " + lives.calls[c]->label + "; the largest is " +
                           node.type.to_string() + " of " +
                           (instance.empty() ? std::string(op_def(node.op).name) : instance);
    }
    return plan;
}

}  // namespace

// Batch lanes need whole blocks of samples. Else what is smaller at this batch: samples begin at multiples of 64 bytes.
MemoryPlan plan_memory(const Lowered& lowered, std::int64_t batch_hint) {
    MemoryPlan plan = planned(lowered, batch_hint, true);
    if (has_lanes(lowered)) return plan;
    MemoryPlan other = planned(lowered, batch_hint, false);
    const bool smaller = other.workspace.at(batch_hint) < plan.workspace.at(batch_hint);
    return smaller ? other : plan;
}

}  // namespace netc
