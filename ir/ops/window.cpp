// Windows that slide over the last axes: pooling. The maximum's gradient goes to the first element
// that is the maximum, which window_argmax names by its place within the window; `pick` takes the
// element at a named place, the adjoint of that gradient.
#include "ir/ops/common.h"

namespace netc {
namespace {

using namespace ops;

constexpr AttributeSpec kOpAttribute{"op", AttributeKind::text, "max, sum or pick"};
constexpr AttributeSpec kSizeAttribute{"size", AttributeKind::integers,
                                       "size per axis; the window has as many of the last axes"};
constexpr AttributeSpec kStrideAttribute{"stride", AttributeKind::integers, "step per axis"};
constexpr AttributeSpec kPadAttribute{"pad", AttributeKind::integers,
                                      "padding on both sides, no elements; below the size"};

constexpr AttributeSpec kWindowAttributes[] = {kOpAttribute, kSizeAttribute, kStrideAttribute,
                                               kPadAttribute};
constexpr AttributeSpec kArgmaxAttributes[] = {kSizeAttribute, kStrideAttribute, kPadAttribute};
constexpr AttributeSpec kGradientAttributes[] = {
    {"op", AttributeKind::text, "max or sum"},
    kSizeAttribute,
    kStrideAttribute,
    kPadAttribute,
    {"shape", AttributeKind::shape, "shape of the window's operand"}};

struct Geometry {
    Integers size, stride, pad;
};

Geometry geometry_of(const Attributes& attributes) {
    return {attributes.get<Integers>("size"), attributes.get<Integers>("stride"),
            attributes.get<Integers>("pad")};
}

Attributes attributes_of(const Geometry& geometry) {
    return {{"size", geometry.size}, {"stride", geometry.stride}, {"pad", geometry.pad}};
}

bool has_op(const Attributes& attributes, std::string_view op) {
    return attributes.get<std::string>("op") == op;
}

Result<Shape> windowed(const Shape& shape, const Geometry& geometry) {
    const std::size_t count = geometry.size.size();
    if (count == 0 || count > shape.size()) {
        return fact(fmt::format("`size` has {} entries for rank {}", count, shape.size()));
    }
    if (Status s = check_integers("size", geometry.size, count, 1); !s) return s.error();
    if (Status s = check_integers("stride", geometry.stride, count, 1); !s) return s.error();
    if (Status s = check_integers("pad", geometry.pad, count, 0); !s) return s.error();
    Shape result = shape;
    const std::size_t first = shape.size() - count;
    for (std::size_t i = 0; i < count; ++i) {
        if (geometry.pad[i] >= geometry.size[i]) {
            return fact(fmt::format("padding {} is not below the window's size {}", geometry.pad[i],
                                    geometry.size[i]));
        }
        const Dim room = shape[first + i] + Dim(2 * geometry.pad[i]) - Dim(geometry.size[i]);
        if (room.is_static() && room.value() < 0) {
            return fact(fmt::format("a window of {} does not fit into {} with padding {}",
                                    geometry.size[i], shape[first + i].to_string(),
                                    geometry.pad[i]));
        }
        result[first + i] = floor_div(room, geometry.stride[i]) + Dim(1);
    }
    return result;
}

Result<Type> infer_windowed(const InferContext& context, DType result) {
    const Type& x = context.inputs[0];
    if (Status s = check_dtype(number_dtype, x.dtype); !s) return s.error();
    const Result<Shape> shape = windowed(x.shape, geometry_of(context.attributes));
    if (!shape) return shape.error();
    return Type{result, *shape};
}

// Places are i32 of the shape of the result.
Status check_places(const Type& places, const Shape& shape) {
    const Type wanted{DType::i32, shape};
    if (places == wanted) return {};
    return fact(fmt::format("{} is not {}", places.to_string(), wanted.to_string()));
}

Result<Type> infer_window(const InferContext& context) {
    const bool pick = has_op(context.attributes, "pick");
    if (!pick && !has_op(context.attributes, "max") && !has_op(context.attributes, "sum")) {
        return fact("`op` is max, sum or pick");
    }
    if (context.inputs.size() != (pick ? 2 : 1)) {
        return fact("only `pick` has a second operand, the places");
    }
    Result<Type> type = infer_windowed(context, context.inputs[0].dtype);
    if (!type || !pick) return type;
    if (Status s = check_places(context.inputs[1], type->shape); !s) return s.error();
    return type;
}

Result<Type> infer_argmax(const InferContext& context) {
    return infer_windowed(context, DType::i32);
}

Result<Type> infer_gradient(const InferContext& context) {
    const bool max = has_op(context.attributes, "max");
    if (!max && !has_op(context.attributes, "sum")) return fact("`op` is max or sum");
    if (context.inputs.size() != (max ? 2 : 1)) {
        return fact("needs dy for a sum, dy and window_argmax for a maximum");
    }
    const Type& dy = context.inputs[0];
    const Shape& x = context.attributes.get<Shape>("shape");
    const Result<Shape> shape = windowed(x, geometry_of(context.attributes));
    if (!shape) return shape.error();
    if (dy.shape != *shape) {
        return fact(
            fmt::format("{} is not {}", dy.to_string(), Type{dy.dtype, *shape}.to_string()));
    }
    if (max) {
        if (Status s = check_places(context.inputs[1], *shape); !s) return s.error();
    }
    return Type{dy.dtype, x};
}

void grad_of_window(GradBuilder& g) {
    if (!g.needs(0)) return;
    std::vector<Value> operands{g.dy()};
    Attributes attributes = g.attributes();
    attributes.set("shape", g.x().type().shape);
    if (has_op(g.attributes(), "max")) {
        const Geometry geometry = geometry_of(g.attributes());
        operands.push_back(g.graph().make(OpId::window_argmax, {g.x()}, attributes_of(geometry)));
    } else if (has_op(g.attributes(), "pick")) {
        operands.push_back(g.x(1));
        attributes.set("op", std::string("max"));
    }
    g.add(0, g.graph().make(OpId::window_gradient, operands, std::move(attributes)));
}

void grad_of_gradient(GradBuilder& g) {
    if (!g.needs(0)) return;
    const bool max = has_op(g.attributes(), "max");
    Attributes attributes = attributes_of(geometry_of(g.attributes()));
    attributes.set("op", std::string(max ? "pick" : "sum"));
    std::vector<Value> operands{g.dy()};
    if (max) operands.push_back(g.x(1));
    g.add(0, g.graph().make(OpId::window, operands, std::move(attributes)));
}

struct Tap {
    std::vector<Index> index;  // of the operand's element
    Index number = 0;          // row-major within the window
};

Tap make_tap(Lowering& lowering) {
    const Geometry geometry = geometry_of(lowering.attributes());
    const Shape& shape = lowering.input_type(0).shape;
    const std::size_t first = shape.size() - geometry.size.size();
    Tap tap{lowering.out(), 0};
    for (std::size_t i = 0; i < geometry.size.size(); ++i) {
        const Index step = lowering.reduced_axis(geometry.size[i]);
        Index& place = tap.index[first + i];
        place = place * geometry.stride[i] + step - geometry.pad[i];
        if (geometry.pad[i] > 0) lowering.guard({place, 1, extent_of(shape[first + i])});
        tap.number = tap.number * geometry.size[i] + step;
    }
    return tap;
}

ScalarId lower_window(Lowering& lowering) {
    ScalarGraph& s = lowering.scalars();
    const std::vector<Index> out = lowering.out();
    const Tap tap = make_tap(lowering);
    const ScalarId value = lowering.read(0, tap.index);
    const DType type = s.type(value);
    if (has_op(lowering.attributes(), "sum")) return lowering.sum(value);
    if (has_op(lowering.attributes(), "pick")) {
        const ScalarId place = lowering.number_of(tap.number, DType::i32);
        const ScalarId mine = s.binary(ScalarOp::equal, lowering.read(1, out), place);
        return lowering.sum(s.select(mine, value, scalar_constant(s, 0, type)));
    }
    const ScalarId state = s.state(0, type);
    return lowering.reduce({{type, lowest(type)}}, {s.binary(ScalarOp::max, state, value)},
                           {s.binary(ScalarOp::max, state, s.other(0, type))})[0];
}

ScalarId lower_argmax(Lowering& lowering) {
    const Tap tap = make_tap(lowering);
    const ScalarId value = lowering.read(0, tap.index);
    return reduce_position_of_max(lowering, value, lowering.number_of(tap.number, DType::i32));
}

// dy where this element is the one that the window took (a sum takes all), else zero.
ScalarId taken(Lowering& lowering, const std::vector<Index>& window, const Index& tap,
               Outside outside) {
    ScalarGraph& s = lowering.scalars();
    const ScalarId dy = lowering.read(0, window, outside);
    if (has_op(lowering.attributes(), "sum")) return dy;
    const ScalarId winner = lowering.read(1, window, outside);
    const ScalarId mine = s.binary(ScalarOp::equal, winner, lowering.number_of(tap, DType::i32));
    return s.select(mine, dy, scalar_constant(s, 0, s.type(dy)));
}

// Windows that do not overlap: an element lies in at most one, so there is nothing to sum.
ScalarId lower_gradient_apart(Lowering& lowering, const Geometry& geometry) {
    ScalarGraph& s = lowering.scalars();
    std::vector<Index> window = lowering.out();
    const std::size_t first = window.size() - geometry.size.size();
    Index number = 0;
    std::vector<ScalarId> conditions;
    for (std::size_t i = 0; i < geometry.size.size(); ++i) {
        const Index place = window[first + i] + geometry.pad[i];
        window[first + i] = floor_div(place, geometry.stride[i]);
        const Index step = floor_mod(place, geometry.stride[i]);
        number = number * geometry.size[i] + step;
        if (geometry.stride[i] > geometry.size[i]) {
            conditions.push_back(s.binary(ScalarOp::less, lowering.number_of(step, DType::i32),
                                          s.integer(geometry.size[i], DType::i32)));
        }
    }
    // Elements behind the last window read zero.
    ScalarId value = taken(lowering, window, number, Outside::zero);
    for (const ScalarId condition : conditions) {
        value = s.select(condition, value, scalar_constant(s, 0, s.type(value)));
    }
    return value;
}

ScalarId lower_gradient(Lowering& lowering) {
    const Geometry geometry = geometry_of(lowering.attributes());
    const Shape& shape = lowering.input_type(0).shape;
    bool apart = true;
    for (std::size_t i = 0; i < geometry.size.size(); ++i) {
        apart = apart && geometry.stride[i] >= geometry.size[i];
    }
    if (apart) return lower_gradient_apart(lowering, geometry);
    std::vector<Index> window = lowering.out();
    const std::size_t first = window.size() - geometry.size.size();
    Index number = 0;
    for (std::size_t i = 0; i < geometry.size.size(); ++i) {
        const Index step = lowering.reduced_axis(geometry.size[i]);
        const Index place = window[first + i] + geometry.pad[i] - step;
        lowering.guard({place, geometry.stride[i], extent_of(shape[first + i])});
        window[first + i] = floor_div(place, geometry.stride[i]);
        number = number * geometry.size[i] + step;
    }
    return lowering.sum(taken(lowering, window, number, Outside::never));
}

struct SampleShape {
    Shape x;
    Geometry geometry;
};

// Apart, overlapping, with gaps, with padding, with elements that no window covers.
std::vector<SampleShape> sample_shapes() {
    return {
        {{batch(), 3, 4, 6}, {{2, 2}, {2, 2}, {0, 0}}},
        {{batch(), 2, 7, 5}, {{2, 2}, {2, 2}, {0, 0}}},
        {{batch(), 2, 7, 7}, {{3, 3}, {2, 2}, {1, 1}}},
        {{batch(), 1, 6, 5}, {{3, 2}, {1, 1}, {1, 0}}},
        {{batch(), 2, 9, 9}, {{2, 2}, {3, 3}, {1, 0}}},
        {{3, 2, 5}, {{3}, {3}, {1}}},
        {{batch(), 2, 4, 5, 4}, {{2, 2, 2}, {2, 2, 2}, {0, 1, 0}}},
        {{batch(), 10}, {{4}, {2}, {0}}},
    };
}

// Drawn places stay within the window.
std::int64_t places_of(const Geometry& geometry) {
    std::int64_t places = 1;
    for (const std::int64_t size : geometry.size) places *= size;
    return places;
}

std::vector<Sample> window_samples() {
    std::vector<Sample> samples;
    for (const SampleShape& shape : sample_shapes()) {
        for (const char* op : {"max", "sum"}) {
            Attributes attributes = attributes_of(shape.geometry);
            attributes.set("op", std::string(op));
            samples.push_back({{real(shape.x)}, std::move(attributes)});
        }
        Attributes attributes = attributes_of(shape.geometry);
        attributes.set("op", std::string("pick"));
        const Shape y = windowed(shape.x, shape.geometry).value();
        samples.push_back(
            {{real(shape.x), ints(y)}, std::move(attributes), -2, 2, places_of(shape.geometry)});
    }
    return samples;
}

std::vector<Sample> argmax_samples() {
    std::vector<Sample> samples;
    for (const SampleShape& shape : sample_shapes()) {
        samples.push_back({{real(shape.x)}, attributes_of(shape.geometry)});
        // Few different integers: ties.
        samples.push_back({{ints(shape.x)}, attributes_of(shape.geometry), -2, 2, 3});
    }
    return samples;
}

std::vector<Sample> gradient_samples() {
    std::vector<Sample> samples;
    for (const SampleShape& shape : sample_shapes()) {
        const Shape y = windowed(shape.x, shape.geometry).value();
        Attributes attributes = attributes_of(shape.geometry);
        attributes.set("shape", shape.x);
        attributes.set("op", std::string("sum"));
        samples.push_back({{real(y)}, attributes});
        attributes.set("op", std::string("max"));
        samples.push_back({{real(y), ints(y)}, attributes, -2, 2, places_of(shape.geometry)});
    }
    return samples;
}

}  // namespace

constexpr OpDef kWindow{
    .name = "window",
    .doc = "maximum or sum of the elements in a window that slides over the last axes, or the one "
           "whose place the second operand names; padding adds no elements; a maximum with a NaN "
           "is NaN",
    .family = OpFamily::reduction,
    .min_inputs = 1,
    .max_inputs = 2,
    .attributes = kWindowAttributes,
    .infer = infer_window,
    .grad = grad_of_window,
    .lower = lower_window,
    .samples = window_samples,
};

constexpr OpDef kWindowArgmax{
    .name = "window_argmax",
    .doc = "i32 place, row-major within the window, of the first element that is the maximum; the "
           "first NaN before all",
    .family = OpFamily::reduction,
    .min_inputs = 1,
    .max_inputs = 1,
    .attributes = kArgmaxAttributes,
    .infer = infer_argmax,
    .lower = lower_argmax,
    .samples = argmax_samples,
};

constexpr OpDef kWindowGradient{
    .name = "window_gradient",
    .doc = "the adjoint of window: of dy, and for a maximum of window_argmax",
    .family = OpFamily::reduction,
    .min_inputs = 1,
    .max_inputs = 2,
    .attributes = kGradientAttributes,
    .infer = infer_gradient,
    .grad = grad_of_gradient,
    .lower = lower_gradient,
    .samples = gradient_samples,
};

}  // namespace netc
