// Stages of emit_group: when one is made, and which values join it.

#include <algorithm>

#include "passes/emitter.h"
#include "passes/reduction_order.h"

namespace netc {
namespace {

// A local holds at most this many elements: it should stay in the first-level cache.
constexpr std::int64_t kMaxLocalElements = 4096;

bool always_holds(const Guard& guard, const AxisView& axes) {
    if (guard.divisor != 1 || !guard.limit.is_static()) return false;
    const std::optional<Range> range = range_of(guard.index, axes.static_extents());
    return range && range->low >= 0 && range->high < guard.limit.constant;
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
    const ScalarId value = reduce_node(node, index_at(place, record.axes), record);
    finish(record);
    return &staged_.emplace(node, StagedValue{place, &record, value, -1}).first->second;
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

void Emitter::reduce(StageRecord& record, Reduction reduction, bool contraction,
                     const Type& result) {
    if (record.stage.reduction) {
        fail("an operator with two reductions");
        return;
    }
    if (record.reduced.empty()) record.reduced.push_back(add_axis(AxisKind::reduced, {0, 1}));
    ReductionShape shape;
    shape.contraction = contraction;
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
}

}  // namespace netc
