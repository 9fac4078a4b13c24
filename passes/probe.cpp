#include "passes/probe.h"

namespace netc {
namespace {

class Recorder final : public Lowering {
public:
    Recorder(const Function& function, NodeId id) : function_(function), node_(function[id]) {
        if (const auto tile = op_def(node_.op).tile) probe_.tile = tile(node_.attributes);
        for (std::size_t d = 0; d < node_.type.rank(); ++d) {
            // A dim of one tile has one index.
            const std::int64_t side = probe_.tile.empty() ? 1 : probe_.tile[d];
            out_.push_back(node_.type.shape[d] == Dim(side)
                               ? Index(0)
                               : Index::axis(static_cast<AxisId>(d)) * side);
        }
    }

    Probe take() && {
        const OpDef& def = op_def(node_.op);
        if (def.lower == nullptr) {
            probe_.leaf = true;
            return std::move(probe_);
        }
        const ScalarId value = def.lower(*this);
        probe_.contraction = probe_.reduces && def.family == OpFamily::contraction;
        const ScalarOp last = scalars_[value].op;
        probe_.moves_only =
            !probe_.reduces && (last == ScalarOp::read || last == ScalarOp::constant ||
                                last == ScalarOp::index || last == ScalarOp::batch);
        for (ScalarId id = 0; id < scalars_.size(); ++id) {
            const ScalarOp op = scalars_[id].op;
            probe_.transcendental = probe_.transcendental || op == ScalarOp::philox ||
                                    (op >= ScalarOp::exp && op <= ScalarOp::pow);
        }
        return std::move(probe_);
    }

    ScalarGraph& scalars() override { return scalars_; }
    const Attributes& attributes() const override { return node_.attributes; }
    const Type& input_type(std::size_t operand) const override {
        return function_[node_.inputs[operand]].type;
    }
    const Type& output_type() const override { return node_.type; }
    const std::vector<Index>& out() const override { return out_; }
    ScalarId read(std::size_t operand, std::vector<Index> index, Outside outside) override {
        return record({operand, std::move(index), outside, -1});
    }
    ScalarId read_indirect(std::size_t operand, std::vector<Index> index, std::int32_t dim,
                           ScalarId) override {
        return record({operand, std::move(index), Outside::never, dim});
    }
    ScalarId number_of(const Index& index, DType type) override {
        Scalar scalar;
        scalar.op = ScalarOp::index;
        scalar.type = type;
        scalar.integer = static_cast<std::int64_t>(indices_.size());
        indices_.push_back(index);
        return scalars_.add_node(std::move(scalar));
    }
    Index reduced_axis(Dim extent) override {
        const auto axis = static_cast<AxisId>(node_.type.rank() + probe_.reduced.size());
        probe_.reduced.push_back(std::move(extent));
        return Index::axis(axis);
    }
    void guard(Guard guard) override { probe_.guards.push_back(std::move(guard)); }
    std::vector<ScalarId> reduce(std::vector<StateVariable> states, std::vector<ScalarId>,
                                 std::vector<ScalarId>) override {
        probe_.reduces = true;
        std::vector<ScalarId> finished;
        for (std::size_t k = 0; k < states.size(); ++k) {
            finished.push_back(scalars_.state(static_cast<std::int64_t>(k), states[k].dtype));
        }
        return finished;
    }

private:
    ScalarId record(Access access) {
        Scalar scalar;
        scalar.op = ScalarOp::read;
        scalar.type = input_type(access.operand).dtype;
        scalar.integer = static_cast<std::int64_t>(probe_.reads.size());
        const auto extents = probe_extents(node_.type, probe_);
        for (Index& index : access.index) index = simplify(index, extents);
        probe_.reads.push_back(std::move(access));
        return scalars_.add_node(std::move(scalar));
    }

    const Function& function_;
    const Node& node_;
    std::vector<Index> out_;
    ScalarGraph scalars_;
    std::vector<Index> indices_;
    Probe probe_;
};

}  // namespace

Probe probe(const Function& function, NodeId id) { return Recorder(function, id).take(); }

std::function<std::optional<std::int64_t>(AxisId)> probe_extents(const Type& type,
                                                                 const Probe& probe) {
    std::vector<std::optional<std::int64_t>> extents;
    auto add = [&](const Dim& dim) {
        extents.push_back(dim.is_static() ? std::optional(dim.value()) : std::nullopt);
    };
    for (const Dim& dim : type.shape) add(dim);
    for (const Dim& dim : probe.reduced) add(dim);
    return [extents](AxisId axis) { return axis < extents.size() ? extents[axis] : std::nullopt; };
}

}  // namespace netc
