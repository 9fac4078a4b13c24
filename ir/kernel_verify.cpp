// What every maker of kernels must keep: see `verify` in kernel.h. Ranges are checked at a few batches,
// where all extents are numbers.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "ir/kernel.h"
#include "ir/kernel_injective.h"

namespace netc {
namespace {

constexpr std::int64_t kBatches[] = {1, 2, 16, 35};

class Verifier {
public:
    explicit Verifier(const Kernel& kernel) : kernel_(kernel) {}

    Status verify() {
        for (std::size_t k = 0; k < kernel_.params.size(); ++k) param(k);
        for (std::size_t k = 0; k < kernel_.locals.size(); ++k) {
            for (std::int64_t dim : kernel_.locals[k].dims) {
                check(dim > 0, "l{} has a dim of {}", k, dim);
            }
        }
        for (AxisId axis : kernel_.outer) use_axis(axis, AxisKind::outer);
        for (const std::vector<double>& table : kernel_.tables) {
            check(table.size() == 32, "a table has {} constants, not 32", table.size());
        }
        for (number_ = 0; number_ < kernel_.stages.size() && message_.empty(); ++number_) {
            stage(kernel_.stages[number_]);
        }
        if (message_.empty()) return {};
        return Error{.status = kExitInternal,
                     .message = fmt::format("kernel does not verify: {}", message_)};
    }

private:
    // The part of a stage that an expression stands in.
    enum class Part { step, merge, store };

    template <class... Arguments>
    void check(bool holds, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
        if (holds || !message_.empty()) return;
        message_ = fmt::format(format, std::forward<Arguments>(arguments)...);
        if (number_ < kernel_.stages.size())
            message_ = fmt::format("stage {}: {}", number_, message_);
    }

    void param(std::size_t k) {
        const Param& param = kernel_.params[k];
        std::vector<std::int32_t> order = param.layout.order;
        std::sort(order.begin(), order.end());
        check(order == row_major(param.dims.size()).order,
              "the order of p{} is no permutation of its {} dims", k, param.dims.size());
        const auto dynamic = std::count_if(param.dims.begin(), param.dims.end(),
                                           [](Extent dim) { return !dim.is_static(); });
        check(dynamic <= 1, "{} dims of p{} depend on the batch", dynamic, k);
        check(!param.layout.lanes || (!param.dims.empty() && param.layout.order[0] == 0),
              "p{} has batch lanes, but dim 0 is not the outermost", k);
        check(param.layout.extra >= 0 && (param.layout.extra == 0 || param.dims.size() >= 2),
              "p{} has {} extra elements on {} dims", k, param.layout.extra, param.dims.size());
    }

    void use_axis(AxisId axis, AxisKind kind) {
        if (axis >= kernel_.axes.size()) return check(false, "axis {} does not exist", axis);
        check(kernel_.axes[axis].kind == kind, "axis {} is declared as another kind", axis);
        check(used_.insert(axis).second, "axis {} is listed twice", axis);
        check(kernel_.axes[axis].extent.at(1) >= 0, "axis {} has a negative extent", axis);
    }

    void stage(const Stage& stage) {
        own_ = stage.axes;
        reduction_ = stage.reduction ? &*stage.reduction : nullptr;
        for (AxisId axis : stage.axes) use_axis(axis, AxisKind::parallel);
        if (reduction_ != nullptr) reduction(*reduction_);
        check(!stage.stores.empty(), "stores nothing");
        for (const Store& each : stage.stores) {
            if (message_.empty()) store(each);
        }
        for (const Store& each : stage.stores) {
            if (each.target.kind == Buffer::Kind::local) written_.insert(each.target.index);
        }
    }

    void reduction(const Reduction& reduction) {
        for (AxisId axis : reduction.axes) use_axis(axis, AxisKind::reduced);
        const std::size_t states = reduction.states.size();
        check(states > 0, "reduces nothing");
        check(reduction.step.size() == states, "{} states, {} steps", states,
              reduction.step.size());
        const Order& order = reduction.order;
        const bool sequential = order.kind == OrderKind::sequential;
        check(reduction.merge.size() == states || (sequential && reduction.merge.empty()),
              "{} states, {} merges, and the order is {}", states, reduction.merge.size(),
              sequential ? "sequential" : "not sequential");
        check(order.kind != OrderKind::lanes ||
                  std::count(reduction.axes.begin(), reduction.axes.end(), order.lane_axis) == 1,
              "the lane axis is not reduced");
        check(order.kind != OrderKind::lanes || order.leaf == 0 ||
                  (order.leaf > 0 && reduction.axes[0] == order.lane_axis),
              "the lane axis is not the first, and has leaves");
        check(order.kind != OrderKind::blocked || (order.leaf > 0 && !reduction.axes.empty()),
              "blocked wants a leaf and an axis");
        for (const Guard& guard : reduction.guards) {
            check(guard.divisor > 0, "a guard divides by {}", guard.divisor);
            index(guard.index, Part::step);
        }
        values(reduction.step, Part::step);
        values(reduction.merge, Part::merge);
    }

    void values(const std::vector<ScalarId>& roots, Part part) {
        for (std::size_t k = 0; k < roots.size() && message_.empty(); ++k) {
            value(roots[k], part);
            if (!message_.empty()) return;
            check(kernel_.scalars.type(roots[k]) == reduction_->states[k].dtype,
                  "s{} is {}, its new value {}", k, name_of(reduction_->states[k].dtype),
                  name_of(kernel_.scalars.type(roots[k])));
        }
    }

    void value(ScalarId root, Part part) {
        std::set<ScalarId> seen;
        value(root, part, seen);
    }

    void value(ScalarId id, Part part, std::set<ScalarId>& seen) {
        check(id < kernel_.scalars.size(), "a value is missing");
        if (!message_.empty() || !seen.insert(id).second) return;
        const Scalar& scalar = kernel_.scalars[id];
        const std::string wrong = type_error(kernel_.scalars, id);
        check(wrong.empty(), "{}", wrong);
        const auto number = static_cast<std::size_t>(scalar.integer);
        if (scalar.op == ScalarOp::state || scalar.op == ScalarOp::other) {
            const bool exists = reduction_ != nullptr && number < reduction_->states.size();
            check(exists, "reads state {}, which does not exist", scalar.integer);
            check(scalar.op == ScalarOp::state || part == Part::merge,
                  "reads the right side outside of a merge");
            check(!exists || scalar.type == reduction_->states[number].dtype,
                  "reads s{} with another type", scalar.integer);
        }
        if (scalar.op == ScalarOp::lookup) {
            check(number < kernel_.tables.size(), "reads table {}, which does not exist",
                  scalar.integer);
        }
        if (scalar.op == ScalarOp::index) {
            check(number < kernel_.indices.size(), "an index is missing");
            if (message_.empty()) index(kernel_.indices[number], part);
        }
        if (scalar.op == ScalarOp::read) {
            check(number < kernel_.reads.size(), "a read is missing");
            if (message_.empty()) read(kernel_.reads[number], scalar.type, part, seen);
        }
        for (ScalarId operand : scalar.operands) {
            if (message_.empty()) value(operand, part, seen);
        }
    }

    void read(const Read& read, DType type, Part part, std::set<ScalarId>& seen) {
        check(part != Part::merge, "a merge reads a buffer");
        const std::string name = name_of_buffer(read.source);
        if (!exists(read.source)) return check(false, "{} does not exist", name);
        check(type == dtype_of(read.source), "reads {} with another type", name);
        if (read.source.kind == Buffer::Kind::local) {
            check(written_.contains(read.source.index), "reads {} before it is written", name);
        } else {
            check(kernel_.params[read.source.index].direction != Direction::out,
                  "reads {}, which is only written", name);
        }
        element(read.source, read.index, read.indirect, read.outside == Outside::zero, part);
        if (read.indirect < 0 || !message_.empty()) return;
        value(read.position, part, seen);
        if (!message_.empty()) return;
        check(is_int(kernel_.scalars.type(read.position)), "the position in {} is no integer",
              name);
    }

    void store(const Store& store) {
        const std::string name = name_of_buffer(store.target);
        if (!exists(store.target)) return check(false, "{} does not exist", name);
        value(store.value, Part::store);
        if (!message_.empty()) return;
        check(kernel_.scalars.type(store.value) == dtype_of(store.target), "stores {} into {}",
              name_of(kernel_.scalars.type(store.value)), name);
        if (store.target.kind == Buffer::Kind::param) {
            check(kernel_.params[store.target.index].direction != Direction::in,
                  "stores into {}, which is only read", name);
        }
        element(store.target, store.index, store.indirect, store.clipped, Part::store);
        if (!message_.empty()) return;
        if (store.indirect >= 0) {
            value(store.position, Part::store);
            check(is_int(kernel_.scalars.type(store.position)), "the position in {} is no integer",
                  name);
            return;
        }
        std::vector<AxisId> axes = own_;
        if (store.target.kind == Buffer::Kind::param) {
            axes.insert(axes.begin(), kernel_.outer.begin(), kernel_.outer.end());
        }
        check(is_injective(kernel_, store.index, axes), "the store into {} writes an element twice",
              name);
    }

    // An index per dim, over axes that live here, inside of the buffer.
    void element(Buffer buffer, const std::vector<Index>& position, std::int32_t indirect,
                 bool padded, Part part) {
        const std::string name = name_of_buffer(buffer);
        const std::vector<Extent> dims = dims_of(buffer);
        check(position.size() == dims.size(), "{} has {} dims, is indexed with {}", name,
              dims.size(), position.size());
        check(indirect < static_cast<std::int32_t>(dims.size()), "{} has no dim {}", name,
              indirect);
        for (std::size_t k = 0; k < dims.size() && message_.empty(); ++k) {
            if (static_cast<std::int32_t>(k) == indirect) continue;
            index(position[k], part);
            if (!message_.empty()) return;
            if (!padded) inside(name, k, position[k], dims[k], part);
        }
        if (!message_.empty() || buffer.kind == Buffer::Kind::local) return;
        if (!kernel_.params[buffer.index].layout.lanes) return;
        const auto& terms = position[0].terms();
        check(indirect != 0 && terms.size() == 1 && position[0].is_axis(terms[0].axis) &&
                  kernel_.axes[terms[0].axis].extent == dims[0],
              "{} has batch lanes: its first index must be one axis of the same extent", name);
    }

    void index(const Index& index, Part part) {
        for (AxisId axis = 0; axis < kernel_.axes.size(); ++axis) {
            if (!index.depends_on(axis)) continue;
            const auto in = [axis](const std::vector<AxisId>& list) {
                return std::find(list.begin(), list.end(), axis) != list.end();
            };
            const bool reduced =
                part == Part::step && reduction_ != nullptr && in(reduction_->axes);
            check(part != Part::merge && (in(kernel_.outer) || in(own_) || reduced),
                  "uses axis {} where it does not live", axis);
        }
    }

    void inside(const std::string& name, std::size_t dim, const Index& index, Extent extent,
                Part part) {
        if (part == Part::step) {
            for (const Guard& guard : reduction_->guards) {
                for (AxisId axis = 0; axis < kernel_.axes.size(); ++axis) {
                    if (guard.index.depends_on(axis) && index.depends_on(axis)) return;
                }
            }
        }
        for (std::int64_t batch : kBatches) {
            const auto range = range_of(index, [&](AxisId axis) {
                return std::optional<std::int64_t>(kernel_.axes[axis].extent.at(batch));
            });
            check(range && range->low >= 0 &&
                      range->high < std::max<std::int64_t>(extent.at(batch), 1),
                  "dim {} of {} has {} elements, its index runs from {} to {} (batch {})", dim,
                  name, extent.at(batch), range ? range->low : 0, range ? range->high : 0, batch);
        }
    }

    bool exists(Buffer buffer) const {
        return buffer.index <
               (buffer.kind == Buffer::Kind::param ? kernel_.params.size() : kernel_.locals.size());
    }
    DType dtype_of(Buffer buffer) const {
        return buffer.kind == Buffer::Kind::param ? kernel_.params[buffer.index].dtype
                                                  : kernel_.locals[buffer.index].dtype;
    }
    std::vector<Extent> dims_of(Buffer buffer) const {
        if (buffer.kind == Buffer::Kind::param) return kernel_.params[buffer.index].dims;
        std::vector<Extent> dims;
        for (std::int64_t dim : kernel_.locals[buffer.index].dims) dims.push_back({0, dim});
        return dims;
    }
    static std::string name_of_buffer(Buffer buffer) {
        return fmt::format("{}{}", buffer.kind == Buffer::Kind::param ? 'p' : 'l', buffer.index);
    }

    const Kernel& kernel_;
    std::string message_;
    std::size_t number_ = SIZE_MAX;  // of the stage
    std::vector<AxisId> own_;
    const Reduction* reduction_ = nullptr;
    std::set<AxisId> used_;
    std::set<std::uint32_t> written_;
};

}  // namespace

Status verify(const Kernel& kernel) { return Verifier(kernel).verify(); }

}  // namespace netc
