// The machine behind emit_group; see there. Only emit_*.cpp include it.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>

#include "passes/emit_group.h"
#include "passes/place.h"

namespace netc {

// A stage under construction or done.
struct StageRecord {
    NodeId reducing;           // invalid: an elementwise stage
    std::vector<AxisId> axes;  // own, one per Place::own
    Stage stage;
    std::vector<AxisId> reduced;
    std::vector<Guard> guards;
    bool done = false;
    // Of the reduced axes, how many the sibling has taken that joins the stage's first reduction.
    std::optional<std::size_t> taken;
};

// A member whose value a stage computes, at `place`.
struct StagedValue {
    Place place;
    StageRecord* stage = nullptr;
    ScalarId value = kNoScalar;  // among the stores of its stage
    std::int32_t local = -1;
};

class Emitter {
public:
    // `together`: siblings (siblings.h) are one stage.
    Emitter(const GroupInfo& info, const std::vector<NodeId>& members,
            const std::vector<NodeId>& stored, bool together);
    Result<EmittedKernel> run();
    bool has_siblings() const { return has_siblings_; }

    // The substitution routine: the element of a value as a scalar of `stage`.
    ScalarId value_at(NodeId node, const std::vector<Index>& index, StageRecord& stage,
                      Outside outside);
    ScalarId value_at_data(NodeId node, std::vector<Index> index, std::int32_t dim,
                           ScalarId position);

    const GroupInfo& info() const { return info_; }
    Kernel& kernel() { return kernel_; }
    AxisView axes() const { return {kernel_.axes}; }
    AxisId add_axis(AxisKind kind, const Extent& extent);
    Index simplified(const Index& index) const;
    ScalarId number_of(const Index& index, DType type);
    AxisId reduced_axis(StageRecord& record, const Extent& extent);
    // The number of the first of its states.
    std::int64_t reduce(StageRecord& record, Reduction reduction, OpFamily family,
                        const Type& result);
    // Remembers the first failure; the emission goes on with meaningless scalars.
    ScalarId fail(std::string why, DType type = DType::f32);

private:
    bool is_member(NodeId id) const { return member_[id.index]; }
    bool is_outside(NodeId node) const;
    bool reduces(NodeId id) const { return info_.probes[id.index].reduces; }
    bool is_tiled(NodeId id) const { return !info_.probes[id.index].tile.empty(); }

    // emit_values.cpp
    ScalarId expand(NodeId node, const std::vector<Index>& index, StageRecord& stage,
                    Outside outside);
    ScalarId expand_member(NodeId node, const std::vector<Index>& index, StageRecord& stage,
                           Outside outside);
    void store_scatter(NodeId node);
    ScalarId reduce_node(NodeId node, const std::vector<Index>& index, StageRecord& stage);
    ScalarId guarded(NodeId node, const std::vector<Index>& index, ScalarId value);
    ScalarId read_param(NodeId node, std::vector<Index> index, Outside outside,
                        std::int32_t indirect = -1, ScalarId position = kNoScalar);
    ScalarId read_staged(NodeId node, StagedValue& staged, const std::vector<Index>& index,
                         StageRecord& stage);
    ScalarId add_read(Read read, DType type);

    // emit_stages.cpp
    StagedValue* stage_reduction(NodeId node, const Place& place);
    std::vector<NodeId> siblings_of(NodeId node) const;
    void join_reduction(StageRecord& record, Reduction reduction);
    StagedValue* stage_elementwise(NodeId node, const Place& place);
    StagedValue* join_stage(NodeId node, const Place& place);
    StagedValue* latest_below(NodeId node);
    bool same_space(const Place& place, const StagedValue& staged) const;
    bool worth_a_local(NodeId node, const Place& place) const;
    StageRecord& new_stage(const Place& place, NodeId reducing);
    void finish(StageRecord& stage);
    std::size_t position(const StageRecord& stage) const;

    // emit_tiles.cpp
    void store_tiles();
    std::int64_t tiles_along(std::int64_t extent, std::size_t dim) const;

    // emit_group.cpp
    void analyse_members();
    void choose_outer();
    std::optional<Place> frame_place(const Shape& shape) const;
    std::optional<Place> output_place(NodeId node) const;
    void store_output(NodeId node);
    void store_to_param(NodeId node, const Place& place, StageRecord& stage, ScalarId value);
    std::uint32_t param_of(NodeId node, Direction direction);
    bool to_extents(const Shape& shape, std::vector<Extent>& extents);
    void merge_updated_variables();

    const GroupInfo& info_;
    const std::vector<NodeId>& members_;
    const std::vector<NodeId>& stored_;
    std::vector<bool> member_;
    std::map<NodeId, std::set<NodeId>> sinks_;  // member -> reductions and outputs that need it
    NodeId anchor_;
    std::vector<std::int64_t> tile_;  // of the anchor, where its operator has one
    std::vector<AxisId> outer_;
    std::vector<Index> anchor_index_;  // per dim of the anchor: an outer axis, or 0

    Kernel kernel_;
    std::vector<Binding> bindings_;
    std::map<std::pair<NodeId, bool>, std::uint32_t> params_;
    std::vector<std::unique_ptr<StageRecord>> records_;
    std::vector<StageRecord*> sequence_;  // in the order of execution
    std::vector<StageRecord*> last_;      // elementwise stages that run after all others
    std::map<NodeId, StagedValue> staged_;
    const bool together_;
    bool has_siblings_ = false;
    std::vector<NodeId> under_way_;     // reductions whose stages are not done yet
    std::map<NodeId, Place> demanded_;  // first place at which a pointwise member was read
    using Known = std::tuple<const StageRecord*, NodeId, Outside, std::vector<Index>>;
    std::map<Known, ScalarId> known_;
    std::optional<std::string> failure_;
};

// Drops what no stored param needs: scalars, reads, locals, stages; numbers the rest in order of use.
void compact(Kernel& kernel, std::vector<Binding>& bindings);

}  // namespace netc
