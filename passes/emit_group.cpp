#include "passes/emit_group.h"

#include <algorithm>

#include "passes/emitter.h"
#include "passes/scatter_rows.h"

namespace netc {
namespace {

// Each brings axes of its own, and a backend may count their points together: the norm over all
// gradients of a deep network is the sum of several kernels.
constexpr std::size_t kMostReductions = 6;

}  // namespace

Emitter::Emitter(const GroupInfo& info, const std::vector<NodeId>& members,
                 const std::vector<NodeId>& stored, bool together)
    : info_(info), members_(members), stored_(stored), member_(info.function.nodes.size()),
      together_(together) {
    for (NodeId id : members_) member_[id.index] = true;
}

ScalarId Emitter::fail(std::string why, DType type) {
    if (!failure_) failure_ = std::move(why);
    return is_float(type) ? kernel_.scalars.number(0, type) : kernel_.scalars.integer(0, type);
}

AxisId Emitter::add_axis(AxisKind kind, const Extent& extent) {
    kernel_.axes.push_back({kind, extent});
    return static_cast<AxisId>(kernel_.axes.size() - 1);
}

Index Emitter::simplified(const Index& index) const {
    return simplify(index, axes().static_extents());
}

bool Emitter::to_extents(const Shape& shape, std::vector<Extent>& extents) {
    for (const Dim& dim : shape) {
        const std::optional<Extent> extent = dim.extent();
        if (!extent) {
            fail("the dimension " + dim.to_string() + " is not a*B + c");
            return false;
        }
        extents.push_back(*extent);
    }
    return true;
}

// Which reductions and outputs need each member.
void Emitter::analyse_members() {
    for (std::size_t i = members_.size(); i-- > 0;) {
        const NodeId id = members_[i];
        std::set<NodeId>& sinks = sinks_[id];
        if (std::binary_search(stored_.begin(), stored_.end(), id)) sinks.insert(id);
        for (NodeId reader : info_.readers[id.index]) {
            if (!is_member(reader)) continue;
            if (reduces(reader)) {
                sinks.insert(reader);
            } else {
                sinks.insert(sinks_[reader].begin(), sinks_[reader].end());
            }
        }
    }
}

void Emitter::choose_outer() {
    anchor_ = stored_.back();
    for (NodeId id : members_) {
        if (reduces(id) || is_tiled(id)) anchor_ = id;
    }
    std::vector<Extent> extents;
    if (!to_extents(info_.function[anchor_].type.shape, extents)) return;
    if (is_tiled(anchor_)) {
        tile_ = info_.probes[anchor_.index].tile;
        for (std::size_t d = 0; d < extents.size(); ++d) {
            // A side is 1 along the batch.
            if (extents[d].is_static()) extents[d].constant = tiles_along(extents[d].constant, d);
        }
    }
    for (std::size_t d = 0; d < extents.size(); ++d) {
        const Extent& extent = extents[d];
        // Rows of a scatter are gone through one after the other.
        const bool inside = d == 0 && is_scattered(info_.function[anchor_]);
        if (extent == Extent{0, 1} || inside) {
            anchor_index_.push_back(0);
            continue;
        }
        outer_.push_back(add_axis(AxisKind::outer, extent));
        anchor_index_.push_back(Index::axis(outer_.back()));
    }
    kernel_.outer = outer_;
}

// Where a value of this shape lies about the outer axes: as the anchor (ones aside), or as the rows
// that the anchor reduces.
std::optional<Place> Emitter::frame_place(const Shape& shape) const {
    const Shape& anchor = info_.function[anchor_].type.shape;
    Place place;
    auto proper = [](const Shape& s) {
        Shape kept = s;
        std::erase(kept, Dim(1));
        return kept;
    };
    if (proper(shape) == proper(anchor)) {
        std::size_t next = 0;
        for (const Dim& dim : shape) {
            place.base.push_back(dim == Dim(1) ? Index(0) : Index::axis(outer_[next++]));
        }
        return place;
    }
    for (const Access& access : info_.probes[anchor_.index].reads) {
        const NodeId operand = info_.function[anchor_].inputs[access.operand];
        if (info_.function[operand].type.shape != shape || access.indirect >= 0) continue;
        for (std::size_t d = 0; d < shape.size(); ++d) {
            const Index& index = access.index[d];
            const bool is_axis = index.terms().size() == 1 && index.is_axis(index.terms()[0].axis);
            if (!is_axis && index != Index(0)) return std::nullopt;
            if (!is_axis) {
                place.base.push_back(0);
            } else if (index.terms()[0].axis < anchor.size()) {
                place.base.push_back(anchor_index_[index.terms()[0].axis]);
            } else {
                place.base.push_back(0);
                const std::optional<Extent> extent = shape[d].extent();
                if (!extent) return std::nullopt;
                place.own.push_back({d, *extent});
            }
        }
        return place;
    }
    return std::nullopt;
}

// About the outer axes, or where the other stages read it, or as another value of its shape.
std::optional<Place> Emitter::output_place(NodeId node) const {
    const Shape& shape = info_.function[node].type.shape;
    if (std::optional<Place> place = frame_place(shape)) return place;
    if (const auto found = demanded_.find(node); found != demanded_.end()) return found->second;
    for (const auto& [other, staged] : staged_) {
        if (info_.function[other].type.shape == shape) return staged.place;
    }
    return std::nullopt;
}

void Emitter::store_output(NodeId node) {
    if (const auto found = staged_.find(node); found != staged_.end()) {
        StagedValue& staged = found->second;
        store_to_param(node, staged.place, *staged.stage, staged.value);
        return;
    }
    const std::optional<Place> place = output_place(node);
    if (!place) {
        fail("an output whose shape does not fit the others");
        return;
    }
    StageRecord* home = nullptr;
    if (StagedValue* below = latest_below(node); below != nullptr && same_space(*place, *below)) {
        home = below->stage;
    } else {
        for (StageRecord* record : last_) {
            std::vector<Extent> extents;
            for (AxisId axis : record->axes) extents.push_back(kernel_.axes[axis].extent);
            const bool same =
                std::equal(extents.begin(), extents.end(), place->own.begin(), place->own.end(),
                           [](const Extent& a, const Place::Own& b) { return a == b.extent; });
            if (same) home = record;
        }
        if (home == nullptr) last_.push_back(home = &new_stage(*place, NodeId{}));
    }
    const std::vector<Index> index = index_at(*place, home->axes);
    store_to_param(node, *place, *home, value_at(node, index, *home, Outside::never));
}

void Emitter::store_to_param(NodeId node, const Place& place, StageRecord& stage, ScalarId value) {
    std::vector<Extent> shape;
    if (!to_extents(info_.function[node].type.shape, shape)) return;
    if (!covers_exactly(place, shape, outer_, axes())) {
        fail("an output that the kernel's axes do not cover exactly");
        return;
    }
    Store store;
    store.target = {Buffer::Kind::param, param_of(node, Direction::out)};
    store.index = index_at(place, stage.axes);
    store.value = value;
    stage.stage.stores.push_back(std::move(store));
}

std::uint32_t Emitter::param_of(NodeId node, Direction direction) {
    const bool written = direction == Direction::out;
    const auto next = static_cast<std::uint32_t>(kernel_.params.size());
    const auto [place, is_new] = params_.emplace(std::pair(node, written), next);
    if (!is_new) return place->second;
    Param param;
    param.direction = direction;
    param.dtype = info_.function[node].type.dtype;
    to_extents(info_.function[node].type.shape, param.dims);
    param.layout = written && is_member(node) && info_.function[node].layout.order.empty()
                       ? row_major(param.dims.size())
                   : written ? info_.function[node].layout
                             : layout_seen(info_, node);
    kernel_.params.push_back(std::move(param));
    bindings_.push_back({node, written});
    return next;
}

// An updated variable that the group also reads is one param, read before it is written.
void Emitter::merge_updated_variables() {
    const Function& function = info_.function;
    for (const Function::Update& update : function.updates) {
        const auto written = params_.find({update.value, true});
        if (written == params_.end()) continue;
        for (std::uint32_t p = 0; p < bindings_.size(); ++p) {
            if (bindings_[p].written) continue;
            const NodeId storage = *storage_of(info_, bindings_[p].value);
            const Node& leaf = function[storage];
            if (leaf.op != OpId::variable ||
                leaf.attributes.get<std::int64_t>("index") != std::int64_t{update.variable}) {
                continue;
            }
            StageRecord* last = sequence_.back();
            const Store* store = nullptr;
            for (const Store& each : last->stage.stores) {
                if (each.target == Buffer{Buffer::Kind::param, written->second}) store = &each;
            }
            if (store == nullptr || storage != bindings_[p].value) {
                fail("an updated variable is read elsewhere");
                return;
            }
            for (Read& read : kernel_.reads) {
                if (read.source != Buffer{Buffer::Kind::param, p}) continue;
                if (read.index != store->index || read.indirect >= 0) {
                    fail("an updated variable is read at another place");
                    return;
                }
                read.source.index = written->second;
            }
            kernel_.params[written->second].direction = Direction::inout;
        }
    }
}

Result<EmittedKernel> Emitter::run() {
    analyse_members();
    choose_outer();
    const bool scattered = is_scattered(info_.function[anchor_]);
    if (scattered && members_.size() > 1)
        return Error{kExitInternal, "a scatter in memory beside others"};
    if (scattered) store_scatter(anchor_);
    std::vector<NodeId> reductions{};
    for (NodeId id : members_) {
        if (reduces(id) && !scattered) reductions.push_back(id);
    }
    if (reductions.size() > kMostReductions)
        return Error{kExitInternal, "more reductions than a kernel should have"};
    if (!reductions.empty())
        std::rotate(reductions.begin(), reductions.end() - 1, reductions.end());
    for (NodeId id : reductions) {
        if (failure_ || staged_.count(id) > 0) continue;
        const std::optional<Place> place = frame_place(info_.function[id].type.shape);
        if (!place) {
            fail("reductions of different shapes");
        } else {
            stage_reduction(id, *place);
        }
    }
    if (!tile_.empty()) {
        if (!reductions.empty()) return Error{kExitInternal, "a reduction about tiles"};
        store_tiles();
    }
    for (NodeId id : stored_) {
        if (!failure_ && tile_.empty() && !scattered) store_output(id);
    }
    for (StageRecord* record : last_) finish(*record);
    if (!failure_) merge_updated_variables();
    if (failure_) return Error{kExitInternal, *failure_};
    for (StageRecord* record : sequence_) kernel_.stages.push_back(std::move(record->stage));
    compact(kernel_, bindings_);
    if (Status status = verify(kernel_); !status) return status.error();
    return EmittedKernel{std::move(kernel_), std::move(bindings_)};
}

Result<EmittedKernel> emit_group(const GroupInfo& info, const std::vector<NodeId>& members,
                                 const std::vector<NodeId>& stored) {
    if (stored.empty()) return Error{kExitInternal, "a group without outputs"};
    Emitter together(info, members, stored, true);
    Result<EmittedKernel> emitted = together.run();
    if (emitted || !together.has_siblings()) return emitted;
    return Emitter(info, members, stored, false).run();
}

}  // namespace netc
