#include "passes/precision.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "ir/op_def.h"
#include "passes/group.h"
#include "passes/rewrite.h"

namespace netc {
namespace {

// The greatest finite bf16. What lies between it and the greatest f32 must not round up to infinity.
constexpr double kMostBf16 = 0x1.fep127;

// Elementwise f32 beside the node that is replaced, with its origin.
class Parts {
public:
    Parts(Rebuilder& to, OriginId origin) : to_(to), origin_(origin) {}

    // As bf16. A view of it is a view of the rounded value, which may be stored where the value is made.
    NodeId rounded(NodeId x) {
        const Node node = to_.result()[x];
        if (op_def(node.op).family == OpFamily::view && node.inputs.size() == 1) {
            const Probe view = probe(to_.result(), x);
            if (view.moves_only && view.reads.size() == 1) {
                return make(node.op, {rounded(node.inputs[0])}, node.attributes, DType::bf16,
                            node.type.shape);
            }
        }
        return cast(x, DType::bf16);
    }

    // x = the sum of `count` numbers of bf16, the greatest first. Beyond the first, a part of infinity or NaN
    // is NaN.
    std::vector<NodeId> split(NodeId x, int count) {
        const NodeId most = filled(kMostBf16, x);
        const NodeId least = filled(-kMostBf16, x);
        const NodeId near = elementwise(OpId::min, {elementwise(OpId::max, {x, least}), most});
        std::vector<NodeId> parts{cast(select(is_finite(x), near, x), DType::bf16)};
        NodeId rest = x;
        while (static_cast<int>(parts.size()) < count) {
            rest = elementwise(OpId::sub, {rest, cast(parts.back(), DType::f32)});
            parts.push_back(cast(rest, DType::bf16));
        }
        return parts;
    }

    NodeId add(NodeId a, NodeId b) { return elementwise(OpId::add, {a, b}); }
    NodeId is_finite(NodeId x) {
        const NodeId size = elementwise(OpId::abs, {x});
        return make(OpId::less, {size, filled(std::numeric_limits<double>::infinity(), x)}, {},
                    DType::b1, shape_of(x));
    }
    NodeId select(NodeId condition, NodeId a, NodeId b) {
        return make(OpId::select, {condition, a, b}, {}, DType::f32, shape_of(a));
    }

private:
    const Shape& shape_of(NodeId x) const { return to_.result()[x].type.shape; }
    NodeId make(OpId op, std::vector<NodeId> inputs, Attributes attributes, DType dtype,
                Shape shape) {
        return to_.append(op, std::move(inputs), std::move(attributes), {dtype, std::move(shape)},
                          origin_);
    }
    NodeId elementwise(OpId op, std::vector<NodeId> inputs) {
        const Shape shape = shape_of(inputs[0]);
        return make(op, std::move(inputs), {}, DType::f32, shape);
    }
    NodeId cast(NodeId x, DType dtype) {
        return make(OpId::cast, {x}, {{"to", dtype}}, dtype, shape_of(x));
    }
    NodeId filled(double value, NodeId like) {
        const Shape shape = shape_of(like);
        return make(OpId::constant, {}, {{"value", value}, {"shape", shape}, {"dtype", DType::f32}},
                    DType::f32, shape);
    }

    Rebuilder& to_;
    OriginId origin_;
};

// The sum of the products a[i] b[j] with i + j < parts, smallest first. The one of the first parts is infinite
// or NaN where the f32 sum is: then it is the result, and the others, which are NaN, are no part of it.
NodeId sum_of_products(Rebuilder& to, const Node& node, int count) {
    Parts parts(to, node.origin);
    const std::vector<NodeId> a = parts.split(node.inputs[0], count);
    const std::vector<NodeId> b = parts.split(node.inputs[1], count);
    const auto product = [&](int i, int j) {
        return to.append(node.op, {a[static_cast<std::size_t>(i)], b[static_cast<std::size_t>(j)]},
                         node.attributes, node.type, node.origin);
    };
    NodeId rest;
    for (int order = count - 1; order > 0; --order) {
        for (int i = order; i >= 0; --i) {
            const NodeId next = product(i, order - i);
            rest = rest.valid() ? parts.add(rest, next) : next;
        }
    }
    const NodeId first = product(0, 0);
    return parts.select(parts.is_finite(first), parts.add(first, rest), first);
}

}  // namespace

std::string_view name_of(Precision precision) {
    switch (precision) {
        case Precision::f32: return "f32";
        case Precision::bf16: return "bf16";
        case Precision::bf16x3: return "bf16x3";
        case Precision::bf16x6: return "bf16x6";
        case Precision::tf32: return "tf32";
    }
    return "?";
}

void precision(Function& function, Precision precision) {
    if (precision == Precision::f32 || precision == Precision::tf32) return;
    for (Function& body : function.bodies) netc::precision(body, precision);
    std::vector<bool> contraction;
    for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
        const Node& node = function.nodes[i];
        const bool in_f32 = std::ranges::all_of(
            node.inputs, [&](NodeId input) { return function[input].type.dtype == DType::f32; });
        contraction.push_back(in_f32 && probe(function, NodeId{i}).contraction);
    }
    std::size_t old = 0;
    rewrite(function, [&](Rebuilder& to, const Node& node) -> std::optional<NodeId> {
        if (!contraction[old++] || node.inputs.size() != 2) return std::nullopt;
        if (precision == Precision::bf16x3) return sum_of_products(to, node, 2);
        if (precision == Precision::bf16x6) return sum_of_products(to, node, 3);
        Parts parts(to, node.origin);
        const NodeId a = parts.rounded(node.inputs[0]);
        const NodeId b = parts.rounded(node.inputs[1]);
        return to.append(node.op, {a, b}, node.attributes, node.type, node.origin);
    });
}

}  // namespace netc
