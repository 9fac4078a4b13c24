// Builtins that slide: convolutions and windows. Their geometry is checked here, so that messages name
// the user's call and the arithmetic.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/builtins.h"

namespace netc::frontend {

namespace {

using Integers = std::vector<std::int64_t>;

// One number for each axis, from the configuration or a default.
std::optional<Integers> setting(const BuiltinCall& call, std::size_t index, std::size_t axes,
                                std::int64_t fallback, std::int64_t least) {
    const Datum* given = call.configured(index);
    if (!given) return Integers(axes, fallback);
    const std::string what = fmt::format("argument `{}`", call.builtin.configuration[index].name);
    auto numbers = integers_of(call, *given, what);
    if (!numbers) return std::nullopt;
    if (!given->items()) numbers->assign(axes, (*numbers)[0]);
    if (numbers->size() != axes) {
        wrong_value(call, *given, what,
                    fmt::format("an int, or one int for each of {} axes", axes));
        return std::nullopt;
    }
    for (const std::int64_t number : *numbers) {
        if (number >= least) continue;
        wrong_value(call, *given, what, fmt::format("at least {}, not {}", least, number));
        return std::nullopt;
    }
    return numbers;
}

// height in each turn: 224, 112, 56, and turn 4 of 9 would give 0
void tell_turns(const Turns& turns, std::size_t axis, std::int64_t result, Diagnostic& diagnostic) {
    constexpr std::string_view kNames[] = {"height", "width"};
    std::vector<std::string> sizes;
    for (const Type& type : turns.inputs) {
        if (type.rank() > axis) sizes.push_back(type.shape[axis].to_string());
    }
    const std::size_t turn = turns.inputs.size();
    const bool image = turns.inputs[0].rank() == 4;
    std::move(diagnostic)
        .note("{} in each turn: {}, and turn {} of {} would give {}",
              image ? std::string(kNames[axis - 2]) : fmt::format("dimension {}", axis),
              fmt::join(sizes, ", "), turn, turns.count, result);
    if (turn < 2) return;
    std::move(diagnostic)
        .help("at most `repeat {}` fits {}", turn - 1,
              image ? fmt::format("a {}-pixel image", sizes[0]) : fmt::format("the {}", sizes[0]));
}

Datum too_small(const BuiltinCall& call, const Tensor& x, std::size_t axis, std::int64_t pad,
                std::int64_t reach, std::int64_t stride, std::int64_t result) {
    const Span place = blame(call.context, call.place);
    const Dim& size = x.type.shape[axis];
    Diagnostic diagnostic = diagnose<Code::dimension_below_one>(
                                place, fmt::format("the image has become too small for `{}`",
                                                   source_text(call.context, place, 40)))
                                .text("({} + {} - {}) // {} + 1 = {}", size.to_string(), 2 * pad,
                                      reach, stride, result);
    const std::vector<Turns>& turns = call.context.turns;
    if (!turns.empty() && !turns.back().inputs.empty() && turns.back().inputs[0].rank() > axis) {
        tell_turns(turns.back(), axis, result, diagnostic);
    } else {
        std::move(diagnostic).note("its input is {}", x.type.to_string());
    }
    if (diagnostic.helps.empty()) {
        std::move(diagnostic).help("use fewer or smaller steps before it");
    }
    return report(call.context, std::move(diagnostic));
}

// The sizes of the result along the sliding axes; nothing where one falls below 1 (reported).
std::optional<Shape> slide(const BuiltinCall& call, const Tensor& x, const Integers& size,
                           const Integers& stride, const Integers& pad, const Integers& dilation) {
    Shape result;
    const std::size_t first = x.type.rank() - size.size();
    for (std::size_t i = 0; i < size.size(); ++i) {
        const std::int64_t reach = dilation[i] * (size[i] - 1) + 1;
        const Dim& along = x.type.shape[first + i];
        const Dim room = along + Dim(2 * pad[i] - reach);
        const Dim count = floor_div(room, stride[i]) + Dim(1);
        if (count.is_static() && count.value() < 1) {
            too_small(call, x, first + i, pad[i], reach, stride[i], count.value());
            return std::nullopt;
        }
        result.push_back(count);
    }
    return result;
}

std::optional<std::int64_t> groups_of(const BuiltinCall& call, std::size_t index) {
    const Datum* given = call.configured(index);
    if (!given) return 1;
    const auto* groups = given->as<std::int64_t>();
    if (groups && *groups >= 1) return *groups;
    wrong_value(call, *given, "argument `groups`", "an int of at least 1");
    return std::nullopt;
}

struct ConvolutionInputs {
    TensorPointer x, w;
    std::size_t axes = 0;
};

std::optional<ConvolutionInputs> convolution_inputs(const BuiltinCall& call) {
    ConvolutionInputs inputs;
    inputs.x = tensor_input(call, 0, call.context.real);
    inputs.w =
        inputs.x && call.values.size() > 1 ? tensor_input(call, 1, call.context.real) : nullptr;
    if (!inputs.x) return std::nullopt;
    if (!inputs.w) {
        if (call.values.size() < 2) {
            report(call.context, diagnose<Code::missing_argument>(
                                     blame(call.context, call.place), call.builtin.name,
                                     "two tensors: the input and the weights"));
        }
        return std::nullopt;
    }
    const std::size_t rank = inputs.x->type.rank();
    if (rank < 3 || inputs.w->type.rank() != rank) {
        report(call.context,
               diagnose<Code::wrong_rank>(blame(call.context, call.place), call.builtin.name,
                                          rank < 3 ? "3+" : std::to_string(rank),
                                          rank < 3 ? "the input" : "the weight",
                                          rank < 3 ? rank : inputs.w->type.rank()));
        return std::nullopt;
    }
    inputs.axes = rank - 2;
    return inputs;
}

Integers kernel_of(const Tensor& w) {
    Integers size;
    for (std::size_t i = 2; i < w.type.rank(); ++i) {
        size.push_back(w.type.shape[i].is_static() ? w.type.shape[i].value() : 1);
    }
    return size;
}

Datum conv_nd(const BuiltinCall& call) {
    const auto inputs = convolution_inputs(call);
    if (!inputs) return failed_datum();
    const auto stride = setting(call, 0, inputs->axes, 1, 1);
    const auto pad = stride ? setting(call, 1, inputs->axes, 0, 0) : std::nullopt;
    const auto dilation = pad ? setting(call, 2, inputs->axes, 1, 1) : std::nullopt;
    const auto groups = dilation ? groups_of(call, 3) : std::nullopt;
    if (!groups) return failed_datum();
    const Tensor& x = *inputs->x;
    const Tensor& w = *inputs->w;
    if (!(x.type.shape[1] == w.type.shape[1] * Dim(*groups))) {
        return report(
            call.context,
            diagnose<Code::inner_dimensions_differ>(blame(call.context, call.place),
                                                    call.builtin.name, x.type.shape[1].to_string(),
                                                    (w.type.shape[1] * Dim(*groups)).to_string())
                .note("the input is {}, the weight {}", x.type.to_string(), w.type.to_string()));
    }
    if (!slide(call, x, kernel_of(w), *stride, *pad, *dilation)) return failed_datum();
    return make_node(
        call.context, OpId::conv_nd, {&x, &w},
        {{"stride", *stride}, {"pad", *pad}, {"dilation", *dilation}, {"groups", *groups}},
        call.place);
}

Datum conv_transpose_nd(const BuiltinCall& call) {
    const auto inputs = convolution_inputs(call);
    if (!inputs) return failed_datum();
    const auto stride = setting(call, 0, inputs->axes, 1, 1);
    const auto pad = stride ? setting(call, 1, inputs->axes, 0, 0) : std::nullopt;
    const auto output_pad = pad ? setting(call, 2, inputs->axes, 0, 0) : std::nullopt;
    const auto dilation = output_pad ? setting(call, 3, inputs->axes, 1, 1) : std::nullopt;
    const auto groups = dilation ? groups_of(call, 4) : std::nullopt;
    if (!groups) return failed_datum();
    return make_node(call.context, OpId::conv_transpose_nd, {inputs->x.get(), inputs->w.get()},
                     {{"stride", *stride},
                      {"pad", *pad},
                      {"output_pad", *output_pad},
                      {"dilation", *dilation},
                      {"groups", *groups}},
                     call.place);
}

// window(op, size, stride = size, pad = 0): the sizes are of the last axes.
Datum window(const BuiltinCall& call) {
    const TensorPointer x = tensor_input(call, 0, call.context.real);
    if (!x) return failed_datum();
    const auto* op = call.configuration[0].as<std::string>();
    if (!op || (*op != "max" && *op != "sum")) {
        return wrong_value(call, call.configuration[0], "argument `op`", "\"max\" or \"sum\"");
    }
    auto size = integers_of(call, call.configuration[1], "argument `size`");
    if (!size) return failed_datum();
    if (size->empty() || size->size() > x->type.rank()) {
        return wrong_value(call, call.configuration[1], "argument `size`",
                           fmt::format("a list of at most {} ints", x->type.rank()));
    }
    auto stride = setting(call, 2, size->size(), 0, 1);
    auto pad = stride ? setting(call, 3, size->size(), 0, 0) : std::nullopt;
    if (!pad) return failed_datum();
    if (!call.configured(2)) stride = size;
    // Leading axes that are not windowed.
    while (size->size() > 1 && (*size)[0] == 1 && (*stride)[0] == 1 && (*pad)[0] == 0) {
        for (Integers* list : {&*size, &*stride, &*pad}) list->erase(list->begin());
    }
    for (std::size_t i = 0; i < size->size(); ++i) {
        if ((*size)[i] < 1 || (*pad)[i] >= (*size)[i]) {
            return report(call.context,
                          diagnose<Code::requirement_violated>(
                              blame(call.context, call.place),
                              (*size)[i] < 1
                                  ? fmt::format("a window of {} is empty", (*size)[i])
                                  : fmt::format("padding {} is not below the window's size {}",
                                                (*pad)[i], (*size)[i])));
        }
    }
    const Integers dilation(size->size(), 1);
    if (!slide(call, *x, *size, *stride, *pad, dilation)) return failed_datum();
    return make_node(call.context, OpId::window, {x.get()},
                     {{"op", *op}, {"size", *size}, {"stride", *stride}, {"pad", *pad}},
                     call.place);
}

}  // namespace

void add_window_builtins(std::vector<Builtin>& table) {
    const BuiltinFormal stride{"stride", Takes::integers, "1"};
    const BuiltinFormal pad{"pad", Takes::integers, "0"};
    const BuiltinFormal dilation{"dilation", Takes::integers, "1"};
    const BuiltinFormal groups{"groups", Takes::integer, "1"};
    const BuiltinFormal output_pad{"output_pad", Takes::integers, "0"};
    table.push_back({"conv_nd",
                     "convolution of [B, C, *S] with weights [out, C / groups, k...]",
                     true,
                     {stride, pad, dilation, groups},
                     {{"x"}, {"w"}},
                     2,
                     conv_nd});
    table.push_back({"conv_transpose_nd",
                     "transposed convolution, weights [in, out / groups, k...]",
                     true,
                     {stride, pad, output_pad, dilation, groups},
                     {{"x"}, {"w"}},
                     2,
                     conv_transpose_nd});
    table.push_back({"window",
                     "maximum or sum over a sliding window of the last axes",
                     true,
                     {{"op", Takes::string},
                      {"size", Takes::integers},
                      {"stride", Takes::integers, "size"},
                      pad},
                     {{"x"}},
                     1,
                     window});
}

}  // namespace netc::frontend
