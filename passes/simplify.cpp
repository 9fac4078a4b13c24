#include "passes/simplify.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "ir/op_def.h"
#include "passes/exchange_pooling.h"
#include "passes/rewrite.h"

namespace netc {
namespace {

// The number that fills a constant node.
std::optional<double> filled_with(const Function& function, NodeId id) {
    const Node& node = function[id];
    if (node.op == OpId::constant) return node.attributes.get<double>("value");
    if (node.op == OpId::broadcast || node.op == OpId::reshape) {
        return filled_with(function, node.inputs[0]);
    }
    return std::nullopt;
}

NodeId fill(Rebuilder& to, double value, const Node& like) {
    return to.append(OpId::constant, {},
                     {{"value", value}, {"shape", like.type.shape}, {"dtype", like.type.dtype}},
                     like.type, like.origin);
}

bool is_power_of_two(double value) {
    int exponent = 0;
    return std::isnormal(value) && std::abs(std::frexp(value, &exponent)) == 0.5 &&
           std::abs(exponent) < 100;
}

// x*1, x/1, x + -0, x - 0, x^1, x^2, x^0.5, x / 2^k.
std::optional<NodeId> identity(Rebuilder& to, const Node& node) {
    if (node.inputs.size() != 2) return std::nullopt;
    const Function& f = to.result();
    const std::optional<double> left = filled_with(f, node.inputs[0]);
    const std::optional<double> right = filled_with(f, node.inputs[1]);
    const NodeId x = node.inputs[0];
    const bool negative_zero = right && *right == 0 && std::signbit(*right);
    switch (node.op) {
        case OpId::mul:
            if (right == 1.0) return x;
            if (left == 1.0) return node.inputs[1];
            return std::nullopt;
        case OpId::add:
            if (negative_zero || (right == 0.0 && !is_float(node.type.dtype))) return x;
            return std::nullopt;
        case OpId::sub:
            if (right == 0.0 && !negative_zero) return x;
            return std::nullopt;
        case OpId::div:
            if (!is_float(node.type.dtype) || !right) return std::nullopt;
            if (*right == 1.0) return x;
            if (is_power_of_two(*right)) {
                return to.append(OpId::mul, {x, fill(to, 1.0 / *right, node)}, {}, node.type,
                                 node.origin);
            }
            return std::nullopt;
        case OpId::pow:
            if (right == 1.0) return x;
            if (right == 2.0) return to.append(OpId::mul, {x, x}, {}, node.type, node.origin);
            if (right == 0.5) return to.append(OpId::sqrt, {x}, {}, node.type, node.origin);
            return std::nullopt;
        default: return std::nullopt;  // every other operator: no identity of two operands here
    }
}

// neg(neg x), cast to the same type, a view that changes nothing, a copy without layouts.
std::optional<NodeId> no_change(Rebuilder& to, const Node& node) {
    if (node.inputs.empty()) return std::nullopt;
    const Node& x = to.result()[node.inputs[0]];
    const bool same_type = x.type == node.type;
    switch (node.op) {
        case OpId::neg:
            if (x.op == OpId::neg) return x.inputs[0];
            return std::nullopt;
        case OpId::cast:
        case OpId::reshape:
        case OpId::ascribe:
        case OpId::broadcast:
        case OpId::copy:
        case OpId::slice:
        case OpId::pad:
            if (same_type && node.layout.order.empty()) return node.inputs[0];
            return std::nullopt;
        case OpId::stop_gradient: return std::nullopt;
        case OpId::concat:
            if (node.inputs.size() == 1) return node.inputs[0];
            return std::nullopt;
        case OpId::permute: {
            const auto& order = node.attributes.get<std::vector<std::int64_t>>("order");
            for (std::size_t i = 0; i < order.size(); ++i) {
                if (order[i] != static_cast<std::int64_t>(i)) return std::nullopt;
            }
            return node.inputs[0];
        }
        case OpId::reduce_sum:
        case OpId::reduce_max:
            if (node.attributes.get<std::vector<std::int64_t>>("axes").empty())
                return node.inputs[0];
            return std::nullopt;
        default: return std::nullopt;
    }
}

// Views of views, and views of constants.
std::optional<NodeId> view_of_view(Rebuilder& to, const Node& node) {
    if (node.inputs.size() != 1) return std::nullopt;
    const Node x = to.result()[node.inputs[0]];
    const bool view = node.op == OpId::reshape || node.op == OpId::broadcast ||
                      node.op == OpId::permute || node.op == OpId::slice;
    if (view && x.op == OpId::constant) {
        return fill(to, x.attributes.get<double>("value"), node);
    }
    if (node.op == OpId::reshape && x.op == OpId::reshape) {
        return to.append(OpId::reshape, {x.inputs[0]}, node.attributes, node.type, node.origin);
    }
    if (node.op == OpId::broadcast && x.op == OpId::broadcast) {
        return to.append(OpId::broadcast, {x.inputs[0]}, node.attributes, node.type, node.origin);
    }
    if (node.op == OpId::permute && x.op == OpId::permute) {
        std::vector<std::int64_t> order;
        for (std::int64_t axis : node.attributes.get<std::vector<std::int64_t>>("order")) {
            order.push_back(x.attributes.get<std::vector<std::int64_t>>(
                "order")[static_cast<std::size_t>(axis)]);
        }
        return to.append(OpId::permute, {x.inputs[0]}, {{"order", order}}, node.type, node.origin);
    }
    return std::nullopt;
}

// Sums of sums of whole rows, as a bias that is added in every step of a loop has in its gradient: one sum reads memory
// in longer runs, and is more often the same as another. Sums along rows are left to the kernels that have the rows at hand.
std::optional<NodeId> sum_of_sums(Rebuilder& to, const Node& node) {
    if (node.op != OpId::reduce_sum) return std::nullopt;
    const Node inner = to.result()[node.inputs[0]];
    if (inner.op != OpId::reduce_sum || node.attributes.get<bool>("keep") ||
        inner.attributes.get<bool>("keep"))
        return std::nullopt;
    using Axes = std::vector<std::int64_t>;
    Axes axes = inner.attributes.get<Axes>("axes");
    Axes rest;
    const auto rank = static_cast<std::int64_t>(to.result()[inner.inputs[0]].type.shape.size());
    for (std::int64_t axis = 0; axis < rank; ++axis) {
        if (!std::ranges::count(axes, axis)) rest.push_back(axis);
    }
    for (const std::int64_t axis : node.attributes.get<Axes>("axes"))
        axes.push_back(rest[static_cast<std::size_t>(axis)]);
    std::ranges::sort(axes);
    if (axes.back() + 1 == rank) return std::nullopt;
    return to.append(OpId::reduce_sum, {inner.inputs[0]}, {{"axes", axes}, {"keep", false}},
                     node.type, node.origin);
}

// Arithmetic on two constants, where the result in double is exact or rounds once to the type.
std::optional<NodeId> fold(Rebuilder& to, const Node& node) {
    if (node.type.dtype != DType::f32 && node.type.dtype != DType::f64) return std::nullopt;
    auto round = [&](double v) {
        return node.type.dtype == DType::f32 ? static_cast<double>(static_cast<float>(v)) : v;
    };
    std::vector<double> x;
    for (NodeId input : node.inputs) {
        std::optional<double> value = filled_with(to.result(), input);
        if (!value) return std::nullopt;
        x.push_back(round(*value));
    }
    if (x.empty()) return std::nullopt;
    std::optional<double> value;
    switch (node.op) {
        case OpId::add: value = x[0] + x[1]; break;
        case OpId::sub: value = x[0] - x[1]; break;
        case OpId::mul: value = x[0] * x[1]; break;
        case OpId::div: value = x[0] / x[1]; break;
        case OpId::neg: value = -x[0]; break;
        case OpId::abs: value = std::abs(x[0]); break;
        case OpId::sqrt: value = std::sqrt(x[0]); break;
        default: return std::nullopt;
    }
    return fill(to, round(*value), node);
}

std::optional<NodeId> simplify_node(Rebuilder& to, const Node& node) {
    if (auto folded = fold(to, node)) return folded;
    if (auto same = no_change(to, node)) return same;
    if (auto same = identity(to, node)) return same;
    return view_of_view(to, node);
}

}  // namespace

namespace {

// How often each node is read.
std::vector<std::size_t> count_readers(const Function& function) {
    std::vector<std::size_t> readers(function.nodes.size(), 0);
    for (const Node& node : function.nodes) {
        for (const NodeId input : node.inputs) ++readers[input.index];
    }
    for (const Function::Result& result : function.results) ++readers[result.value.index];
    for (const Function::Update& update : function.updates) ++readers[update.value.index];
    return readers;
}

bool simplify_once(Function& function) {
    const std::vector<std::size_t> readers = count_readers(function);
    std::size_t next = 0;  // the rule sees the nodes in order
    return rewrite(function, [&](Rebuilder& to, const Node& node) -> std::optional<NodeId> {
        const Node& old = function.nodes[next++];
        if (auto simpler = simplify_node(to, node)) return simpler;
        const bool alone = old.inputs.size() == 1 && readers[old.inputs[0].index] == 1;
        if (auto sum = alone ? sum_of_sums(to, node) : std::nullopt) return sum;
        return exchange_pooling(to, node, alone);
    });
}

}  // namespace

void simplify(Function& function) {
    for (Function& body : function.bodies) simplify(body);
    // Each round removes or shortens at least one chain; the bound only guards against a rule that
    // undoes another.
    for (int round = 0; round < 100 && simplify_once(function); ++round) {
    }
}

void simplify(Module& module) {
    for (Function& function : module.functions) simplify(function);
}

}  // namespace netc
