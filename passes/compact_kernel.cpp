// Drops from a kernel what none of its stored params needs, and numbers the rest in order of use: the
// substitution routine leaves values behind that it decided not to use.

#include <algorithm>

#include "passes/emitter.h"

namespace netc {
namespace {

// Marks what is needed, from the stores to params upward.
struct Liveness {
    const Kernel& kernel;
    std::vector<bool> scalar, read, local, param;

    explicit Liveness(const Kernel& k)
        : kernel(k), scalar(k.scalars.size()), read(k.reads.size()), local(k.locals.size()),
          param(k.params.size()) {
        // Stages read only what earlier ones store, so one sweep from the last is enough.
        for (std::size_t s = kernel.stages.size(); s-- > 0;) mark(kernel.stages[s]);
    }

    bool live(const Store& store) const {
        return store.target.kind == Buffer::Kind::param || local[store.target.index];
    }
    bool live(const Stage& stage) const {
        return std::any_of(stage.stores.begin(), stage.stores.end(),
                           [&](const Store& store) { return live(store); });
    }

private:
    void mark(const Stage& stage) {
        if (!live(stage)) return;
        for (const Store& store : stage.stores) {
            if (!live(store)) continue;
            if (store.target.kind == Buffer::Kind::param) param[store.target.index] = true;
            mark(store.value);
            mark(store.position);
        }
        if (!stage.reduction) return;
        for (ScalarId id : stage.reduction->step) mark(id);
        for (ScalarId id : stage.reduction->merge) mark(id);
    }

    void mark(ScalarId id) {
        if (id == kNoScalar || scalar[id]) return;
        scalar[id] = true;
        const Scalar& s = kernel.scalars[id];
        for (ScalarId operand : s.operands) mark(operand);
        if (s.op != ScalarOp::read) return;
        const auto number = static_cast<std::size_t>(s.integer);
        read[number] = true;
        const Read& r = kernel.reads[number];
        (r.source.kind == Buffer::Kind::param ? param : local)[r.source.index] = true;
        mark(r.position);
    }
};

std::vector<std::uint32_t> renumber(const std::vector<bool>& live) {
    std::vector<std::uint32_t> numbers(live.size());
    std::uint32_t next = 0;
    for (std::size_t i = 0; i < live.size(); ++i) {
        if (live[i]) numbers[i] = next++;
    }
    return numbers;
}

class Compactor {
public:
    explicit Compactor(const Kernel& old)
        : old_(old), live_(old), params_(renumber(live_.param)), locals_(renumber(live_.local)),
          axes_(old.axes.size(), UINT32_MAX), scalars_(old.scalars.size(), kNoScalar),
          reads_(old.reads.size(), UINT32_MAX) {}

    Kernel run() {
        for (std::size_t i = 0; i < old_.params.size(); ++i) {
            if (live_.param[i]) fresh_.params.push_back(old_.params[i]);
        }
        for (std::size_t i = 0; i < old_.locals.size(); ++i) {
            if (live_.local[i]) fresh_.locals.push_back(old_.locals[i]);
        }
        fresh_.tables = old_.tables;
        for (AxisId axis : old_.outer) fresh_.outer.push_back(moved(axis));
        for (const Stage& stage : old_.stages) {
            if (live_.live(stage)) fresh_.stages.push_back(moved(stage));
        }
        return std::move(fresh_);
    }
    const std::vector<bool>& live_params() const { return live_.param; }

private:
    AxisId moved(AxisId axis) {
        if (axes_[axis] == UINT32_MAX) {
            axes_[axis] = static_cast<AxisId>(fresh_.axes.size());
            fresh_.axes.push_back(old_.axes[axis]);
        }
        return axes_[axis];
    }
    Index moved(const Index& index) {
        return index.substitute([&](AxisId axis) { return Index::axis(moved(axis)); });
    }
    Buffer moved(Buffer buffer) const {
        buffer.index = (buffer.kind == Buffer::Kind::param ? params_ : locals_)[buffer.index];
        return buffer;
    }
    std::uint32_t moved_read(std::size_t number) {
        if (reads_[number] != UINT32_MAX) return reads_[number];
        Read read = old_.reads[number];
        read.source = moved(read.source);
        for (Index& index : read.index) index = moved(index);
        read.position = moved_scalar(read.position);
        reads_[number] = static_cast<std::uint32_t>(fresh_.reads.size());
        fresh_.reads.push_back(std::move(read));
        return reads_[number];
    }
    std::int64_t moved_index(std::size_t number) {
        const Index index = moved(old_.indices[number]);
        const auto found = std::find(fresh_.indices.begin(), fresh_.indices.end(), index);
        const auto place = found - fresh_.indices.begin();
        if (found == fresh_.indices.end()) fresh_.indices.push_back(index);
        return place;
    }
    ScalarId moved_scalar(ScalarId id) {
        if (id == kNoScalar || scalars_[id] != kNoScalar)
            return id == kNoScalar ? id : scalars_[id];
        Scalar scalar = old_.scalars[id];
        for (ScalarId& operand : scalar.operands) operand = moved_scalar(operand);
        if (scalar.op == ScalarOp::read) {
            scalar.integer = moved_read(static_cast<std::size_t>(scalar.integer));
        } else if (scalar.op == ScalarOp::index) {
            scalar.integer = moved_index(static_cast<std::size_t>(scalar.integer));
        }
        return scalars_[id] = fresh_.scalars.add_node(std::move(scalar));
    }
    Stage moved(const Stage& old) {
        Stage stage;
        for (AxisId axis : old.axes) stage.axes.push_back(moved(axis));
        if (old.reduction) {
            Reduction r = *old.reduction;
            for (AxisId& axis : r.axes) axis = moved(axis);
            if (r.order.kind == OrderKind::lanes) r.order.lane_axis = moved(r.order.lane_axis);
            for (ScalarId& id : r.step) id = moved_scalar(id);
            for (ScalarId& id : r.merge) id = moved_scalar(id);
            for (Guard& guard : r.guards) guard.index = moved(guard.index);
            stage.reduction = std::move(r);
        }
        for (const Store& old_store : old.stores) {
            if (!live_.live(old_store)) continue;
            Store store = old_store;
            store.target = moved(store.target);
            for (Index& index : store.index) index = moved(index);
            store.value = moved_scalar(store.value);
            store.position = moved_scalar(store.position);
            stage.stores.push_back(std::move(store));
        }
        return stage;
    }

    const Kernel& old_;
    Liveness live_;
    std::vector<std::uint32_t> params_, locals_;
    std::vector<AxisId> axes_;
    std::vector<ScalarId> scalars_;
    std::vector<std::uint32_t> reads_;
    Kernel fresh_;
};

}  // namespace

void compact(Kernel& kernel, std::vector<Binding>& bindings) {
    Compactor compactor(kernel);
    Kernel fresh = compactor.run();
    std::vector<Binding> kept;
    for (std::size_t i = 0; i < bindings.size(); ++i) {
        if (compactor.live_params()[i]) kept.push_back(bindings[i]);
    }
    bindings = std::move(kept);
    kernel = std::move(fresh);
}

}  // namespace netc
