// The table of builtins and what their implementations share.
#include "frontend/builtins.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

namespace netc::frontend {

namespace {

const std::vector<Builtin>& table() {
    static const std::vector<Builtin> rows = [] {
        std::vector<Builtin> made;
        add_static_builtins(made);
        add_elementwise_builtins(made);
        add_shape_builtins(made);
        add_window_builtins(made);
        add_initializer_builtins(made);
        add_weight_builtins(made);
        return made;
    }();
    return rows;
}

}  // namespace

std::span<const Builtin> all_builtins() { return table(); }

const Builtin* find_builtin(std::string_view name) {
    static const std::unordered_map<std::string_view, const Builtin*> rows = [] {
        std::unordered_map<std::string_view, const Builtin*> made;
        for (const Builtin& row : table()) made.emplace(row.name, &row);
        return made;
    }();
    const auto found = rows.find(name);
    return found == rows.end() ? nullptr : found->second;
}

Datum wrong_value(const BuiltinCall& call, const Datum& value, std::string_view what,
                  std::string_view wanted) {
    const Span place = value.place.known() ? value.place : call.place;
    // Layers of the library hand their arguments on: the user knows them by the layer's name.
    const std::string_view callee = blamed_callee(call.context, call.place);
    const std::string of =
        fmt::format("{} of `{}`", what, callee.empty() ? call.builtin.name : callee);
    return report(call.context,
                  diagnose<Code::wrong_static_type>(blame(call.context, place), of, wanted)
                      .text("this is {}", describe_kind(value)));
}

TensorPointer tensor_input(const BuiltinCall& call, std::size_t index, DType dtype) {
    if (index >= call.values.size()) return nullptr;
    const Datum& value = call.values[index];
    if (!value.tensor() && !value.is_number() && !value.is<bool>() && !value.function()) {
        wrong_value(call, value, "an input", "a tensor");
        return nullptr;
    }
    const Datum tensor = as_tensor(call.context, value, dtype, call.place);
    const auto* pointer = tensor.as<TensorPointer>();
    return pointer ? *pointer : nullptr;
}

std::optional<std::int64_t> axis_of(const BuiltinCall& call, const Datum& value,
                                    const Tensor& tensor) {
    const auto* axis = value.as<std::int64_t>();
    if (!axis) {
        wrong_value(call, value, "the axis", "an int");
        return std::nullopt;
    }
    const auto rank = static_cast<std::int64_t>(tensor.type.rank());
    if (*axis >= -rank && *axis < rank) return *axis < 0 ? *axis + rank : *axis;
    std::string known = "a tensor of rank 0 has no axes";
    if (rank == 1) known = "the axis of a rank-1 tensor is 0 or -1";
    if (rank > 1) {
        known =
            fmt::format("axes of a rank-{} tensor are 0 to {} or {} to -1", rank, rank - 1, -rank);
    }
    if (rank == 2) known = "axes of a rank-2 tensor are 0, 1 or -2, -1";
    const std::string_view callee = blamed_callee(call.context, call.place);
    const bool last = callee == "softmax" || callee == "log_softmax";
    // The argument itself where the user wrote it, else the call.
    const Frame* frame = call.context.frame;
    const bool direct = !is_library(call.context, call.place) && value.place.known();
    Span place = direct ? value.place : blame(call.context, call.place);
    if (!direct && frame && frame->function && !frame->function->configuration.empty() &&
        !is_library(call.context, frame->call)) {
        const Datum& first = frame->function->configuration[0];
        if (first.is<std::int64_t>() && *first.as<std::int64_t>() == *axis && first.place.known() &&
            !is_library(call.context, first.place)) {
            place = first.place;
        }
    }
    report(call.context,
           diagnose<Code::axis_out_of_range>(place, "axis", *axis, tensor.type.to_string())
               .text("{}", known)
               .help_text(last ? fmt::format("`{}` without an argument uses the last axis", callee)
                               : ""));
    return std::nullopt;
}

std::optional<std::vector<std::int64_t>> axes_of(const BuiltinCall& call, const Datum& value,
                                                 const Tensor& tensor) {
    std::vector<std::int64_t> axes;
    const Items one{value};
    const Items* items = value.items() ? value.items() : &one;
    for (const Datum& item : *items) {
        const std::optional<std::int64_t> axis = axis_of(call, item, tensor);
        if (!axis) return std::nullopt;
        axes.push_back(*axis);
    }
    std::sort(axes.begin(), axes.end());
    if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) {
        wrong_value(call, value, "the list of axes", "without repetition");
        return std::nullopt;
    }
    return axes;
}

std::optional<Shape> shape_of(const BuiltinCall& call, const Datum& value) {
    Shape shape;
    const Items one{value};
    const Items* items = value.items() ? value.items() : &one;
    for (const Datum& item : *items) {
        if (!item.is_integer()) {
            wrong_value(call, item, "a size", "an int");
            return std::nullopt;
        }
        const Dim size = dim_of(item);
        if (size.is_static() && size.value() < 1) {
            report(call.context,
                   diagnose<Code::dimension_below_one>(
                       blame(call.context, item.place.known() ? item.place : call.place),
                       fmt::format("`{}` is asked for a dimension of {}", call.builtin.name,
                                   size.value())));
            return std::nullopt;
        }
        shape.push_back(size);
    }
    return shape;
}

std::optional<std::vector<std::int64_t>> integers_of(const BuiltinCall& call, const Datum& value,
                                                     std::string_view what) {
    std::vector<std::int64_t> numbers;
    const Items one{value};
    const Items* items = value.items() ? value.items() : &one;
    for (const Datum& item : *items) {
        const auto* number = item.as<std::int64_t>();
        if (!number) {
            wrong_value(call, item, what, "an int or a list of ints");
            return std::nullopt;
        }
        numbers.push_back(*number);
    }
    return numbers;
}

}  // namespace netc::frontend
