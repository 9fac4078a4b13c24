#include "passes/moments.h"

#include <map>

#include "ir/graph_builder.h"
#include "passes/centred.h"
#include "passes/rewrite.h"

namespace netc {
namespace {

// Elements that no second-level cache holds.
constexpr std::int64_t kMuch = 1 << 16;

bool is_much(const Dim& elements) { return !elements.is_static() || elements.value() >= kMuch; }

// Values of one pass.
struct Sums {
    NodeId sum, mean, squares;
};

Sums in_one_pass(GraphBuilder& b, NodeId squares, const Centred& centre) {
    const Node old = b.function()[squares];
    const auto axes = old.attributes.get<std::vector<std::int64_t>>("axes");
    const bool keep = old.attributes.get<bool>("keep");
    const Shape kept = old.type.shape;
    b.set_origin(old.origin);
    const Value x = b.cast(Value{&b, centre.value}, DType::f64);
    const Dim count = elements_along(x.type().shape, axes);
    const Value sum = b.reduce_sum(x, axes, keep);
    const Value n = b.broadcast(b.extent(count, DType::f64), kept);
    const Value mean = sum / n;
    const Value about_mean = b.reduce_sum(x * x, axes, keep) - sum * mean;
    const Value not_negative =
        b.binary(OpId::max, about_mean, b.constant(0, DType::f64, about_mean.type().shape));
    const auto as = [&](NodeId node, Value value) {
        return b.reshape(b.cast(value, DType::f32), Shape(b.function()[node].type.shape)).id;
    };
    return {as(centre.sum, sum), as(centre.quotient, mean), b.cast(not_negative, DType::f32).id};
}

}  // namespace

void moments(Function& function) {
    GraphBuilder b(function);
    std::map<NodeId, NodeId> instead;
    const auto count = static_cast<std::uint32_t>(function.nodes.size());
    for (std::uint32_t i = 0; i < count; ++i) {
        const Node& node = function.nodes[i];
        if (node.op != OpId::reduce_sum || node.type.dtype != DType::f32) continue;
        const Node& square = function[node.inputs[0]];
        if (square.op != OpId::mul || square.inputs[0] != square.inputs[1]) continue;
        const auto& axes = node.attributes.get<std::vector<std::int64_t>>("axes");
        const std::optional<Centred> centre = centred(function, square.inputs[0], axes);
        if (!centre || !is_much(elements_along(square.type.shape, axes))) continue;
        const Sums sums = in_one_pass(b, NodeId{i}, *centre);
        instead[NodeId{i}] = sums.squares;
        instead[centre->sum] = sums.sum;
        instead[centre->quotient] = sums.mean;
    }
    if (instead.empty()) return;
    const auto replace = [&](NodeId& id) {
        if (const auto found = instead.find(id); found != instead.end()) id = found->second;
    };
    for (Node& node : function.nodes) {
        for (NodeId& input : node.inputs) replace(input);
    }
    for (Function::Result& result : function.results) replace(result.value);
    for (Function::Update& update : function.updates) replace(update.value);
    sort_topologically(function);
}

}  // namespace netc
