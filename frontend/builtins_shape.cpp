// Builtins that reduce, contract, rearrange and create tensors.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/builtins.h"
#include "frontend/builtins_shape.h"
#include "frontend/nested_numbers.h"

namespace netc::frontend {

namespace {

// axis = all, keep = false
template <OpId op>
Datum reduce(const BuiltinCall& call) {
    const TensorPointer x = tensor_input(call, 0, call.context.real);
    if (!x) return failed_datum();
    std::vector<std::int64_t> axes;
    if (const Datum* wanted = call.configured(0)) {
        auto given = axes_of(call, *wanted, *x);
        if (!given) return failed_datum();
        axes = std::move(*given);
    } else {
        for (std::size_t i = 0; i < x->type.rank(); ++i) {
            axes.push_back(static_cast<std::int64_t>(i));
        }
    }
    bool keep = false;
    if (const Datum* wanted = call.configured(1)) {
        if (!wanted->is<bool>()) return wrong_value(call, *wanted, "argument `keep`", "a bool");
        keep = *wanted->as<bool>();
    }
    if (axes.empty()) return {x, call.place};
    return make_node(call.context, op, {x.get()}, {{"axes", axes}, {"keep", keep}}, call.place);
}

// The numbers of a type in the opposite order. Negation has no answer for the least int and for the
// numbers of an unsigned type; -1 - x and 255 - x have one for each.
Datum mirrored(const BuiltinCall& call, const Datum& value) {
    const Tensor* x = value.tensor();
    if (!x || !is_int(x->type.dtype)) {
        return negate(call.context, value, call.place, call.place);
    }
    const Datum sum{std::int64_t{x->type.dtype == DType::u8 ? 255 : -1}, call.place};
    const Datum filled = number_tensor(call.context, sum, x->type.dtype, x->type.shape, call.place);
    if (filled.failed()) return filled;
    return make_node(call.context, OpId::sub, {filled.tensor(), x}, {}, call.place);
}

Datum reduce_min(const BuiltinCall& call) {
    const Datum opposite = mirrored(call, call.values[0]);
    if (opposite.failed()) return opposite;
    const Items values{opposite};
    const BuiltinCall inner{call.context, call.builtin, call.configuration, values, call.place};
    const Datum largest = reduce<OpId::reduce_max>(inner);
    return largest.failed() ? largest : mirrored(call, largest);
}

Datum argmax(const BuiltinCall& call) {
    const TensorPointer x = tensor_input(call, 0, call.context.real);
    if (!x) return failed_datum();
    const Datum last{std::int64_t{-1}, call.place};
    const Datum* wanted = call.configured(0);
    const auto axis = axis_of(call, wanted ? *wanted : last, *x);
    if (!axis) return failed_datum();
    return make_node(call.context, OpId::argmax, {x.get()}, {{"axis", *axis}}, call.place);
}

Datum reshape(const BuiltinCall& call) {
    const TensorPointer x = tensor_input(call, 0, call.context.real);
    const auto shape = shape_of(call, call.configuration[0]);
    if (!x || !shape) return failed_datum();
    if (!(product(*shape) == product(x->type.shape))) return reshape_error(call, *x, *shape);
    if (*shape == x->type.shape) return {x, call.place};
    return make_node(call.context, OpId::reshape, {x.get()}, {{"shape", *shape}}, call.place);
}

Datum permute(const BuiltinCall& call) {
    const TensorPointer x = tensor_input(call, 0, call.context.real);
    if (!x) return failed_datum();
    std::vector<std::int64_t> order;
    const Items* items = call.configuration[0].items();
    if (!items) return wrong_value(call, call.configuration[0], "the order", "a list of axes");
    for (const Datum& item : *items) {
        const auto axis = axis_of(call, item, *x);
        if (!axis) return failed_datum();
        order.push_back(*axis);
    }
    std::vector<std::int64_t> sorted = order;
    std::sort(sorted.begin(), sorted.end());
    const bool repeated = std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
    if (repeated || order.size() != x->type.rank()) {
        return report(call.context, diagnose<Code::malformed_specification>(
                                        blame(call.context, call.place),
                                        fmt::format("{} is not an order of the {} axes of {}",
                                                    describe_value(call.configuration[0]),
                                                    x->type.rank(), x->type.to_string())));
    }
    return make_node(call.context, OpId::permute, {x.get()}, {{"order", order}}, call.place);
}

Datum broadcast(const BuiltinCall& call) {
    const auto shape = shape_of(call, call.configuration[0]);
    const TensorPointer x = shape ? tensor_input(call, 0, call.context.real) : nullptr;
    if (!x) return failed_datum();
    const std::optional<Shape> common = broadcast_shapes(x->type.shape, *shape);
    if (!common || !(*common == *shape)) {
        return report(call.context, diagnose<Code::shapes_do_not_line_up>(
                                        blame(call.context, call.place), x->type.to_string(),
                                        shape_text(*shape)));
    }
    return broadcast_to(call.context, {x, call.place}, *shape, call.place);
}

// pad([(before, after), ...])
Datum pad(const BuiltinCall& call) {
    const TensorPointer x = tensor_input(call, 0, call.context.real);
    const Items* items = call.configuration[0].items();
    if (!x) return failed_datum();
    std::vector<std::int64_t> before, after;
    for (std::size_t i = 0; items && i < items->size(); ++i) {
        const Items* pair = (*items)[i].items();
        const bool fits = pair && pair->size() == 2 && (*pair)[0].is<std::int64_t>() &&
                          (*pair)[1].is<std::int64_t>() && *(*pair)[0].as<std::int64_t>() >= 0 &&
                          *(*pair)[1].as<std::int64_t>() >= 0;
        if (!fits) break;
        before.push_back(*(*pair)[0].as<std::int64_t>());
        after.push_back(*(*pair)[1].as<std::int64_t>());
    }
    if (before.size() != x->type.rank()) {
        return wrong_value(call, call.configuration[0], "the padding",
                           fmt::format("a list of {} pairs (before, after)", x->type.rank()));
    }
    return make_node(call.context, OpId::pad, {x.get()}, {{"before", before}, {"after", after}},
                     call.place);
}

Datum concat(const BuiltinCall& call) {
    Items values = call.values;
    if (values.size() == 1 && values[0].items()) values = *values[0].items();
    std::vector<TensorPointer> tensors;
    const BuiltinCall inner{call.context, call.builtin, call.configuration, values, call.place};
    for (std::size_t i = 0; i < values.size(); ++i) {
        tensors.push_back(tensor_input(inner, i, call.context.real));
        if (!tensors.back()) return failed_datum();
    }
    if (tensors.empty()) return wrong_value(call, call.configuration[0], "the inputs", "tensors");
    const auto axis = axis_of(call, call.configuration[0], *tensors[0]);
    if (!axis) return failed_datum();
    for (std::size_t i = 1; i < tensors.size(); ++i) {
        if (tensors[i]->type.dtype != tensors[0]->type.dtype) {
            return report(call.context,
                          diagnose<Code::dtypes_differ>(blame(call.context, values[i].place),
                                                        tensors[0]->type.to_string(),
                                                        tensors[i]->type.to_string()));
        }
        bool fits = tensors[i]->type.rank() == tensors[0]->type.rank();
        for (std::size_t j = 0; fits && j < tensors[0]->type.rank(); ++j) {
            fits = static_cast<std::int64_t>(j) == *axis ||
                   tensors[i]->type.shape[j] == tensors[0]->type.shape[j];
        }
        if (!fits) {
            return concat_error(call, *axis, *tensors[0], *tensors[i], values[0].place,
                                values[i].place);
        }
    }
    std::vector<const Tensor*> inputs;
    for (const TensorPointer& tensor : tensors) inputs.push_back(tensor.get());
    if (inputs.size() == 1) return {tensors[0], call.place};
    return make_node(call.context, OpId::concat, inputs, {{"axis", *axis}}, call.place);
}

// split(4, axis=1): four equal parts; split([3, 5]): parts of these sizes.
Datum split(const BuiltinCall& call) {
    const TensorPointer x = tensor_input(call, 0, call.context.real);
    if (!x) return failed_datum();
    const Datum last{std::int64_t{-1}, call.place};
    const Datum* wanted = call.configured(1);
    const auto axis = axis_of(call, wanted ? *wanted : last, *x);
    if (!axis) return failed_datum();
    const Dim& size = x->type.shape[static_cast<std::size_t>(*axis)];
    auto sizes = integers_of(call, call.configuration[0], "the number of parts");
    if (!sizes) return failed_datum();
    if (!size.is_static()) {
        return report(call.context, diagnose<Code::not_supported_yet>(
                                        blame(call.context, call.place),
                                        fmt::format("splitting an axis of the run-time size {}",
                                                    size.to_string())));
    }
    if (!call.configuration[0].items()) {
        const std::int64_t count = (*sizes)[0];
        if (count < 1 || size.value() % count != 0) {
            return report(call.context, diagnose<Code::requirement_violated>(
                                            blame(call.context, call.place),
                                            fmt::format("{} cannot be split into {} equal parts",
                                                        size.value(), count)));
        }
        sizes->assign(static_cast<std::size_t>(count), size.value() / count);
    }
    std::int64_t total = 0;
    for (const std::int64_t part : *sizes) total += part < 1 ? size.value() + 1 : part;
    if (total != size.value()) {
        return report(call.context,
                      diagnose<Code::requirement_violated>(
                          blame(call.context, call.place),
                          fmt::format("parts of {} do not make {}",
                                      describe_value(call.configuration[0]), size.value())));
    }
    Items parts;
    std::vector<std::int64_t> starts(x->type.rank(), 0), stops(x->type.rank(), -1);
    const auto at = static_cast<std::size_t>(*axis);
    std::int64_t begin = 0;
    for (const std::int64_t part : *sizes) {
        starts[at] = begin;
        stops[at] = begin += part;
        parts.push_back(make_node(call.context, OpId::slice, {x.get()},
                                  {{"starts", starts}, {"stops", stops}}, call.place));
        if (parts.back().failed()) return failed_datum();
    }
    return make_tuple(std::move(parts), call.place);
}

// expand(y, n): a further axis at the end, y repeated n times along it.
Datum expand(const BuiltinCall& call) {
    const TensorPointer x = tensor_input(call, 0, call.context.real);
    const auto shape = x ? shape_of(call, call.values[1]) : std::nullopt;
    if (!shape) return failed_datum();
    Shape column = x->type.shape;
    column.push_back(Dim(1));
    const Datum reshaped =
        make_node(call.context, OpId::reshape, {x.get()}, {{"shape", column}}, call.place);
    if (reshaped.failed()) return reshaped;
    column.pop_back();
    column.insert(column.end(), shape->begin(), shape->end());
    return broadcast_to(call.context, reshaped, column, call.place);
}

Datum broadcast_along(const BuiltinCall& call) {
    const TensorPointer v = tensor_input(call, 0, call.context.real);
    const TensorPointer like = v ? tensor_input(call, 2, call.context.real) : nullptr;
    if (!like) return failed_datum();
    const auto axis = axis_of(call, call.values[1], *like);
    if (!axis) return failed_datum();
    const auto at = static_cast<std::size_t>(*axis);
    if (v->type.rank() != 1 || !(v->type.shape[0] == like->type.shape[at])) {
        return shapes_error(call.context, "along", *v, *like, call.values[0].place,
                            call.values[2].place, call.place);
    }
    Shape shape(like->type.rank(), Dim(1));
    shape[at] = v->type.shape[0];
    Datum vector{v, call.place};
    if (!(shape == v->type.shape)) {
        vector = make_node(call.context, OpId::reshape, {v.get()}, {{"shape", shape}}, call.place);
    }
    return broadcast_to(call.context, vector, like->type.shape, call.place);
}

Datum zeros_like(const BuiltinCall& call) {
    Type type{call.context.real, {}};
    if (const Tensor* like = call.values[0].tensor()) {
        type = like->type;
    } else {
        const auto shape = shape_of(call, call.values[0]);
        if (!shape) return failed_datum();
        type.shape = *shape;
    }
    return number_tensor(call.context, {std::int64_t{0}, call.place}, type.dtype, type.shape,
                         call.place);
}

std::optional<DType> dtype_of(const BuiltinCall& call, std::size_t index, DType fallback) {
    const Datum* given = call.given(index);
    if (!given) return fallback;
    const auto* wanted = given->as<DtypeValue>();
    if (!wanted) {
        wrong_value(call, *given, "argument `dtype`", "a dtype");
        return std::nullopt;
    }
    return resolve(call.context, wanted->dtype);
}

// iota([2, 3], 1): each element is its index along the axis.
Datum iota(const BuiltinCall& call) {
    const auto shape = shape_of(call, call.values[0]);
    const auto dtype = dtype_of(call, 2, DType::i32);
    if (!shape || !dtype) return failed_datum();
    Tensor like;
    like.type = {*dtype, *shape};
    const Datum first{std::int64_t{0}, call.place};
    const Datum* given = call.given(1);
    const auto axis = axis_of(call, given ? *given : first, like);
    if (!axis) return failed_datum();
    return make_node(call.context, OpId::iota, {},
                     {{"axis", *axis}, {"dtype", *dtype}, {"shape", *shape}}, call.place);
}

Datum tensor_constant(const BuiltinCall& call) {
    const auto dtype = dtype_of(call, 1, call.context.real);
    if (!dtype) return failed_datum();
    Shape shape;
    std::vector<double> values;
    const Flattened outcome =
        flatten_numbers(call.context, call.values[0], *dtype, call.place, shape, values);
    if (outcome == Flattened::failed) return failed_datum();
    if (outcome == Flattened::no_numbers) {
        return wrong_value(call, call.values[0], "the argument", "a nested list of numbers");
    }
    return make_node(call.context, OpId::tensor, {},
                     {{"values", values}, {"dtype", *dtype}, {"shape", shape}}, call.place);
}

Datum gather(const BuiltinCall& call) {
    const TensorPointer table = tensor_input(call, 0, call.context.real);
    const TensorPointer ids = table ? tensor_input(call, 1, DType::i32) : nullptr;
    if (!ids) return failed_datum();
    return make_node(call.context, OpId::gather, {table.get(), ids.get()}, {}, call.place);
}

Datum scatter_add(const BuiltinCall& call) {
    const TensorPointer base = tensor_input(call, 0, call.context.real);
    const TensorPointer ids = base ? tensor_input(call, 1, DType::i32) : nullptr;
    const TensorPointer x = ids ? tensor_input(call, 2, call.context.real) : nullptr;
    if (!x) return failed_datum();
    return make_node(call.context, OpId::scatter_add, {base.get(), ids.get(), x.get()},
                     {{"scattered", false}}, call.place);
}

Datum weight_below(const BuiltinCall& call) {
    const TensorPointer x = tensor_input(call, 0, call.context.real);
    const TensorPointer weights = x ? tensor_input(call, 1, call.context.real) : nullptr;
    if (!weights) return failed_datum();
    return make_node(call.context, OpId::weight_below, {x.get(), weights.get()}, {}, call.place);
}

// The value itself; the metric that asks is then measured once, on all samples.
Datum whole(const BuiltinCall& call) {
    call.context.whole_set = true;
    return call.values[0];
}

}  // namespace

void add_shape_builtins(std::vector<Builtin>& table) {
    const BuiltinFormal all{"axis", Takes::axes, "all"};
    const BuiltinFormal keep{"keep", Takes::boolean, "false"};
    const auto configurable = [&](std::string_view name, std::vector<BuiltinFormal> configuration,
                                  int inputs, Datum (*apply)(const BuiltinCall&),
                                  std::string_view doc) {
        table.push_back({name, doc, true, std::move(configuration), {{"x"}}, inputs, apply});
    };
    configurable("reduce_sum", {all, keep}, 1, reduce<OpId::reduce_sum>, "sum over axes");
    configurable("reduce_max", {all, keep}, 1, reduce<OpId::reduce_max>,
                 "maximum over axes; the first element takes it at a tie");
    configurable("reduce_min", {all, keep}, 1, reduce_min, "minimum over axes");
    configurable("argmax", {{"axis", Takes::integer, "-1"}}, 1, argmax,
                 "index of the maximum along an axis, i32; the first at a tie");
    configurable("einsum", {{"spec", Takes::string}}, -1, einsum, "contraction: \"bi,io->bo\"");
    configurable("reshape", {{"shape", Takes::shape}}, 1, reshape, "the same elements, row-major");
    configurable("permute", {{"order", Takes::axes}}, 1, permute, "axes in another order");
    configurable("broadcast", {{"shape", Takes::shape}}, 1, broadcast, "repeats along axes");
    configurable("pad", {{"widths", Takes::pairs}}, 1, pad, "zeros around: a pair for each axis");
    configurable("concat", {{"axis", Takes::integer}}, -1, concat, "joins tensors along an axis");
    configurable("split", {{"parts", Takes::integers}, {"axis", Takes::integer, "-1"}}, 1, split,
                 "a tuple of equal parts, or of parts of given sizes");
    const auto plain = [&](std::string_view name, std::vector<BuiltinFormal> inputs,
                           Datum (*apply)(const BuiltinCall&), std::string_view doc) {
        const int count = static_cast<int>(inputs.size());
        table.push_back({name, doc, false, {}, std::move(inputs), count, apply});
    };
    plain("expand", {{"x"}, {"n"}}, expand, "a further last axis of size n, x repeated along it");
    plain("broadcast_along", {{"v"}, {"axis"}, {"like"}}, broadcast_along,
          "a vector along one axis of a tensor, repeated along the others");
    plain("zeros_like", {{"shape"}}, zeros_like, "zeros in the shape of a tensor or a list");
    plain("iota", {{"shape"}, {"axis", Takes::integer, "0"}, {"dtype", Takes::dtype, "i32"}}, iota,
          "each element is its index along the axis");
    plain("tensor", {{"values"}, {"dtype", Takes::dtype, "real"}}, tensor_constant,
          "a constant from a nested list of numbers");
    plain("gather", {{"table"}, {"ids"}}, gather, "rows of a table by index");
    plain("scatter_add", {{"base"}, {"ids"}, {"x"}}, scatter_add, "base with x added to rows");
    plain("weight_below", {{"x"}, {"weights"}}, weight_below,
          "for each element the summed weights of smaller ones, half of those of equal ones");
    plain("whole", {{"x"}}, whole,
          "x; a metric in which it occurs is computed on all samples at once, not by batch");
}

}  // namespace netc::frontend
