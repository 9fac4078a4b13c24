// See the header.
#include "backends/gpu/split_reduction.h"

#include <algorithm>

#include "backends/gpu/matrix_sums.h"

namespace netc {
namespace {

// Fewer threads than this leave a device idle.
constexpr std::int64_t kFewThreads = 32 * 1024;

// The scalar with `other` replaced by reads of the parts.
ScalarId with_parts(ScalarGraph& graph, ScalarId id, const std::vector<ScalarId>& parts) {
    const Scalar scalar = graph[id];
    if (scalar.op == ScalarOp::other) return parts[static_cast<std::size_t>(scalar.integer)];
    Scalar changed = scalar;
    for (ScalarId& operand : changed.operands) operand = with_parts(graph, operand, parts);
    return changed.operands == scalar.operands ? id : graph.add_node(std::move(changed));
}

// A product by matrix units has no order of its own: where its tiles leave most of the device idle, the first axis of
// the sum is cut into so many values that there are enough of them. 0: it is not cut.
std::int64_t free_leaf(const Kernel& kernel, const Reduction& reduction, std::int64_t batch_hint,
                       const GpuThresholds& thresholds) {
    constexpr std::int64_t kTile = 64;
    constexpr std::int64_t kWantedBlocks = 2 * kMultiprocessors;
    if (reduction.axes.empty() || matrix_unit(kernel, reduction, thresholds) == MatrixUnit::none)
        return 0;
    std::int64_t results = 1;
    for (AxisId axis : kernel.outer) results *= kernel.axes[axis].extent.at(batch_hint);
    const std::int64_t blocks = (results + kTile * kTile - 1) / (kTile * kTile);
    const std::int64_t extent = kernel.axes[reduction.axes[0]].extent.at(batch_hint);
    if (2 * blocks > kWantedBlocks || extent < 2) return 0;
    const std::int64_t parts = std::min(extent, kWantedBlocks / blocks);
    return (extent + parts - 1) / parts;
}

}  // namespace

std::optional<SplitReduction> split_reduction(const Kernel& kernel, std::int64_t batch_hint,
                                              const GpuThresholds& thresholds) {
    if (kernel.stages.size() != 1 || !kernel.locals.empty()) return std::nullopt;
    const Stage& stage = kernel.stages[0];
    if (!stage.axes.empty() || !stage.reduction) return std::nullopt;
    const Reduction& reduction = *stage.reduction;
    Order order = reduction.order;
    if (order.kind == OrderKind::sequential) {
        const std::int64_t leaf = free_leaf(kernel, reduction, batch_hint, thresholds);
        if (leaf == 0) return std::nullopt;
        order = {OrderKind::blocked, 0, leaf};
    }
    for (const Store& store : stage.stores)
        if (store.indirect >= 0) return std::nullopt;
    const bool lanes = order.kind == OrderKind::lanes;
    const AxisId axis = lanes ? order.lane_axis : reduction.axes[0];
    const Extent extent = kernel.axes[axis].extent;
    std::int64_t points = 1;
    for (AxisId outer : kernel.outer) {
        if (!kernel.axes[outer].extent.is_static()) return std::nullopt;
        points *= kernel.axes[outer].extent.constant;
    }
    std::int64_t terms = 1;
    for (AxisId reduced : reduction.axes) terms *= kernel.axes[reduced].extent.at(batch_hint);
    const std::int64_t leaf = std::max<std::int64_t>(1, order.leaf) * (lanes ? kLanes : 1);
    const std::int64_t leaves = order.leaf > 0 ? (extent.at(batch_hint) + leaf - 1) / leaf : 1;
    const std::int64_t parts = leaves * (lanes ? kLanes : 1);
    if ((points >= kFewThreads && reduction.order.kind != OrderKind::sequential) || parts < 2 ||
        terms / parts < thresholds.part_terms)
        return std::nullopt;

    SplitReduction split{kernel, kernel, {}};
    // The axes of the parts: leaves, lanes.
    const auto first_new = static_cast<AxisId>(kernel.axes.size());
    std::vector<AxisId> added;
    Index position = Index::axis(axis) * (lanes ? kLanes : 1);
    if (order.leaf > 0) {
        Extent leaves_extent = extent;
        leaves_extent.divisor = leaf;
        added.push_back(first_new);
        position = position + Index::axis(first_new) * leaf;
        for (Kernel* each : {&split.parts, &split.whole})
            each->axes.push_back(
                {each == &split.parts ? AxisKind::outer : AxisKind::reduced, leaves_extent});
    }
    if (lanes) {
        const auto lane = static_cast<AxisId>(split.parts.axes.size());
        added.push_back(lane);
        position = position + Index::axis(lane);
        for (Kernel* each : {&split.parts, &split.whole})
            each->axes.push_back(
                {each == &split.parts ? AxisKind::outer : AxisKind::reduced, Extent{0, kLanes}});
    }

    Param part;
    part.direction = Direction::out;
    std::vector<Index> place;
    for (AxisId each : added) {
        part.dims.push_back(split.parts.axes[each].extent);
        place.push_back(Index::axis(each));
    }
    for (AxisId outer : kernel.outer) {
        part.dims.push_back(kernel.axes[outer].extent);
        place.push_back(Index::axis(outer));
    }
    part.layout = row_major(part.dims.size());
    std::vector<Buffer> buffers;
    for (const StateVariable& state : reduction.states) {
        part.dtype = state.dtype;
        buffers.push_back(
            {Buffer::Kind::param, static_cast<std::uint32_t>(split.parts.params.size())});
        split.scratch.push_back(part);
        split.parts.params.push_back(part);
        split.whole.params.push_back(part);
        split.whole.params.back().direction = Direction::in;
    }

    // The parts: the axis walks one leaf, or every sixteenth of its elements.
    Kernel& parts_kernel = split.parts;
    const auto moved = [&](const Index& index) {
        return index.substitute([&](AxisId which) -> std::optional<Index> {
            return which == axis ? std::optional(position) : std::nullopt;
        });
    };
    for (Read& read : parts_kernel.reads)
        for (Index& index : read.index) index = moved(index);
    for (Index& index : parts_kernel.indices) index = moved(index);
    Reduction& sums = *parts_kernel.stages[0].reduction;
    for (Guard& guard : sums.guards) guard.index = moved(guard.index);
    Extent walked = extent;
    if (order.leaf > 0) {
        walked = Extent{0, order.leaf};
    } else {
        walked.divisor = kLanes;
    }
    parts_kernel.axes[axis].extent = walked;
    const bool whole_leaves = extent.is_static() && extent.constant % leaf == 0;
    if (!whole_leaves && leaf > 1) sums.guards.push_back({position, 1, extent});
    sums.order = {};
    parts_kernel.outer.insert(parts_kernel.outer.begin(), added.begin(), added.end());
    parts_kernel.stages[0].stores.clear();
    for (std::size_t k = 0; k < buffers.size(); ++k) {
        parts_kernel.stages[0].stores.push_back(
            {.target = buffers[k],
             .index = place,
             .value = parts_kernel.scalars.state(static_cast<std::int64_t>(k),
                                                 reduction.states[k].dtype)});
    }

    // The whole: leaves from left to right, lanes as before.
    Kernel& whole = split.whole;
    Reduction& merges = *whole.stages[0].reduction;
    if (merges.merge.empty()) {  // a sum of products
        merges.merge = {whole.scalars.binary(ScalarOp::add, whole.scalars.state(0, DType::f32),
                                             whole.scalars.other(0, DType::f32))};
        merges.step.resize(1);
    }
    merges.axes = added;
    merges.guards.clear();
    merges.order = lanes ? Order{OrderKind::lanes, added.back(), 0} : Order{};
    std::vector<ScalarId> values;
    for (std::size_t k = 0; k < buffers.size(); ++k) {
        Read read;
        read.source = buffers[k];
        read.index = place;
        whole.reads.push_back(read);
        values.push_back(
            whole.scalars.add_node({.op = ScalarOp::read,
                                    .type = reduction.states[k].dtype,
                                    .operands = {},
                                    .integer = static_cast<std::int64_t>(whole.reads.size()) - 1}));
    }
    if (order.leaf == 0) {
        merges.step = values;
        return split;
    }
    whole.indices.push_back(Index::axis(added[0]));
    const ScalarId leaf_number =
        whole.scalars.add_node({.op = ScalarOp::index,
                                .type = DType::i32,
                                .operands = {},
                                .integer = static_cast<std::int64_t>(whole.indices.size()) - 1});
    const ScalarId first =
        whole.scalars.binary(ScalarOp::equal, leaf_number, whole.scalars.integer(0, DType::i32));
    for (std::size_t k = 0; k < buffers.size(); ++k) {
        merges.step[k] = whole.scalars.select(first, values[k],
                                              with_parts(whole.scalars, merges.merge[k], values));
    }
    return split;
}

}  // namespace netc
