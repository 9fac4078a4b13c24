#include "passes/exchange_pooling.h"

#include <algorithm>
#include <vector>

#include "ir/op_def.h"

namespace netc {
namespace {

using Integers = std::vector<std::int64_t>;

struct Window {
    Integers size, stride, pad;
    bool is_max = false, is_sum = false;
};

Window window_of(const Node& node) {
    const auto& op = node.attributes.get<std::string>("op");
    return {node.attributes.get<Integers>("size"), node.attributes.get<Integers>("stride"),
            node.attributes.get<Integers>("pad"), op == "max", op == "sum"};
}

bool all_are(const Integers& values, std::int64_t wanted) {
    return std::ranges::all_of(values, [&](std::int64_t value) { return value == wanted; });
}

std::int64_t product_of(const Integers& values) {
    std::int64_t product = 1;
    for (const std::int64_t value : values) product *= value;
    return product;
}

bool is_number(const Rebuilder& to, NodeId id) { return to.result()[id].op == OpId::constant; }

NodeId number_like(Rebuilder& to, double value, const Type& type, OriginId origin) {
    return to.append(OpId::constant, {},
                     {{"value", value}, {"shape", type.shape}, {"dtype", type.dtype}}, type,
                     origin);
}

// f(x, number) for the pooled x.
std::optional<NodeId> with_number(Rebuilder& to, const Node& f, NodeId pooled) {
    const double value = to.result()[f.inputs[1]].attributes.get<double>("value");
    const NodeId number = number_like(to, value, to.result()[pooled].type, f.origin);
    return to.try_append(f.op, {pooled, number}, f.attributes, f.origin);
}

std::optional<NodeId> pool(Rebuilder& to, const Node& window, NodeId x) {
    return to.try_append(OpId::window, {x}, window.attributes, window.origin);
}

// Not max and min with a number, though they are monotone too: relu costs nothing in the convolution's kernel, and
// its gradient less there than in a kernel of the pooled value.
std::optional<NodeId> maximum_first(Rebuilder& to, const Node& window, const Node& f) {
    const OpDef& def = op_def(f.op);
    if (f.inputs.size() != 1 || !def.monotone_increasing || def.family != OpFamily::elementwise) {
        return std::nullopt;
    }
    const std::optional<NodeId> pooled = pool(to, window, f.inputs[0]);
    return pooled ? to.try_append(f.op, {*pooled}, f.attributes, f.origin) : std::nullopt;
}

// A convolution that mixes channels only, with all its spatial axes under the window.
bool is_pointwise(const Rebuilder& to, const Node& node, const Window& window) {
    if (node.op != OpId::conv_nd) return false;
    const Shape& kernel = to.result()[node.inputs[1]].type.shape;
    if (window.size.size() + 2 != kernel.size()) return false;
    const bool one =
        std::all_of(kernel.begin() + 2, kernel.end(), [](const Dim& dim) { return dim == Dim(1); });
    return one && all_are(node.attributes.get<Integers>("stride"), 1) &&
           all_are(node.attributes.get<Integers>("pad"), 0);
}

// The same along all axes under the window.
bool is_constant_under(const Rebuilder& to, const Node& node, const Window& window) {
    if (node.op != OpId::broadcast) return false;
    const Shape& source = to.result()[node.inputs[0]].type.shape;
    const std::size_t count = std::min(window.size.size(), source.size());
    return std::all_of(source.end() - static_cast<std::ptrdiff_t>(count), source.end(),
                       [](const Dim& dim) { return dim == Dim(1); });
}

std::optional<NodeId> sum_first(Rebuilder& to, const Node& window, const Node& f) {
    const Window w = window_of(window);
    if ((f.op == OpId::mul || f.op == OpId::div) && is_number(to, f.inputs[1])) {
        const std::optional<NodeId> pooled = pool(to, window, f.inputs[0]);
        return pooled ? with_number(to, f, *pooled) : std::nullopt;
    }
    if (product_of(w.stride) == 1) return std::nullopt;  // as many elements as before
    if (is_pointwise(to, f, w)) {
        const std::optional<NodeId> pooled = pool(to, window, f.inputs[0]);
        if (!pooled) return std::nullopt;
        return to.try_append(f.op, {*pooled, f.inputs[1]}, f.attributes, f.origin);
    }
    if (f.op != OpId::add || !all_are(w.pad, 0)) return std::nullopt;
    const Node map = to.result()[f.inputs[0]];
    const Node bias = to.result()[f.inputs[1]];
    if (!is_pointwise(to, map, w) || !is_constant_under(to, bias, w)) return std::nullopt;
    const std::optional<NodeId> pooled = pool(to, window, f.inputs[0]);
    if (!pooled) return std::nullopt;
    const Type type = to.result()[*pooled].type;
    const auto wide =
        to.try_append(OpId::broadcast, {bias.inputs[0]}, {{"shape", type.shape}}, bias.origin);
    if (!wide) return std::nullopt;
    const NodeId count =
        number_like(to, static_cast<double>(product_of(w.size)), type, window.origin);
    const auto times = to.try_append(OpId::mul, {*wide, count}, {}, window.origin);
    return times ? to.try_append(OpId::add, {*pooled, *times}, f.attributes, f.origin)
                 : std::nullopt;
}

std::optional<NodeId> one_window(Rebuilder& to, const Node& window, const Node& f) {
    if (f.op != OpId::window || f.inputs.size() != 1) return std::nullopt;
    const Window outer = window_of(window), inner = window_of(f);
    if (outer.is_max != inner.is_max || outer.is_sum != inner.is_sum) return std::nullopt;
    if (outer.size.size() != inner.size.size()) return std::nullopt;
    if (!all_are(outer.pad, 0) || !all_are(inner.pad, 0)) return std::nullopt;
    Window both = inner;
    int long_axes = 0;
    for (std::size_t i = 0; i < inner.size.size(); ++i) {
        // An element that two inner windows hold is summed twice; one between them never.
        if (outer.size[i] > 1 &&
            (inner.is_sum ? inner.stride[i] != inner.size[i] : inner.stride[i] > inner.size[i])) {
            return std::nullopt;
        }
        both.size[i] = inner.size[i] + (outer.size[i] - 1) * inner.stride[i];
        both.stride[i] = outer.stride[i] * inner.stride[i];
        if (both.size[i] > 1) ++long_axes;
    }
    if (inner.is_max && long_axes > 1) return std::nullopt;  // another one would be the first
    const Attributes attributes{{"op", window.attributes.get<std::string>("op")},
                                {"size", both.size},
                                {"stride", both.stride},
                                {"pad", both.pad}};
    return to.try_append(OpId::window, {f.inputs[0]}, attributes, window.origin);
}

}  // namespace

std::optional<NodeId> exchange_pooling(Rebuilder& to, const Node& node, bool alone) {
    if (node.op != OpId::window || node.inputs.size() != 1 || !alone) return std::nullopt;
    if (!is_float(node.type.dtype)) return std::nullopt;
    const Node f = to.result()[node.inputs[0]];
    if (auto merged = one_window(to, node, f)) return merged;
    const Window window = window_of(node);
    if (window.is_max) return maximum_first(to, node, f);
    return window.is_sum ? sum_first(to, node, f) : std::nullopt;
}

}  // namespace netc
