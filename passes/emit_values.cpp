// The substitution routine of emit_group: what the element of a value is, as a scalar of a stage.

#include <algorithm>

#include "passes/emitter.h"

namespace netc {
namespace {

// One application of an operator's `lower` at an index.
class NodeLowering : public Lowering {
public:
    NodeLowering(Emitter& emitter, NodeId node, std::vector<Index> out, StageRecord& stage,
                 Outside outside)
        : emitter_(emitter), stage_(stage), node_(node), out_(std::move(out)), outside_(outside) {}

    ScalarGraph& scalars() override { return emitter_.kernel().scalars; }
    const Attributes& attributes() const override { return node().attributes; }
    const Type& input_type(std::size_t operand) const override {
        return emitter_.info().function[node().inputs[operand]].type;
    }
    const Type& output_type() const override { return node().type; }
    const std::vector<Index>& out() const override { return out_; }
    ScalarId read(std::size_t operand, std::vector<Index> index, Outside outside) override {
        return emitter_.value_at(node().inputs[operand], index, stage_,
                                 std::max(outside, outside_));
    }
    ScalarId read_indirect(std::size_t operand, std::vector<Index> index, std::int32_t dim,
                           ScalarId position) override {
        return emitter_.value_at_data(node().inputs[operand], std::move(index), dim, position);
    }
    ScalarId number_of(const Index& index, DType type) override {
        return emitter_.number_of(index, type);
    }
    Index reduced_axis(Dim extent) override {
        const std::optional<Extent> size = extent.extent();
        if (!size) {
            emitter_.fail("a reduced axis of " + extent.to_string() + " is not a*B + c");
            return 0;
        }
        if (*size == Extent{0, 1}) return 0;
        const Index step = new_axis(*size);
        return runs_backwards() && size->is_static() ? Index(size->constant - 1) - step : step;
    }
    void guard(Guard guard) override {
        guard.index = emitter_.simplified(guard.index);
        stage_.guards.push_back(std::move(guard));
    }
    std::vector<ScalarId> reduce(std::vector<StateVariable> states, std::vector<ScalarId> step,
                                 std::vector<ScalarId> merge) override {
        Reduction reduction;
        reduction.states = states;
        reduction.step = std::move(step);
        reduction.merge = std::move(merge);
        std::int64_t number =
            emitter_.reduce(stage_, std::move(reduction), op_def(node().op).family, node().type);
        std::vector<ScalarId> finished;
        for (const StateVariable& state : states)
            finished.push_back(scalars().state(number++, state.dtype));
        return finished;
    }

protected:
    virtual Index new_axis(const Extent& extent) {
        return Index::axis(emitter_.reduced_axis(stage_, extent));
    }

    Emitter& emitter_;
    StageRecord& stage_;

private:
    // Instructions that add the products of two pairs of halves begin with the second one. From the last term to
    // the first is the order in which such a pair is what lies in memory; of bytes any order would do.
    bool runs_backwards() const {
        const DType factor = input_type(0).dtype;
        return op_def(node().op).family == OpFamily::contraction && sum_type(factor) != factor;
    }
    const Node& node() const { return emitter_.info().function[node_]; }

    NodeId node_;
    std::vector<Index> out_;
    Outside outside_;
};

// A scatter in memory: in one stage what the rows begin with, in another, over its own axes, what is added to them.
class ScatterLowering final : public NodeLowering {
public:
    ScatterLowering(Emitter& emitter, NodeId node, std::vector<Index> out, StageRecord& stage,
                    bool adds)
        : NodeLowering(emitter, node, std::move(out), stage, Outside::never), adds_(adds) {}

    ScalarId scatter(ScalarId base, std::int32_t dim, ScalarId position, ScalarId value) override {
        added_.indirect = dim;
        added_.position = position;
        added_.value = value;
        return base;
    }
    const Store& added() const { return added_; }

private:
    Index new_axis(const Extent& extent) override {
        if (!adds_) return 0;
        stage_.axes.push_back(emitter_.add_axis(AxisKind::parallel, extent));
        stage_.stage.axes = stage_.axes;
        return Index::axis(stage_.axes.back());
    }

    bool adds_;
    Store added_;
};

}  // namespace

ScalarId Emitter::value_at(NodeId node, const std::vector<Index>& raw, StageRecord& stage,
                           Outside outside) {
    std::vector<Index> index;
    for (std::size_t d = 0; d < raw.size(); ++d) {
        index.push_back(info_.function[node].type.shape[d] == Dim(1) && outside == Outside::never
                            ? Index(0)
                            : simplified(raw[d]));
    }
    const Known key{&stage, node, outside, index};
    if (const auto found = known_.find(key); found != known_.end()) return found->second;
    const ScalarId value = is_member(node)    ? expand_member(node, index, stage, outside)
                           : is_outside(node) ? read_param(node, index, outside)
                                              : expand(node, index, stage, outside);
    known_.emplace(key, value);
    return value;
}

// In memory, and not by this group.
bool Emitter::is_outside(NodeId node) const {
    const std::optional<NodeId> storage = storage_of(info_, node);
    return storage && !is_member(*storage);
}

ScalarId Emitter::value_at_data(NodeId node, std::vector<Index> index, std::int32_t dim,
                                ScalarId position) {
    if (!is_outside(node)) {
        return fail("a table read by data has to be in memory", info_.function[node].type.dtype);
    }
    for (Index& each : index) each = simplified(each);
    index[static_cast<std::size_t>(dim)] = Index(0);
    return read_param(node, std::move(index), Outside::never, dim, position);
}

// The definition of a pointwise node in place of the node.
ScalarId Emitter::expand(NodeId node, const std::vector<Index>& index, StageRecord& stage,
                         Outside outside) {
    const OpDef& def = op_def(info_.function[node].op);
    if (def.lower == nullptr || reduces(node)) {
        return fail("a value that should be in memory", info_.function[node].type.dtype);
    }
    NodeLowering lowering(*this, node, index, stage, outside);
    const ScalarId value = def.lower(lowering);
    return outside == Outside::zero ? guarded(node, index, value) : value;
}

void Emitter::store_scatter(NodeId node) {
    const OpDef& def = op_def(info_.function[node].op);
    std::vector<Extent> extents;
    if (!to_extents(info_.function[node].type.shape, extents)) return;
    const Place place{anchor_index_, {{0, extents[0]}}};
    StageRecord& before = new_stage(place, NodeId{});
    ScatterLowering base(*this, node, index_at(place, before.axes), before, false);
    store_to_param(node, place, before, def.lower(base));
    finish(before);
    StageRecord& rows = new_stage(Place{}, NodeId{});
    ScatterLowering added(*this, node, anchor_index_, rows, true);
    def.lower(added);
    Store store = added.added();
    if (store.indirect != 0) {
        fail("a scatter along another dim than rows");
        return;
    }
    store.target = {Buffer::Kind::param, param_of(node, Direction::out)};
    store.index = anchor_index_;
    rows.stage.stores.push_back(std::move(store));
    finish(rows);
}

// The reduction of a stage: its axes, guards and states go to the record.
ScalarId Emitter::reduce_node(NodeId node, const std::vector<Index>& index, StageRecord& stage) {
    NodeLowering lowering(*this, node, index, stage, Outside::never);
    return op_def(info_.function[node].op).lower(lowering);
}

// Zero where the index lies outside of the value.
ScalarId Emitter::guarded(NodeId node, const std::vector<Index>& index, ScalarId value) {
    ScalarGraph& s = kernel_.scalars;
    std::vector<Extent> extents;
    if (!to_extents(info_.function[node].type.shape, extents)) return value;
    ScalarId inside = kNoScalar;
    auto require = [&](ScalarId condition) {
        inside =
            inside == kNoScalar ? condition : s.binary(ScalarOp::logical_and, inside, condition);
    };
    for (std::size_t d = 0; d < index.size(); ++d) {
        const std::optional<Range> range = range_of(index[d], axes().static_extents());
        if (!extents[d].is_static()) continue;  // the batch is never padded
        if (!range || range->low < 0) {
            require(s.binary(ScalarOp::less_equal, s.integer(0), number_of(index[d], DType::i64)));
        }
        if (!range || range->high >= extents[d].constant) {
            require(s.binary(ScalarOp::less, number_of(index[d], DType::i64),
                             s.integer(extents[d].constant)));
        }
    }
    if (inside == kNoScalar) return value;
    const DType type = s.type(value);
    ScalarId zero = is_float(type) ? s.number(0, type) : s.integer(0, type);
    return s.select(inside, value, zero);
}

ScalarId Emitter::expand_member(NodeId node, const std::vector<Index>& index, StageRecord& stage,
                                Outside outside) {
    const DType type = info_.function[node].type.dtype;
    const auto known = staged_.find(node);
    if (known != staged_.end() || reduces(node)) {
        if (outside == Outside::zero) return fail("padding around a value of the group", type);
    }
    if (known != staged_.end()) return read_staged(node, known->second, index, stage);
    const std::optional<Place> place = place_of(index, axes());
    StagedValue* staged = nullptr;
    if (reduces(node)) {
        if (!place) return fail("a reduction is read at an index that is no box", type);
        staged = stage_reduction(node, *place);
        return staged == nullptr ? fail("", type) : read_staged(node, *staged, index, stage);
    }
    if (place) demanded_.emplace(node, *place);
    const ScalarId value = expand(node, index, stage, outside);
    if (!place || outside == Outside::zero) return value;
    // Joins the last stage below it where both have one space: what is read is then the finished
    // value, computed once.
    const StagedValue* below = latest_below(node);
    if (below != nullptr && below->stage == &stage) return value;
    staged = join_stage(node, *place);
    if (staged == nullptr && worth_a_local(node, *place)) staged = stage_elementwise(node, *place);
    return staged == nullptr ? value : read_staged(node, *staged, index, stage);
}

ScalarId Emitter::read_staged(NodeId node, StagedValue& staged, const std::vector<Index>& index,
                              StageRecord& stage) {
    const DType type = info_.function[node].type.dtype;
    const std::optional<std::vector<Index>> within = index_within(staged.place, index, axes());
    if (!within) return fail("a staged value is read at another place", type);
    if (staged.stage == &stage) {
        for (std::size_t k = 0; k < within->size(); ++k) {
            if (!(*within)[k].is_axis(stage.axes[k])) {
                return fail("a stage reads its own neighbours", type);
            }
        }
        return staged.value;
    }
    if (position(*staged.stage) >= position(stage)) return fail("a stage reads a later one", type);
    if (staged.local < 0) {
        Local local{type, {}};
        Store store;
        for (std::size_t k = 0; k < staged.place.own.size(); ++k) {
            const Extent extent = staged.place.own[k].extent;
            if (!extent.is_static()) return fail("a local that grows with the batch", type);
            local.dims.push_back(extent.constant);
            store.index.push_back(Index::axis(staged.stage->axes[k]));
        }
        staged.local = static_cast<std::int32_t>(kernel_.locals.size());
        kernel_.locals.push_back(std::move(local));
        store.target = {Buffer::Kind::local, static_cast<std::uint32_t>(staged.local)};
        store.value = staged.value;
        staged.stage->stage.stores.push_back(std::move(store));
    }
    Read read;
    read.source = {Buffer::Kind::local, static_cast<std::uint32_t>(staged.local)};
    read.index = *within;
    return add_read(std::move(read), type);
}

ScalarId Emitter::read_param(NodeId node, std::vector<Index> index, Outside outside,
                             std::int32_t indirect, ScalarId position) {
    Read read;
    read.source = {Buffer::Kind::param, param_of(node, Direction::in)};
    const Param& param = kernel_.params[read.source.index];
    bool inside = true;
    for (std::size_t d = 0; d < index.size(); ++d) {
        const std::optional<Range> range = range_of(index[d], axes().static_extents());
        if (!param.dims[d].is_static()) {
            inside = inside && !range;  // the batch is never padded, but may stand for a number
            continue;
        }
        inside = inside && range && range->low >= 0 && range->high < param.dims[d].constant;
    }
    read.index = std::move(index);
    read.outside = inside || outside == Outside::never ? Outside::never : Outside::zero;
    read.indirect = indirect;
    read.position = position;
    return add_read(std::move(read), param.dtype);
}

ScalarId Emitter::add_read(Read read, DType type) {
    auto same = [&](const Read& other) {
        return other.source == read.source && other.index == read.index &&
               other.outside == read.outside && other.indirect == read.indirect &&
               other.position == read.position;
    };
    const auto found = std::find_if(kernel_.reads.begin(), kernel_.reads.end(), same);
    Scalar scalar;
    scalar.op = ScalarOp::read;
    scalar.type = type;
    scalar.integer = found - kernel_.reads.begin();
    if (found == kernel_.reads.end()) kernel_.reads.push_back(std::move(read));
    return kernel_.scalars.add_node(std::move(scalar));
}

ScalarId Emitter::number_of(const Index& index, DType type) {
    const Index wanted = simplified(index);
    if (wanted.is_constant()) return kernel_.scalars.integer(wanted.constant(), type);
    auto found = std::find(kernel_.indices.begin(), kernel_.indices.end(), wanted);
    Scalar scalar;
    scalar.op = ScalarOp::index;
    scalar.type = type;
    scalar.integer = found - kernel_.indices.begin();
    if (found == kernel_.indices.end()) kernel_.indices.push_back(wanted);
    return kernel_.scalars.add_node(std::move(scalar));
}

}  // namespace netc
