// Builtins on static values: sizes of tensors, lists, counting parameters, one setting per axis.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "frontend/builtins.h"
#include "frontend/elaborate_model.h"
#include "frontend/utf8.h"

namespace netc::frontend {

namespace {

Datum size(const BuiltinCall& call) {
    const TensorPointer x = tensor_input(call, 0, call.context.real);
    return x ? integer_datum(product(x->type.shape), call.place) : failed_datum();
}

Datum extent(const BuiltinCall& call) {
    const TensorPointer x = tensor_input(call, 0, call.context.real);
    if (!x) return failed_datum();
    const auto axes = axes_of(call, call.values[1], *x);
    if (!axes) return failed_datum();
    Dim total = 1;
    for (const std::int64_t axis : *axes) {
        total = total * x->type.shape[static_cast<std::size_t>(axis)];
    }
    return integer_datum(total, call.place);
}

Datum product_of(const BuiltinCall& call) {
    const Items* items = call.values[0].items();
    if (!items) return wrong_value(call, call.values[0], "the argument", "a list of numbers");
    Datum total{std::int64_t{1}, call.place};
    for (const Datum& item : *items) {
        total = static_binary(call.context, ast::BinaryOperator::multiply, total, item, call.place,
                              call.place);
    }
    return total;
}

Datum rank(const BuiltinCall& call) {
    const TensorPointer x = tensor_input(call, 0, call.context.real);
    return x ? Datum{static_cast<std::int64_t>(x->type.rank()), call.place} : failed_datum();
}

Datum len(const BuiltinCall& call) {
    if (const auto* text = call.values[0].as<std::string>()) {
        std::int64_t characters = 0;
        for (std::size_t i = 0; i < text->size(); ++i) characters += begins_character(*text, i);
        return {characters, call.place};
    }
    const Items* items = call.values[0].items();
    if (!items) return wrong_value(call, call.values[0], "the argument", "a list");
    return {static_cast<std::int64_t>(items->size()), call.place};
}

Datum spatial_axes(const BuiltinCall& call) {
    const TensorPointer x = tensor_input(call, 0, call.context.real);
    if (!x) return failed_datum();
    Items axes;
    for (std::size_t i = 2; i < x->type.rank(); ++i) {
        axes.push_back({static_cast<std::int64_t>(i), call.place});
    }
    return make_list(std::move(axes), call.place);
}

Datum param_count(const BuiltinCall& call) {
    const FunctionValue* function = call.values[0].function();
    const bool model = function && function->declaration &&
                       function->declaration->callable->kind == ast::CallableKind::model;
    if (!model) return wrong_value(call, call.values[0], "the argument", "a model");
    const ModelResult* result = elaborate_model(call.context.session, *function->declaration);
    if (!result || !result->ok) return failed_datum();
    return {result->model.parameter_count, call.place};
}

// per_axis(3, 2) is [3, 3]; a list is checked for its length.
Datum per_axis(const BuiltinCall& call) {
    const Datum& value = call.values[0];
    const auto* count = call.values[1].as<std::int64_t>();
    if (!count) return wrong_value(call, call.values[1], "the number of axes", "an int");
    if (value.is<std::int64_t>()) {
        return make_list(Items(static_cast<std::size_t>(*count), value), call.place);
    }
    const Items* items = value.items();
    const bool fits = items && static_cast<std::int64_t>(items->size()) == *count &&
                      std::all_of(items->begin(), items->end(),
                                  [](const Datum& item) { return item.is<std::int64_t>(); });
    if (fits) return make_list(*items, call.place);
    const std::string_view callee = blamed_callee(call.context, call.place);
    return report(call.context,
                  diagnose<Code::wrong_static_type>(
                      blame(call.context, value.place.known() ? value.place : call.place),
                      fmt::format("an argument of `{}`", callee.empty() ? "per_axis" : callee),
                      fmt::format("an int, or a list of {} ints", *count))
                      .text("this is {}", items ? describe_value(value) : describe_kind(value)));
}

// Padding per axis: a number, a list, "same" (keeps the size at stride 1), "valid" (none).
Datum padding(const BuiltinCall& call) {
    for (std::size_t list = 1; list < 3; ++list) {
        const Items* sizes = call.values[list].items();
        if (sizes == nullptr || sizes->size() != call.values[1].items()->size() ||
            !std::all_of(sizes->begin(), sizes->end(),
                         [](const Datum& size) { return size.is<std::int64_t>(); })) {
            return wrong_value(call, call.values[list], "the kernel or dilation",
                               "a list of ints, one per axis");
        }
        for (const Datum& size : *sizes) {
            if (*size.as<std::int64_t>() >= 1) continue;
            return report(call.context, diagnose<Code::requirement_violated>(
                                            blame(call.context, call.place),
                                            fmt::format("{} must be at least 1, not {}",
                                                        list == 1 ? "the kernel" : "the dilation",
                                                        describe_value(size))));
        }
    }
    const auto* word = call.values[0].as<std::string>();
    if (!word) {
        const auto axes = static_cast<std::int64_t>(call.values[1].items()->size());
        const Items values{call.values[0], {axes, call.place}};
        const BuiltinCall plain{call.context, call.builtin, call.configuration, values, call.place};
        return per_axis(plain);
    }
    const Items& kernel = *call.values[1].items();
    const Items& dilation = *call.values[2].items();
    Items pads;
    for (std::size_t i = 0; i < kernel.size(); ++i) {
        const std::int64_t reach =
            *dilation[i].as<std::int64_t>() * (*kernel[i].as<std::int64_t>() - 1);
        if (*word != "same" && *word != "valid") {
            return wrong_value(call, call.values[0], "argument `pad`",
                               "a number, \"same\" or \"valid\"");
        }
        if (*word == "same" && reach % 2 != 0) {
            return report(call.context,
                          diagnose<Code::requirement_violated>(
                              blame(call.context, call.place),
                              fmt::format("padding \"same\" needs an odd kernel, not {}",
                                          describe_value(kernel[i]))));
        }
        pads.push_back({*word == "same" ? reach / 2 : std::int64_t{0}, call.place});
    }
    return make_list(std::move(pads), call.place);
}

Datum log2_of(const BuiltinCall& call) {
    const Datum& value = call.values[0];
    if (!value.is_number() || value.is<Dim>() || number_of(value) <= 0) {
        return wrong_value(call, value, "the argument", "a positive static number");
    }
    return {std::log2(number_of(value)), call.place};
}

// A float that was rounded, as an int.
Datum whole_number(const BuiltinCall& call, double rounded) {
    if (std::abs(rounded) < 0x1p63) return {static_cast<std::int64_t>(rounded), call.place};
    const Span place = blame(call.context, call.place);
    return report(call.context,
                  diagnose<Code::number_too_large>(place, number_text(rounded), "an int of 64 bits")
                      .text("what `{}` gives is an int", call.builtin.name));
}

Datum ceil_of(const BuiltinCall& call) {
    const Datum& value = call.values[0];
    if (value.is<std::int64_t>()) return value;
    if (const double* number = value.as<double>()) return whole_number(call, std::ceil(*number));
    if (value.tensor()) {  // -floor(-x)
        const Datum minus = negate(call.context, value, call.place, call.place);
        if (minus.failed()) return minus;
        const Datum down = make_node(call.context, OpId::floor, {minus.tensor()}, {}, call.place);
        return down.failed() ? down : negate(call.context, down, call.place, call.place);
    }
    return wrong_value(call, value, "the argument", "a number");
}

Datum floor_of(const BuiltinCall& call) {
    const Datum& value = call.values[0];
    if (value.is<std::int64_t>()) return value;
    if (const double* number = value.as<double>()) return whole_number(call, std::floor(*number));
    if (value.tensor()) {
        return make_node(call.context, OpId::floor, {value.tensor()}, {}, call.place);
    }
    return wrong_value(call, value, "the argument", "a number");
}

Datum unstack(const BuiltinCall& call) {
    const TensorPointer x = tensor_input(call, 0, call.context.real);
    if (!x) return failed_datum();
    const std::optional<std::int64_t> axis = axis_of(call, call.values[1], *x);
    if (!axis) return failed_datum();
    SequenceValue sequence{x, *axis, false, call.values[1].place};
    if (const Datum* given = call.given(2)) {
        const bool* reverse = given->as<bool>();
        if (!reverse) return wrong_value(call, *given, "`reverse`", "a bool");
        sequence.reverse = *reverse;
    }
    return {std::move(sequence), call.place};
}

}  // namespace

void add_static_builtins(std::vector<Builtin>& table) {
    const auto add = [&](std::string_view name, std::vector<BuiltinFormal> inputs,
                         Datum (*apply)(const BuiltinCall&), std::string_view doc) {
        const int count = static_cast<int>(inputs.size());
        table.push_back({name, doc, false, {}, std::move(inputs), count, apply});
    };
    add("size", {{"x"}}, size, "number of elements of a tensor");
    add("extent", {{"x"}, {"axes"}}, extent, "product of a tensor's sizes along an axis or axes");
    add("product", {{"list"}}, product_of, "product of a list of numbers; 1 for none");
    add("rank", {{"x"}}, rank, "number of dimensions of a tensor");
    add("len", {{"list"}}, len, "number of items of a list, or of characters");
    add("spatial_axes", {{"x"}}, spatial_axes, "axes behind batch and channels: [2, 3] for images");
    add("param_count", {{"model"}}, param_count, "number of trainable parameters of a model");
    add("per_axis", {{"value"}, {"count"}}, per_axis, "a list of `count` ints, from one or a list");
    add("padding", {{"pad"}, {"k"}, {"dilation"}}, padding,
        "padding per axis from an int, a list, \"same\" or \"valid\"");
    add("log2", {{"x"}}, log2_of, "logarithm to base 2 of a static number");
    add("ceil", {{"x"}}, ceil_of, "rounds up: a static number to an int, a tensor elementwise");
    add("floor", {{"x"}}, floor_of, "rounds down: a static number to an int, a tensor elementwise");
    table.push_back({"unstack",
                     "the slices of a tensor along an axis, for `scan`",
                     false,
                     {},
                     {{"x"}, {"axis"}, {"reverse", Takes::boolean, "false"}},
                     3,
                     unstack});
}

}  // namespace netc::frontend
