// Kernels as text: printing. kernel_parse.cpp reads it back.
//
//     kernel {
//       param p0: in f32[B, 1, 28, 28] lanes
//       param p1: in f32[6, 1, 5, 5]
//       param p2: in f32[6]
//       param p3: out f32[B, 6, 14, 14] lanes
//       local l0: f32[2, 2]
//       outer (i0: B, i1: 6, i2: 14, i3: 14)
//       stage (j0: 2, j1: 2) {
//         reduce (k0: 1, k1: 5, k2: 5) sequential
//         guard 0 <= 2*i2 + j0 + k1 - 2 < 28
//         guard 0 <= 2*i3 + j1 + k2 - 2 < 28
//         state s0: f32 = 0
//         s0 -> fma(p0[i0, k0, 2*i2 + j0 + k1 - 2, 2*i3 + j1 + k2 - 2], p1[i1, k0, k1, k2], s0)
//         store l0[j0, j1] = tanh(s0 + p2[i1])
//       }
//       ...
//
// Names are canonical: p params, l locals, t tables, i outer, j own and k reduced axes in the order in
// which they are declared, s states, v values that are used more than once (a line `let v0 = ...` in
// the section that uses them). `s0'` is the right side of a merge.
#include <fmt/format.h>

#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "ir/kernel.h"

namespace netc {
namespace {

std::string text_of(Extent extent) {
    if (extent.is_static()) return std::to_string(extent.constant);
    std::string text = extent.per_batch == 1    ? "B"
                       : extent.per_batch == -1 ? "-B"
                                                : fmt::format("{}*B", extent.per_batch);
    if (extent.constant > 0) text += fmt::format(" + {}", extent.constant);
    if (extent.constant < 0) text += fmt::format(" - {}", -extent.constant);
    return text;
}

template <class Items, class Function>
std::string join(const Items& items, Function text_of_item) {
    std::string text;
    for (const auto& item : items) {
        if (!text.empty()) text += ", ";
        text += text_of_item(item);
    }
    return text;
}

// The shortest digits that read back as the same value. A float type's numbers hold a point, an
// exponent or letters, or stand for f32; other types are named.
std::string text_of_number(double value, DType type) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
    return type == DType::f32 ? fmt::format("{}", static_cast<float>(value))
                              : fmt::format("{}", value);
}

std::string text_of_constant(const Scalar& scalar) {
    if (scalar.type == DType::b1) return scalar.integer != 0 ? "true" : "false";
    const std::string text = is_float(scalar.type) ? text_of_number(scalar.number, scalar.type)
                                                   : std::to_string(scalar.integer);
    return scalar.type == DType::f32 ? text : fmt::format("{}:{}", text, name_of(scalar.type));
}

class Printer {
public:
    explicit Printer(const Kernel& kernel) : kernel_(kernel) {}

    std::string print() {
        name_axes();
        text_ = "kernel {\n";
        for (std::size_t k = 0; k < kernel_.params.size(); ++k) param(k);
        for (std::size_t k = 0; k < kernel_.locals.size(); ++k) {
            const Local& local = kernel_.locals[k];
            text_ += fmt::format("  local l{}: {}[{}]\n", k, name_of(local.dtype),
                                 join(local.dims, [](auto dim) { return std::to_string(dim); }));
        }
        for (std::size_t k = 0; k < kernel_.tables.size(); ++k) {
            text_ += fmt::format("  table t{}: [{}]\n", k, join(kernel_.tables[k], [](double x) {
                                     return text_of_number(x, DType::f64);
                                 }));
        }
        text_ += fmt::format("  outer ({})\n", axes(kernel_.outer));
        for (const Stage& each : kernel_.stages) stage(each);
        return text_ + "}\n";
    }

private:
    void name_axes() {
        canonical_.assign(kernel_.axes.size(), std::nullopt);
        int outer = 0, own = 0, reduced = 0;
        const auto name = [this](AxisId axis, char letter, int& count) {
            if (axis >= canonical_.size() || canonical_[axis]) return;
            canonical_[axis] = static_cast<AxisId>(names_.size());
            names_.push_back(fmt::format("{}{}", letter, count++));
        };
        for (AxisId axis : kernel_.outer) name(axis, 'i', outer);
        for (const Stage& each : kernel_.stages) {
            for (AxisId axis : each.axes) name(axis, 'j', own);
            if (!each.reduction) continue;
            for (AxisId axis : each.reduction->axes) name(axis, 'k', reduced);
        }
    }

    std::string axis_name(AxisId axis) const {
        if (axis >= canonical_.size() || !canonical_[axis]) return fmt::format("unknown{}", axis);
        return names_[*canonical_[axis]];
    }

    // In the canonical numbering of axes, so that the order of terms is canonical too.
    std::string index(const Index& index) const {
        const Index renumbered = index.substitute([this](AxisId axis) -> std::optional<Index> {
            if (axis >= canonical_.size() || !canonical_[axis]) {
                return Index::axis(axis + static_cast<AxisId>(names_.size()));
            }
            return Index::axis(*canonical_[axis]);
        });
        return renumbered.to_string([this](AxisId axis) {
            return axis < names_.size() ? names_[axis]
                                        : fmt::format("unknown{}", axis - names_.size());
        });
    }

    std::string axes(const std::vector<AxisId>& list) const {
        return join(list, [this](AxisId axis) {
            const Extent extent = axis < kernel_.axes.size() ? kernel_.axes[axis].extent : Extent{};
            return axis_name(axis) + ": " + text_of(extent);
        });
    }

    void param(std::size_t number) {
        const Param& param = kernel_.params[number];
        const char* direction = param.direction == Direction::in    ? "in"
                                : param.direction == Direction::out ? "out"
                                                                    : "inout";
        text_ += fmt::format("  param p{}: {} {}[{}]", number, direction, name_of(param.dtype),
                             join(param.dims, text_of));
        if (param.layout.lanes) text_ += " lanes";
        if (param.layout.order != row_major(param.dims.size()).order) {
            text_ += fmt::format(" order({})", join(param.layout.order,
                                                    [](auto dim) { return std::to_string(dim); }));
        }
        if (param.layout.extra != 0) text_ += fmt::format(" extra({})", param.layout.extra);
        text_ += "\n";
    }

    static std::string name(Buffer buffer) {
        return fmt::format("{}{}", buffer.kind == Buffer::Kind::param ? "p" : "l", buffer.index);
    }

    std::string element(Buffer buffer, const std::vector<Index>& position, std::int32_t indirect,
                        ScalarId where) {
        std::string text;
        for (std::size_t dim = 0; dim < position.size(); ++dim) {
            if (dim != 0) text += ", ";
            text += static_cast<std::int32_t>(dim) == indirect
                        ? fmt::format("at({})", value(where, 0))
                        : index(position[dim]);
        }
        return fmt::format("{}[{}]", name(buffer), text);
    }

    void stage(const Stage& stage) {
        text_ += fmt::format("  stage ({}) {{\n", axes(stage.axes));
        if (stage.reduction) reduction(*stage.reduction);
        std::vector<ScalarId> roots;
        for (const Store& store : stage.stores) {
            if (store.indirect >= 0) roots.push_back(store.position);
            roots.push_back(store.value);
        }
        section(roots);
        for (const Store& store : stage.stores) {
            std::string target = element(store.target, store.index, store.indirect, store.position);
            if (store.clipped) target = "clipped(" + target + ")";
            line(fmt::format("{} {} {} {}", store.indirect >= 0 ? "scatter" : "store", target,
                             store.indirect >= 0 ? "+=" : "=", value(store.value, 0)));
        }
        text_ += "  }\n";
    }

    void reduction(const Reduction& reduction) {
        const Order& order = reduction.order;
        const std::string order_text =
            order.kind == OrderKind::sequential ? "sequential"
            : order.kind == OrderKind::blocked  ? fmt::format("blocked({})", order.leaf)
            : order.leaf > 0 ? fmt::format("lanes({}, {})", axis_name(order.lane_axis), order.leaf)
                             : fmt::format("lanes({})", axis_name(order.lane_axis));
        line(fmt::format("reduce ({}) {}", axes(reduction.axes), order_text));
        for (const Guard& guard : reduction.guards) {
            if (guard.divisor == 1) {
                line(fmt::format("guard 0 <= {} < {}", index(guard.index), text_of(guard.limit)));
            } else {
                line(fmt::format("guard 0 <= ({}) / {} < {}", index(guard.index), guard.divisor,
                                 text_of(guard.limit)));
            }
        }
        for (std::size_t k = 0; k < reduction.states.size(); ++k) {
            const StateVariable& state = reduction.states[k];
            line(fmt::format("state s{}: {} = {}", k, name_of(state.dtype),
                             text_of_number(state.identity, state.dtype)));
        }
        updates(reduction.step);
        if (reduction.merge.empty()) return;
        line("merge");
        updates(reduction.merge);
    }

    void updates(const std::vector<ScalarId>& values) {
        section(values);
        for (std::size_t k = 0; k < values.size(); ++k) {
            line(fmt::format("s{} -> {}", k, value(values[k], 0)));
        }
    }

    void line(const std::string& text) { text_ += "    " + text + "\n"; }

    // Names what the roots use more than once, and prints those lines.
    void section(const std::vector<ScalarId>& roots) {
        uses_.clear();
        named_.clear();
        for (ScalarId root : roots) count(root);
        std::set<ScalarId> done;
        for (ScalarId root : roots) define(root, done);
    }

    void for_operands(ScalarId id, const auto& function) {
        const Scalar& scalar = kernel_.scalars[id];
        if (scalar.op == ScalarOp::read) {
            const Read& read = kernel_.reads[static_cast<std::size_t>(scalar.integer)];
            if (read.indirect >= 0) function(read.position);
        }
        for (ScalarId operand : scalar.operands) function(operand);
    }

    void count(ScalarId id) {
        if (id >= kernel_.scalars.size()) return;
        if (++uses_[id] == 1) for_operands(id, [this](ScalarId operand) { count(operand); });
    }

    bool is_leaf(ScalarId id) const {
        const Scalar& scalar = kernel_.scalars[id];
        return scalar.op == ScalarOp::constant || scalar.op == ScalarOp::state ||
               scalar.op == ScalarOp::other || scalar.op == ScalarOp::batch;
    }

    void define(ScalarId id, std::set<ScalarId>& done) {
        if (id >= kernel_.scalars.size() || !done.insert(id).second) return;
        for_operands(id, [&](ScalarId operand) { define(operand, done); });
        if (uses_[id] < 2 || is_leaf(id)) return;
        const std::string definition = value(id, 0);
        named_[id] = fmt::format("v{}", values_++);
        line(fmt::format("let {} = {}", named_[id], definition));
    }

    // strength: 0 anything may stand here, 1 a term of a sum, 2 a factor, 3 an atom.
    std::string value(ScalarId id, int strength) {
        if (id >= kernel_.scalars.size()) return "none";
        if (auto it = named_.find(id); it != named_.end()) return it->second;
        const Scalar& scalar = kernel_.scalars[id];
        const auto infix = [&](const char* sign, int own, int left, int right) {
            const std::string text =
                value(scalar.operands[0], left) + sign + value(scalar.operands[1], right);
            return strength > own ? "(" + text + ")" : text;
        };
        if (scalar.op == ScalarOp::add) {
            const ScalarId right = scalar.operands[1];
            if (kernel_.scalars[right].op == ScalarOp::neg && !named_.contains(right)) {
                const std::string text = value(scalar.operands[0], 0) + " - " +
                                         value(kernel_.scalars[right].operands[0], 1);
                return strength > 0 ? "(" + text + ")" : text;
            }
            return infix(" + ", 0, 0, 1);
        }
        if (scalar.op == ScalarOp::mul) return infix(" * ", 1, 1, 2);
        if (scalar.op == ScalarOp::div) return infix(" / ", 1, 1, 2);
        return atom(scalar);
    }

    std::string atom(const Scalar& scalar) {
        const auto operands = [&] {
            return join(scalar.operands, [this](ScalarId operand) { return value(operand, 0); });
        };
        const auto number = static_cast<std::size_t>(scalar.integer);
        if (scalar.op == ScalarOp::constant) return text_of_constant(scalar);
        if (scalar.op == ScalarOp::state) return fmt::format("s{}", scalar.integer);
        if (scalar.op == ScalarOp::other) return fmt::format("s{}'", scalar.integer);
        if (scalar.op == ScalarOp::batch) return "B";
        if (scalar.op == ScalarOp::index) {
            return fmt::format("index({}, {})", index(kernel_.indices[number]),
                               name_of(scalar.type));
        }
        if (scalar.op == ScalarOp::read) {
            const Read& read = kernel_.reads[number];
            const std::string text = element(read.source, read.index, read.indirect, read.position);
            return read.outside == Outside::zero ? "padded(" + text + ")" : text;
        }
        if (scalar.op == ScalarOp::lookup) {
            return fmt::format("lookup(t{}, {}, {})", scalar.integer, operands(),
                               name_of(scalar.type));
        }
        if (scalar.op == ScalarOp::cast || scalar.op == ScalarOp::bitcast) {
            return fmt::format("{}({}, {})", name_of(scalar.op), operands(), name_of(scalar.type));
        }
        if (scalar.op == ScalarOp::philox) {
            return fmt::format("philox({}, {})", operands(), scalar.integer);
        }
        return fmt::format("{}({})", name_of(scalar.op), operands());
    }

    const Kernel& kernel_;
    std::string text_;
    std::vector<std::optional<AxisId>> canonical_;
    std::vector<std::string> names_;  // by canonical number
    std::map<ScalarId, int> uses_;
    std::map<ScalarId, std::string> named_;
    int values_ = 0;
};

}  // namespace

std::string to_text(const Kernel& kernel) { return Printer(kernel).print(); }

}  // namespace netc
