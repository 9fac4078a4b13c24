// See graph_builder.h.
#include "ir/graph_builder.h"

#include <fmt/format.h>

#include "ir/internal_error.h"

namespace netc {
namespace {

Value filled_like(Value like, double value) {
    return like.builder->constant(value, like.type().dtype, like.type().shape);
}

}  // namespace

const Type& Value::type() const { return builder->function()[id].type; }

OriginId GraphBuilder::add_origin(Origin origin) {
    function_.origins.push_back(std::move(origin));
    return static_cast<OriginId>(function_.origins.size() - 1);
}

Result<Value> GraphBuilder::try_make(OpId op, std::vector<Value> inputs, Attributes attributes) {
    std::vector<Type> types;
    std::vector<NodeId> ids;
    for (const Value& input : inputs) {
        types.push_back(input.type());
        ids.push_back(input.id);
    }
    Result<Type> type = infer_type(op, types, attributes);
    if (!type) return type.error();
    Node node;
    node.op = op;
    node.inputs = std::move(ids);
    node.attributes = std::move(attributes);
    node.type = std::move(*type);
    node.origin = origin_;
    function_.nodes.push_back(std::move(node));
    return Value{this, NodeId{static_cast<std::uint32_t>(function_.nodes.size() - 1)}};
}

Value GraphBuilder::make(OpId op, std::vector<Value> inputs, Attributes attributes) {
    std::string operands;
    for (const Value& input : inputs) operands += " " + input.type().to_string();
    const Result<Value> value = try_make(op, std::move(inputs), std::move(attributes));
    if (!value) {
        internal_error(fmt::format("{}, on{} in {} of {}", value.error().message, operands,
                                   function_.name, function_.origins[origin_].instance));
    }
    return *value;
}

Value GraphBuilder::input(std::uint32_t index) {
    const Type& type = function_.inputs[index].type;
    return make(OpId::input, {},
                {{"index", std::int64_t{index}}, {"dtype", type.dtype}, {"shape", type.shape}});
}

Value GraphBuilder::variable(VariableId id, Type type) {
    return make(OpId::variable, {},
                {{"index", std::int64_t{id}}, {"dtype", type.dtype}, {"shape", type.shape}});
}

Value GraphBuilder::hyper(std::string name, DType type) {
    return make(OpId::hyper, {}, {{"name", std::move(name)}, {"dtype", type}});
}

Value GraphBuilder::constant(double value, DType type, const Shape& shape) {
    return make(OpId::constant, {}, {{"value", value}, {"dtype", type}, {"shape", shape}});
}

Value GraphBuilder::tensor(std::vector<double> values, Type type) {
    return make(OpId::tensor, {},
                {{"values", std::move(values)}, {"dtype", type.dtype}, {"shape", type.shape}});
}

Value GraphBuilder::iota(Type type, std::int64_t axis) {
    return make(OpId::iota, {}, {{"axis", axis}, {"dtype", type.dtype}, {"shape", type.shape}});
}

Value GraphBuilder::extent(const Dim& dim, DType type) {
    if (dim.is_static()) return constant(static_cast<double>(dim.value()), type);
    return make(OpId::extent, {}, {{"dim", Shape{dim}}, {"dtype", type}});
}

Value GraphBuilder::broadcast(Value x, const Shape& shape) {
    if (x.type().shape == shape) return x;
    return make(OpId::broadcast, {x}, {{"shape", shape}});
}

Value GraphBuilder::unbroadcast(Value x, const Shape& wanted) {
    if (x.type().shape == wanted) return x;
    // Copies: both may lie in nodes, which move while nodes are made.
    const Shape shape = wanted;
    const Shape from = x.type().shape;
    const std::size_t leading = from.size() - shape.size();
    std::vector<std::int64_t> axes;
    for (std::size_t i = 0; i < from.size(); ++i) {
        if (i < leading || shape[i - leading] != from[i]) {
            axes.push_back(static_cast<std::int64_t>(i));
        }
    }
    // One sum over all of them, then the ones that broadcast had stretched come back.
    return reshape(reduce_sum(x, std::move(axes)), shape);
}

Value GraphBuilder::reshape(Value x, const Shape& shape) {
    if (x.type().shape == shape) return x;
    return make(OpId::reshape, {x}, {{"shape", shape}});
}

Value GraphBuilder::permute(Value x, std::vector<std::int64_t> order) {
    return make(OpId::permute, {x}, {{"order", std::move(order)}});
}

Value GraphBuilder::reduce_sum(Value x, std::vector<std::int64_t> axes, bool keep) {
    if (axes.empty()) return x;
    return make(OpId::reduce_sum, {x}, {{"axes", std::move(axes)}, {"keep", keep}});
}

Value GraphBuilder::reduce_max(Value x, std::vector<std::int64_t> axes, bool keep) {
    if (axes.empty()) return x;
    return make(OpId::reduce_max, {x}, {{"axes", std::move(axes)}, {"keep", keep}});
}

Value GraphBuilder::einsum(std::string spec, Value a, Value b) {
    return make(OpId::einsum, {a, b}, {{"spec", std::move(spec)}});
}

Value GraphBuilder::cast(Value x, DType type) {
    if (x.type().dtype == type) return x;
    return make(OpId::cast, {x}, {{"to", type}});
}

Value GraphBuilder::select(Value condition, Value a, Value b) {
    return make(OpId::select, {condition, a, b});
}

Value GraphBuilder::unary(OpId op, Value x) { return make(op, {x}); }
Value GraphBuilder::binary(OpId op, Value a, Value b) { return make(op, {a, b}); }

Value operator+(Value a, Value b) { return a.builder->binary(OpId::add, a, b); }
Value operator-(Value a, Value b) { return a.builder->binary(OpId::sub, a, b); }
Value operator-(Value a) { return a.builder->unary(OpId::neg, a); }
Value operator*(Value a, Value b) { return a.builder->binary(OpId::mul, a, b); }
Value operator/(Value a, Value b) { return a.builder->binary(OpId::div, a, b); }
Value operator+(Value a, double b) { return a + filled_like(a, b); }
Value operator-(Value a, double b) { return a - filled_like(a, b); }
Value operator*(Value a, double b) { return a * filled_like(a, b); }
Value operator*(double a, Value b) { return filled_like(b, a) * b; }
Value operator-(double a, Value b) { return filled_like(b, a) - b; }
Value operator/(Value a, double b) { return a / filled_like(a, b); }
Value operator/(double a, Value b) { return filled_like(b, a) / b; }

}  // namespace netc
