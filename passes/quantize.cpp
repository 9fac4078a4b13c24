#include "passes/quantize.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "ir/einsum_spec.h"
#include "ir/graph_builder.h"
#include "passes/probe.h"
#include "passes/rewrite.h"

namespace netc {
namespace {

constexpr double kMostActivation = 255, kMostWeight = 127;
// Weights that are all zero have some step.
constexpr double kLeastStep = 0x1p-100;

// A contraction of a value of the batch, operand 0, with weights, operand 1.
struct Place {
    NodeId node;
    std::string name;
    std::vector<std::int64_t> summed;  // dims of the weights that the result lacks
    // Dims of the result that the others of the weights, in their order, are.
    std::vector<std::size_t> channels;
};

bool is_static(const Shape& shape) {
    return std::ranges::all_of(shape, [](const Dim& dim) { return dim.is_static(); });
}

// Values of variables and constants alone.
std::vector<bool> of_weights(const Function& function) {
    std::vector<bool> known;
    for (const Node& node : function.nodes) {
        const bool given = node.op == OpId::input || node.op == OpId::hyper;
        known.push_back(
            !given && is_static(node.type.shape) &&
            std::ranges::all_of(node.inputs, [&](NodeId id) { return bool{known[id.index]}; }));
    }
    return known;
}

// Samples are dim 0 of the value and of the result, and nowhere else.
bool is_batch_of(const Shape& shape) {
    return !shape.empty() && shape[0] == Dim::symbol(kBatchSymbol) &&
           is_static({shape.begin() + 1, shape.end()});
}

// How the dims of the weights lie in the result; false where the operator has another form.
bool find_channels(const Node& node, std::size_t rank, Place& place) {
    if (node.op == OpId::conv_nd) {
        for (std::size_t d = 1; d < rank; ++d) place.summed.push_back(static_cast<std::int64_t>(d));
        place.channels = {1};
        return true;
    }
    if (node.op != OpId::einsum) return false;
    const Result<EinsumSpec> spec = parse_einsum(node.attributes.get<std::string>("spec"));
    if (!spec || spec->inputs.size() != 2 || spec->output.empty()) return false;
    if (spec->inputs[0].empty() || spec->inputs[0][0] != spec->output[0]) return false;
    for (std::size_t d = 0; d < rank; ++d) {
        const std::size_t at = spec->output.find(spec->inputs[1][d]);
        if (at == std::string::npos) {
            place.summed.push_back(static_cast<std::int64_t>(d));
        } else {
            place.channels.push_back(at);
        }
    }
    return std::ranges::is_sorted(place.channels);
}

std::vector<Place> places_of(const Function& function) {
    const std::vector<bool> weights = of_weights(function);
    std::vector<Place> places;
    std::map<std::string, int> count;
    for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
        const Node& node = function.nodes[i];
        if (node.inputs.size() != 2 || node.type.dtype != DType::f32) continue;
        if (!probe(function, NodeId{i}).contraction || !weights[node.inputs[1].index]) continue;
        if (!is_batch_of(function[node.inputs[0]].type.shape) || !is_batch_of(node.type.shape))
            continue;
        Place place{NodeId{i}, function.origins[node.origin].instance, {}, {}};
        const int number = ++count[place.name];
        if (number > 1) place.name += "#" + std::to_string(number);
        if (find_channels(node, function[node.inputs[1]].type.rank(), place))
            places.push_back(std::move(place));
    }
    return places;
}

// The product in integers, as f32.
Value quantized(GraphBuilder& graph, const Place& place, const ValueRange& range) {
    const Node node = graph.function()[place.node];
    graph.set_origin(node.origin);
    const Value x{&graph, node.inputs[0]}, w{&graph, node.inputs[1]};
    const Shape shape = x.type().shape;
    const double least = std::min(range.least, 0.0), greatest = std::max(range.greatest, 0.0);
    const double step = (greatest - least) / kMostActivation;
    const double zero = std::round(-least / step);

    // To the nearest, halves up; casts truncate, saturate and make 0 of NaN.
    const Value scaled = x * (1 / step) + (zero + 0.5);
    const Value q = graph.cast(
        graph.binary(OpId::max, scaled, graph.constant(0, DType::f32, shape)), DType::u8);
    const Shape w_shape = w.type().shape;
    const Value size = graph.reduce_max(graph.unary(OpId::abs, w), place.summed, true);
    const Value steps = graph.binary(OpId::max, size * (1 / kMostWeight),
                                     graph.constant(kLeastStep, DType::f32, size.type().shape));
    const Value v =
        graph.cast(graph.unary(OpId::floor, w / graph.broadcast(steps, w_shape) + 0.5), DType::i8);

    Value sum = graph.make(node.op, {q, v}, node.attributes);
    const Shape result = sum.type().shape;
    if (zero != 0) {
        // Of zeros alone: by position, because there is no term in the padding.
        Shape one = shape;
        one[0] = 1;
        const Value zeros = graph.constant(zero, DType::u8, one);
        const Value offset = graph.make(node.op, {zeros, v}, node.attributes);
        sum = sum - graph.broadcast(offset, result);
    }
    Shape channels(result.size(), Dim(1));
    for (const std::size_t dim : place.channels) channels[dim] = result[dim];
    return graph.cast(sum, DType::f32) *
           graph.broadcast(graph.reshape(steps * step, channels), result);
}

}  // namespace

void observe_ranges(Function& function) {
    const std::vector<Place> places = places_of(function);
    GraphBuilder graph(function);
    for (const Place& place : places) {
        const Value x{&graph, function[place.node].inputs[0]};
        graph.set_origin(function[place.node].origin);
        std::vector<std::int64_t> axes;
        for (std::size_t d = 1; d < x.type().rank(); ++d)  // dim 0 is the batch
            axes.push_back(static_cast<std::int64_t>(d));
        const auto greatest_of = [&](Value v) {
            return axes.empty() ? v : graph.reduce_max(v, axes);
        };
        const Value least = -greatest_of(-x);
        const Value greatest = greatest_of(x);
        function.results.push_back({kLeastOf + place.name, least.id, {}, {}});
        function.results.push_back({kGreatestOf + place.name, greatest.id, {}, {}});
    }
}

void quantize(Function& function, const std::vector<ValueRange>& ranges) {
    const std::vector<Place> places = places_of(function);
    const std::size_t count = function.nodes.size();
    GraphBuilder graph(function);
    bool changed = false;
    for (const Place& place : places) {
        const auto range = std::ranges::find(ranges, place.name, &ValueRange::place);
        if (range == ranges.end() || !(range->least < 0 || range->greatest > 0)) continue;
        const NodeId fresh = quantized(graph, place, *range).id;
        for (std::size_t n = 0; n < count; ++n) {
            for (NodeId& input : function.nodes[n].inputs) {
                if (input == place.node) input = fresh;
            }
        }
        for (Function::Result& result : function.results) {
            if (result.value == place.node) result.value = fresh;
        }
        changed = true;
    }
    if (changed) sort_topologically(function);
}

}  // namespace netc
