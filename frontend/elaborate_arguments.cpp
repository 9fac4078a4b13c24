// Arguments: checking them against formals, pairing them with names, and configuring with them. A
// declaration has an optional configuration list and a tensor list.
#include "frontend/elaborate_arguments.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "frontend/suggest.h"

namespace netc::frontend {

std::string_view wanted_text(ast::StaticKind kind) {
    switch (kind) {
        case ast::StaticKind::integer: return "an int";
        case ast::StaticKind::floating: return "a float";
        case ast::StaticKind::boolean: return "a bool";
        case ast::StaticKind::string: return "a string";
        case ast::StaticKind::list: return "a list";
        case ast::StaticKind::fn: return "a function";
        case ast::StaticKind::layer: return "a layer";
        case ast::StaticKind::init: return "an initialiser";
        case ast::StaticKind::dtype: return "a dtype";
    }
    return "a value";
}

namespace {

bool is_nested_numbers(const Datum& value) {
    const auto* list = value.as<ListValue>();
    if (!list || list->items->empty()) return false;
    return std::all_of(list->items->begin(), list->items->end(), [](const Datum& item) {
        return item.is_number() || is_nested_numbers(item);
    });
}

}  // namespace

std::optional<Datum> adapt_static(Context& context, const Datum& value, ast::StaticKind wanted) {
    (void)context;
    switch (wanted) {
        case ast::StaticKind::integer:
            if (value.is_integer()) return value;
            break;
        case ast::StaticKind::floating:
            if (value.is<double>()) return value;
            if (const auto* integer = value.as<std::int64_t>()) {
                return Datum{static_cast<double>(*integer), value.place};
            }
            break;
        case ast::StaticKind::boolean:
            if (value.is<bool>()) return value;
            break;
        case ast::StaticKind::string:
            if (value.is<std::string>()) return value;
            break;
        case ast::StaticKind::list:
            // One number or word stands for one on every axis.
            if (value.items() || value.is_number() || value.is<std::string>()) return value;
            break;
        case ast::StaticKind::fn:
        case ast::StaticKind::layer:
            if (value.function()) return value;
            break;
        case ast::StaticKind::init:
            if (value.is<InitialValue>() || is_nested_numbers(value)) return value;
            break;
        case ast::StaticKind::dtype:
            if (value.is<DtypeValue>()) return value;
            break;
    }
    return std::nullopt;
}

std::vector<std::string_view> names_of(const std::vector<ast::Formal>& formals) {
    std::vector<std::string_view> names;
    names.reserve(formals.size());
    for (const ast::Formal& formal : formals) names.push_back(formal.name.text);
    return names;
}

std::vector<std::string_view> names_of(const std::vector<BuiltinFormal>& formals) {
    std::vector<std::string_view> names;
    for (const BuiltinFormal& formal : formals) names.push_back(formal.name);
    return names;
}

// conv(out, k = 3, stride = 1)
bool has_configuration(const FunctionValue& function) {
    if (function.builtin) return function.builtin->configurable;
    return function.declaration && function.declaration->callable->configuration.has_value();
}

namespace {

// conv(out, k = 3, stride = 1)
std::string formals_text(const Context& context, const std::vector<ast::Formal>& formals) {
    std::string text;
    for (const ast::Formal& formal : formals) {
        if (!text.empty()) text += ", ";
        text += formal.name.text;
        if (formal.default_value) text += " = " + source_text(context, formal.default_value->span);
    }
    return text;
}

}  // namespace

std::string signature_text(const Context& context, const FunctionValue& function) {
    std::string text(function.name());
    if (function.builtin) {
        const auto& formals = function.builtin->configurable ? function.builtin->configuration
                                                             : function.builtin->inputs;
        text += "(";
        for (std::size_t i = 0; i < formals.size(); ++i) {
            text += fmt::format("{}{}", i ? ", " : "", formals[i].name);
            if (!formals[i].default_text.empty()) {
                text += fmt::format(" = {}", formals[i].default_text);
            }
        }
        return text + ")";
    }
    if (!function.declaration) return text;
    const ast::Callable& callable = *function.declaration->callable;
    const auto& list = callable.configuration ? *callable.configuration : callable.inputs;
    return text + "(" + formals_text(context, list.formals) + ")";
}

std::vector<std::string> configuration_names(const FunctionValue& function) {
    std::vector<std::string> names;
    if (function.builtin) {
        for (const BuiltinFormal& formal : function.builtin->configuration) {
            names.emplace_back(formal.name);
        }
    } else if (function.declaration && function.declaration->callable->configuration) {
        for (const ast::Formal& formal : function.declaration->callable->configuration->formals) {
            names.push_back(formal.name.text);
        }
    }
    return names;
}

// The call as it stands with another name for one of its arguments.
static std::string with_name(Context& context, const FunctionValue& function, const Actual& actual,
                             const std::string& name, Span call) {
    const Span wrong = actual.name_place;
    const bool one_text = call.known() && wrong.known() && call.file == wrong.file &&
                          call.begin <= wrong.begin && wrong.end <= call.end;
    const SourceMap& sources = context.session.sources;
    if (one_text && call.end - call.begin <= 60) {
        return fmt::format("{}{}{}", sources.text({call.file, call.begin, wrong.begin}), name,
                           sources.text({call.file, wrong.end, call.end}));
    }
    return fmt::format("{}({} = {})", function.name(), name,
                       source_text(context, actual.value.place, 30));
}

std::optional<std::vector<const Actual*>> pair_arguments(Context& context,
                                                         const FunctionValue& function,
                                                         const std::vector<std::string_view>& names,
                                                         const std::vector<Actual>& actuals,
                                                         Span place) {
    std::vector<const Actual*> paired(names.size(), nullptr);
    std::size_t next = 0;
    for (const Actual& actual : actuals) {
        if (actual.name.empty()) {
            if (next >= names.size()) {
                report(context, diagnose<Code::too_many_arguments>(
                                    blame(context, actual.place), function.name(),
                                    names.size() == 1 ? "one argument"
                                                      : fmt::format("{} arguments", names.size()),
                                    actuals.size())
                                    .note("{}", signature_text(context, function)));
                return std::nullopt;
            }
            paired[next++] = &actual;
            continue;
        }
        const auto found = std::find(names.begin(), names.end(), actual.name);
        if (found == names.end()) {
            Diagnostic diagnostic =
                diagnose<Code::unknown_argument>(blame(context, actual.name_place), function.name(),
                                                 actual.name)
                    .text("unknown argument")
                    .note("{}", signature_text(context, function));
            std::vector<std::string_view> candidates(names.begin(), names.end());
            if (const auto meant = suggest(actual.name, candidates)) {
                std::move(diagnostic)
                    .help("the argument is called `{}`: `{}`", *meant,
                          with_name(context, function, actual, *meant, place));
            }
            report(context, std::move(diagnostic));
            return std::nullopt;
        }
        const Actual*& slot = paired[static_cast<std::size_t>(found - names.begin())];
        if (slot) {
            report(context,
                   diagnose<Code::too_many_arguments>(blame(context, actual.place), function.name(),
                                                      fmt::format("one `{}`", actual.name), 2)
                       .label(blame(context, slot->place), "given here first"));
            return std::nullopt;
        }
        slot = &actual;
    }
    (void)place;
    return paired;
}

namespace {

// write `linear(4)`; the model result f32[B, 4] asks for 4
std::string outputs_help(const Context& context, const FunctionValue& function) {
    const Frame* root = context.frame;
    while (root && root->caller) root = root->caller;
    const ast::Callable* model = root && root->declaration ? root->declaration->callable : nullptr;
    const auto* type =
        model && model->result ? std::get_if<ast::TensorType>(&model->result->kind) : nullptr;
    if (!type || type->dims.size() < 2) {
        return fmt::format("write `{}(10)` for ten outputs", function.name());
    }
    const std::string size = source_text(context, type->dims.back().span);
    return fmt::format("write `{}({})`; the {} result {} asks for {}", function.name(), size,
                       spelling(model->kind), source_text(context, model->result->span), size);
}

}  // namespace

Datum missing(Context& context, const FunctionValue& function, std::string_view name, Span place) {
    std::string what = fmt::format("the argument `{}`", name);
    std::string help;
    if (name == "out") {
        what = "to know its number of outputs";
        help = outputs_help(context, function);
    } else if (name == "x") {
        what = "an input";
    }
    return report(context,
                  diagnose<Code::missing_argument>(blame(context, place), function.name(), what)
                      .text("argument `{}` has no default", name)
                      .note("{}", signature_text(context, function))
                      .help_text(help));
}

namespace {

Datum wrong_argument(Context& context, const FunctionValue& function, const ast::Formal& formal,
                     ast::StaticKind kind, const Datum& value) {
    Diagnostic diagnostic =
        diagnose<Code::wrong_static_type>(
            blame(context, value.place),
            fmt::format("argument `{}` of `{}`", formal.name.text, function.name()),
            wanted_text(kind))
            .text("this is {}", describe_kind(value));
    if (const double* number = value.as<double>(); number && kind == ast::StaticKind::integer &&
                                                   std::abs(*number) < 1e15 &&
                                                   *number == std::trunc(*number)) {
        std::move(diagnostic).help("write `{}`", static_cast<std::int64_t>(*number));
    }
    return report(context, std::move(diagnostic));
}

// The value of one configuration argument, checked; failed when something is wrong (reported).
Datum configuration_value(Context& context, FunctionValue& function, const ast::Formal& formal,
                          const Actual* given, Frame& frame, const ScopePointer& scope) {
    Datum value;
    if (given) {
        value = given->value;
    } else if (formal.default_value) {
        context.frame = &frame;
        value = evaluate(context, *formal.default_value, scope);
        context.frame = frame.caller;
    } else {
        return missing(context, function, formal.name.text, frame.call);
    }
    const auto* kind = std::get_if<ast::StaticType>(&formal.type.kind);
    if (value.failed() || !kind) return value;
    std::optional<Datum> adapted = adapt_static(context, value, kind->kind);
    return adapted ? *adapted : wrong_argument(context, function, formal, kind->kind, value);
}

bool is_literal(const ast::Expr& expression) {
    return std::holds_alternative<ast::IntLiteral>(expression.kind) ||
           std::holds_alternative<ast::FloatLiteral>(expression.kind) ||
           std::holds_alternative<ast::BoolLiteral>(expression.kind) ||
           std::holds_alternative<ast::StringLiteral>(expression.kind);
}

// The configuration of a declaration: what is given and what has a literal default first, so that
// the other defaults may mention any of it; then those in order.
bool configure_declared(Context& context, FunctionValue& function,
                        const std::vector<const Actual*>& paired, Span place) {
    const Declaration& declaration = *function.declaration;
    const std::vector<ast::Formal>& formals = declaration.callable->configuration->formals;
    const auto scope = std::make_shared<Scope>();
    Frame frame{context.frame,
                &declaration,
                declaration.file,
                &function,
                place,
                context.frame ? context.frame->instance : context.root,
                0,
                context.frame ? context.frame->depth + 1 : 0};
    function.configuration.resize(formals.size());
    for (const bool computed : {false, true}) {
        for (std::size_t i = 0; i < formals.size(); ++i) {
            const ast::Formal& formal = formals[i];
            const bool late =
                !paired[i] && formal.default_value && !is_literal(*formal.default_value);
            if (late != computed) continue;
            Datum value = configuration_value(context, function, formal, paired[i], frame, scope);
            if (value.failed()) return false;
            scope->entries.push_back(
                {formal.name.text, value, EntryKind::formal, formal.name.span, std::nullopt});
            function.configuration[i] = std::move(value);
        }
    }
    return true;
}

bool configure_builtin(Context& context, FunctionValue& function,
                       const std::vector<const Actual*>& paired, Span place) {
    const std::vector<BuiltinFormal>& formals = function.builtin->configuration;
    for (std::size_t i = 0; i < formals.size(); ++i) {
        if (paired[i]) {
            if (paired[i]->value.failed()) return false;
            function.configuration.push_back(paired[i]->value);
        } else if (!formals[i].default_text.empty()) {
            function.configuration.push_back(failed_datum());
        } else {
            missing(context, function, formals[i].name, place);
            return false;
        }
    }
    return true;
}

}  // namespace

FunctionPointer configure(Context& context, const FunctionValue& function,
                          const std::vector<Actual>& actuals, Span place) {
    auto configured = std::make_shared<FunctionValue>();
    configured->place = place;
    configured->declaration = function.declaration;
    configured->builtin = function.builtin;
    configured->configured = true;
    if (!has_configuration(function)) return configured;
    const auto names = function.builtin
                           ? names_of(function.builtin->configuration)
                           : names_of(function.declaration->callable->configuration->formals);
    const auto paired = pair_arguments(context, function, names, actuals, place);
    if (!paired) return nullptr;
    const bool done = function.builtin ? configure_builtin(context, *configured, *paired, place)
                                       : configure_declared(context, *configured, *paired, place);
    return done ? configured : nullptr;
}

FunctionPointer configure_by_default(Context& context, const FunctionPointer& function,
                                     Span place) {
    if (function->configured || !has_configuration(*function)) return function;
    return configure(context, *function, {}, place);
}

}  // namespace netc::frontend
