// Stages of emit_group: when one is made, and which values join it.

#include <algorithm>

#include "passes/emitter.h"
#include "passes/reduction_order.h"
#include "passes/siblings.h"

namespace netc {
namespace {

// A local holds at most this many elements: it should stay in the first-level cache.
constexpr std::int64_t kMaxLocalElements = 4096;

bool always_holds(const Guard& guard, const AxisView& axes) {
    if (guard.divisor != 1 || !guard.limit.is_static()) return false;
    const std::optional<Range> range = range_of(guard.index, axes.static_extents());
    return range && range->low >= 0 && range->high < guard.limit.constant;
}

// The expression with its states numbered from `first` on.
ScalarId with_states_from(ScalarGraph& scalars, ScalarId id, std::int64_t first,
                          std::map<ScalarId, ScalarId>& known) {
    if (const auto found = known.find(id); found != known.end()) return found->second;
    Scalar scalar = scalars[id];
    for (ScalarId& operand : scalar.operands)
        operand = with_states_from(scalars, operand, first, known);
    if (scalar.op == ScalarOp::state || scalar.op == ScalarOp::other) scalar.integer += first;
    return known[id] = scalars.add_node(std::move(scalar));
}

std::optional<std::int64_t> static_elements(const Shape& shape) {
    const Dim count = product(shape);
    if (!count.is_static()) return std::nullopt;
    return count.value();
}

}  // namespace

StageRecord& Emitter::new_stage(const Place& place, NodeId reducing) {
    records_.push_back(std::make_unique<StageRecord>());
    StageRecord& record = *records_.back();
    record.reducing = reducing;
    for (const Place::Own& own : place.own) {
        record.axes.push_back(add_axis(AxisKind::parallel, own.extent));
    }
    record.stage.axes = record.axes;
    return record;
}

void Emitter::finish(StageRecord& stage) {
    stage.done = true;
    sequence_.push_back(&stage);
}

// Stages that are not finished come after all that are.
std::size_t Emitter::position(const StageRecord& stage) const {
    const auto found = std::find(sequence_.begin(), sequence_.end(), &stage);
    return static_cast<std::size_t>(found - sequence_.begin());
}

StagedValue* Emitter::stage_reduction(NodeId node, const Place& place) {
    std::vector<Extent> shape;
    if (!to_extents(info_.function[node].type.shape, shape)) return nullptr;
    if (!covers_exactly(place, shape, outer_, axes())) {
        fail("elements of a reduction would be computed twice or not at all");
        return nullptr;
    }
    StageRecord& record = new_stage(place, node);
    std::vector<NodeId> sums = siblings_of(node);
    has_siblings_ = has_siblings_ || !sums.empty();
    sums.insert(sums.begin(), node);
    const std::size_t outer_ones = under_way_.size();
    under_way_.insert(under_way_.end(), sums.begin(), sums.end());
    std::vector<ScalarId> values;
    for (const NodeId sum : sums) {
        if (sum != node) record.taken = 0;
        values.push_back(reduce_node(sum, index_at(place, record.axes), record));
    }
    finish(record);
    under_way_.resize(outer_ones);
    for (std::size_t k = 0; k < sums.size(); ++k)
        staged_.emplace(sums[k], StagedValue{place, &record, values[k], -1});
    return &staged_.at(node);
}

// The other reductions of the group that the stage of this one can make too.
std::vector<NodeId> Emitter::siblings_of(NodeId node) const {
    std::vector<NodeId> found;
    if (!together_) return found;
    const auto waits = [&](NodeId id, const std::vector<NodeId>& others) {
        return std::ranges::any_of(others, [&](NodeId other) {
            return other == id || is_below(info_, members_, other, id);
        });
    };
    for (const NodeId id : members_) {
        if (id == node || !reduces(id) || staged_.contains(id) || waits(id, under_way_)) continue;
        const bool fits = are_siblings(info_, members_, node, id) &&
                          std::ranges::all_of(found, [&](NodeId other) {
                              return are_siblings(info_, members_, other, id);
                          });
        if (fits) found.push_back(id);
    }
    return found;
}

StagedValue* Emitter::stage_elementwise(NodeId node, const Place& place) {
    StageRecord& record = new_stage(place, NodeId{});
    const ScalarId value = expand(node, index_at(place, record.axes), record, Outside::never);
    finish(record);
    return &staged_.emplace(node, StagedValue{place, &record, value, -1}).first->second;
}

StagedValue* Emitter::join_stage(NodeId node, const Place& place) {
    StagedValue* below = latest_below(node);
    if (below == nullptr || !same_space(place, *below)) return nullptr;
    StageRecord& home = *below->stage;
    const ScalarId value = expand(node, index_at(place, home.axes), home, Outside::never);
    return &staged_.emplace(node, StagedValue{place, &home, value, -1}).first->second;
}

// Of the staged values that the node is computed from, the one that is finished last.
StagedValue* Emitter::latest_below(NodeId node) {
    StagedValue* latest = nullptr;
    std::set<NodeId> seen;
    std::vector<NodeId> work{node};
    while (!work.empty()) {
        const NodeId next = work.back();
        work.pop_back();
        if (!seen.insert(next).second) continue;
        if (const auto found = staged_.find(next); found != staged_.end()) {
            StagedValue& staged = found->second;
            if (latest == nullptr || position(*staged.stage) > position(*latest->stage)) {
                latest = &staged;
            }
        } else if (is_member(next) || info_.is_virtual(next)) {
            for (NodeId input : info_.function[next].inputs) work.push_back(input);
        }
    }
    return latest;
}

bool Emitter::same_space(const Place& place, const StagedValue& staged) const {
    if (place.own.size() != staged.place.own.size()) return false;
    for (std::size_t k = 0; k < place.own.size(); ++k) {
        if (place.own[k].extent != staged.place.own[k].extent) return false;
    }
    auto without_zeros = [&](const Place& p) {
        std::vector<Index> index = index_at(p, staged.stage->axes);
        std::erase(index, Index(0));
        return index;
    };
    return without_zeros(place) == without_zeros(staged.place);
}

// What costs much and is read by several stages is computed once, into a local.
bool Emitter::worth_a_local(NodeId node, const Place& place) const {
    const auto sinks = sinks_.find(node);
    if (!info_.probes[node.index].transcendental || place.own.empty()) return false;
    if (sinks == sinks_.end() || sinks->second.size() < 2 || !uses_all(place, outer_)) return false;
    std::int64_t elements = 1;
    for (const Place::Own& own : place.own) {
        if (!own.extent.is_static()) return false;
        elements *= own.extent.constant;
        if (elements > kMaxLocalElements) return false;
    }
    return true;
}

AxisId Emitter::reduced_axis(StageRecord& record, const Extent& extent) {
    if (!record.taken) {
        record.reduced.push_back(add_axis(AxisKind::reduced, extent));
        return record.reduced.back();
    }
    const std::size_t next = (*record.taken)++;
    if (next >= record.reduced.size() || kernel_.axes[record.reduced[next]].extent != extent) {
        fail("siblings over different axes");
        return record.reduced[0];
    }
    return record.reduced[next];
}

std::int64_t Emitter::reduce(StageRecord& record, Reduction reduction, OpFamily family,
                             const Type& result) {
    if (record.stage.reduction) {
        const auto first = static_cast<std::int64_t>(record.stage.reduction->states.size());
        join_reduction(record, std::move(reduction));
        return first;
    }
    if (record.reduced.empty()) record.reduced.push_back(add_axis(AxisKind::reduced, {0, 1}));
    ReductionShape shape;
    shape.contraction = family == OpFamily::contraction;
    shape.scatter = family == OpFamily::scatter;
    shape.axes = record.reduced;
    for (AxisId axis : record.reduced) shape.extents.push_back(kernel_.axes[axis].extent);
    shape.results = static_elements(result.shape);
    shape.widest = widest_dim(result.shape);
    reduction.axes = record.reduced;
    if (!reduction.merge.empty()) reduction.order = reduction_order(shape);
    if (reduction.order.kind == OrderKind::sequential) reduction.merge.clear();
    for (const Guard& guard : record.guards) {
        if (!always_holds(guard, axes())) reduction.guards.push_back(guard);
    }
    record.stage.reduction = std::move(reduction);
    return 0;
}

void Emitter::join_reduction(StageRecord& record, Reduction reduction) {
    Reduction& joined = *record.stage.reduction;
    if (!record.taken) {
        fail("an operator with two reductions");
        return;
    }
    const auto first = static_cast<std::int64_t>(joined.states.size());
    std::map<ScalarId, ScalarId> known;
    for (const ScalarId step : reduction.step)
        joined.step.push_back(with_states_from(kernel_.scalars, step, first, known));
    if (joined.order.kind != OrderKind::sequential) {
        for (const ScalarId merge : reduction.merge)
            joined.merge.push_back(with_states_from(kernel_.scalars, merge, first, known));
    }
    joined.states.insert(joined.states.end(), reduction.states.begin(), reduction.states.end());
}

}  // namespace netc
