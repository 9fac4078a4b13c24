// Warnings about what the user's calls of library layers are applied to.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/elaborate.h"

namespace netc::frontend {

namespace {

bool is_affine(std::string_view name) {
    return name == "linear" || name == "conv" || name == "conv1d" || name == "conv_transpose";
}

bool applies_own_activation(std::string_view loss) {
    return loss == "cross_entropy" || loss == "bce_with_logits" || loss == "one_vs_rest";
}

// The ints of an argument that is one for all axes, or a list.
std::vector<std::int64_t> integers_of(const FunctionValue& function, std::string_view name) {
    std::vector<std::int64_t> integers;
    const std::vector<std::string> names = configuration_names(function);
    for (std::size_t i = 0; i < names.size() && i < function.configuration.size(); ++i) {
        if (names[i] != name) continue;
        const Datum& value = function.configuration[i];
        if (const auto* integer = value.as<std::int64_t>()) integers.push_back(*integer);
        if (!value.items()) continue;
        for (const Datum& item : *value.items()) {
            if (const auto* integer = item.as<std::int64_t>()) integers.push_back(*integer);
        }
    }
    return integers;
}

// Padded by half of k - 1, an even kernel takes a row from an image that should keep its size.
void lint_even_kernel(Context& context, const FunctionValue& function, Span place) {
    const auto all_are = [&](std::string_view name, std::int64_t wanted) {
        const std::vector<std::int64_t> given = integers_of(function, name);
        return std::ranges::all_of(given, [&](std::int64_t value) { return value == wanted; });
    };
    if (!all_are("stride", 1) || !all_are("dilation", 1)) return;
    for (const std::int64_t k : integers_of(function, "k")) {
        const bool half = k % 2 == 0 && k > 2 && !integers_of(function, "pad").empty() &&
                          all_are("pad", (k - 1) / 2);
        if (!half) continue;
        context.session.diagnostics.add(diagnose<Code::even_kernel>(place, k).help(
            "an odd kernel keeps the size: `k={}`", k - 1));
        return;
    }
}

}  // namespace

void lint_call(Context& context, const FunctionValue& function, const std::vector<Datum>& values,
               const Datum& result, Span place) {
    const std::string name(function.name());
    const Tensor* x = values.empty() ? nullptr : values[0].tensor();
    if (context.region) return;  // nodes of a body have other numbers
    const auto before = x ? context.made_by.find(x->id.index) : context.made_by.end();
    Diagnostics& diagnostics = context.session.diagnostics;
    if (before != context.made_by.end()) {
        const Lint& made = before->second;
        if (applies_own_activation(name) &&
            (made.layer == "softmax" || made.layer == "sigmoid" || made.layer == "log_softmax")) {
            diagnostics.add(
                diagnose<Code::softmax_before_cross_entropy>(place, name, made.layer)
                    .label(made.place, "applied here")
                    .help("leave `{}` out of the model; apply it to predictions only", made.layer));
        }
        if (is_affine(name) && is_affine(made.layer)) {
            diagnostics.add(
                diagnose<Code::no_activation_between_linear>(
                    place, source_text(context, made.place, 30), source_text(context, place, 30))
                    .label(made.place, "the first"));
        }
        if (name == "batch_norm" && made.layer == "dropout") {
            diagnostics.add(
                diagnose<Code::dropout_before_batch_norm>(place).label(made.place, "the dropout"));
        }
        const bool bias = made.path.find('b') != std::string::npos;
        if (name == "batch_norm" && is_affine(made.layer) && bias) {
            diagnostics.add(diagnose<Code::bias_before_batch_norm>(
                                made.place, source_text(context, made.place, 30))
                                .label(place, "this removes it")
                                .help("configure it with `bias=false`"));
        }
    }
    if (name == "conv" || name == "conv1d" || name == "depthwise_conv") {
        lint_even_kernel(context, function, place);
    }
    const Tensor* made = result.tensor();
    if (!made) return;
    // Whether a bias was asked for stands in the configuration.
    std::string flags;
    if (is_affine(name)) {
        const std::vector<std::string> names = configuration_names(function);
        for (std::size_t i = 0; i < names.size() && i < function.configuration.size(); ++i) {
            const bool* truth = function.configuration[i].as<bool>();
            if (names[i] == "bias" && truth && *truth) flags = "b";
        }
    }
    context.made_by[made->id.index] = {name, flags, place};
}

}  // namespace netc::frontend
