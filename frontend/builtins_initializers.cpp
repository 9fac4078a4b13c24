// Initial values of parameters: zeros(), he_normal(fan_in = n), from_file("w.npy").
#include <filesystem>

#include <fmt/format.h>

#include "frontend/builtins.h"

namespace netc::frontend {

namespace {

Datum initial(const BuiltinCall& call, Initializer initializer) {
    return {InitialValue{std::make_shared<const Initializer>(std::move(initializer))}, call.place};
}

bool number_argument(const BuiltinCall& call, std::size_t index, double& number) {
    const Datum* given = call.given(index);
    if (!given) return true;
    const Datum& value = *given;
    if (!value.is_number() || value.is<Dim>()) {
        wrong_value(call, value, fmt::format("argument `{}`", call.builtin.inputs[index].name),
                    "a number");
        return false;
    }
    number = number_of(value);
    if (const auto* integer = value.as<std::int64_t>(); integer && !is_double(*integer)) {
        wrong_value(call, value, fmt::format("argument `{}`", call.builtin.inputs[index].name),
                    "a number that an f64 holds exactly");
        return false;
    }
    return true;
}

template <InitializerKind kind>
Datum plain(const BuiltinCall& call) {
    Initializer result;
    result.kind = kind;
    result.arguments.assign(call.builtin.inputs.size(), 0);
    for (std::size_t i = 0; i < result.arguments.size(); ++i) {
        if (!number_argument(call, i, result.arguments[i])) return failed_datum();
    }
    return initial(call, std::move(result));
}

Datum normal(const BuiltinCall& call) {
    double deviation = 0;
    if (!number_argument(call, 1, deviation)) return failed_datum();
    if (!(deviation >= 0)) {
        return wrong_value(call, call.values[1], "argument `deviation`",
                           fmt::format("at least 0, not {}", describe_value(call.values[1])));
    }
    return plain<InitializerKind::normal>(call);
}

Datum uniform(const BuiltinCall& call) {
    double low = 0, high = 0;
    if (!number_argument(call, 0, low) || !number_argument(call, 1, high)) return failed_datum();
    if (!(low <= high)) {
        return wrong_value(call, call.values[1], "argument `high`",
                           fmt::format("at least `low`, which is {}, not {}",
                                       describe_value(call.values[0]),
                                       describe_value(call.values[1])));
    }
    return plain<InitializerKind::uniform>(call);
}

template <InitializerKind kind>
Datum with_fans(const BuiltinCall& call) {
    Initializer result;
    result.kind = kind;
    if (!number_argument(call, 0, result.fan_in)) return failed_datum();
    if (!number_argument(call, 1, result.fan_out)) return failed_datum();
    return initial(call, std::move(result));
}

Datum from_file(const BuiltinCall& call) {
    const auto* path = call.values[0].as<std::string>();
    if (!path) return wrong_value(call, call.values[0], "the argument", "a file name");
    Initializer result;
    result.kind = InitializerKind::from_file;
    // Relative to the text that names it.
    const std::filesystem::path folder =
        std::filesystem::path(call.context.session.sources.path(call.place.file)).parent_path();
    result.path = (folder / *path).string();
    return initial(call, std::move(result));
}

}  // namespace

void add_initializer_builtins(std::vector<Builtin>& table) {
    const auto add = [&](std::string_view name, std::vector<BuiltinFormal> inputs,
                         Datum (*apply)(const BuiltinCall&), std::string_view doc) {
        const int count = static_cast<int>(inputs.size());
        table.push_back({name, doc, false, {}, std::move(inputs), count, apply});
    };
    const BuiltinFormal fan_in{"fan_in", Takes::number, "of the shape"};
    const BuiltinFormal fan_out{"fan_out", Takes::number, "of the shape"};
    add("zeros", {}, plain<InitializerKind::zeros>, "all 0");
    add("ones", {}, plain<InitializerKind::ones>, "all 1");
    add("full", {{"c"}}, plain<InitializerKind::full>, "all c");
    add("normal", {{"mean"}, {"deviation"}}, normal, "normal");
    add("uniform", {{"low"}, {"high"}}, uniform, "uniform in [low, high)");
    add("xavier_uniform", {fan_in, fan_out}, with_fans<InitializerKind::xavier_uniform>,
        "uniform in +-sqrt(6 / (fan_in + fan_out)); Glorot and Bengio 2010");
    add("xavier_normal", {fan_in, fan_out}, with_fans<InitializerKind::xavier_normal>,
        "normal with deviation sqrt(2 / (fan_in + fan_out))");
    add("he_uniform", {fan_in, fan_out}, with_fans<InitializerKind::he_uniform>,
        "uniform in +-sqrt(6 / fan_in); He et al. 2015");
    add("he_normal", {fan_in, fan_out}, with_fans<InitializerKind::he_normal>,
        "normal with deviation sqrt(2 / fan_in); He et al. 2015");
    add("orthogonal", {}, plain<InitializerKind::orthogonal>, "orthonormal rows or columns");
    add("rademacher", {}, plain<InitializerKind::rademacher>, "-1 or 1, each with probability 1/2");
    add("from_file", {{"path"}}, from_file,
        "the numbers of an .npy file, relative to the .net file");
}

}  // namespace netc::frontend
