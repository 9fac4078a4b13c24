// Calls: pairing arguments, configuring, applying. A declaration has an optional configuration list
// and a tensor list; the first call list configures unless it holds a tensor.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/builtins.h"
#include "frontend/elaborate.h"
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

namespace {

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
std::string formals_text(const Context& context, const std::vector<ast::Formal>& formals) {
    std::string text;
    for (const ast::Formal& formal : formals) {
        if (!text.empty()) text += ", ";
        text += formal.name.text;
        if (formal.default_value) text += " = " + source_text(context, formal.default_value->span);
    }
    return text;
}

bool has_configuration(const FunctionValue& function) {
    if (function.builtin) return function.builtin->configurable;
    return function.declaration && function.declaration->callable->configuration.has_value();
}

std::string_view kind_of(const FunctionValue& function) {
    return function.is_layer() ? "layer" : "function";
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
                    .help("the argument is called `{}`: `{}({}={})`", *meant, function.name(),
                          *meant, source_text(context, actual.value.place, 30));
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

Datum wrong_argument(Context& context, const FunctionValue& function, const ast::Formal& formal,
                     ast::StaticKind kind, const Datum& value) {
    Diagnostic diagnostic =
        diagnose<Code::wrong_static_type>(
            blame(context, value.place),
            fmt::format("argument `{}` of `{}`", formal.name.text, function.name()),
            wanted_text(kind))
            .text("this is {}", describe_kind(value));
    if (const double* number = value.as<double>();
        number && kind == ast::StaticKind::integer &&
        *number == static_cast<double>(static_cast<std::int64_t>(*number))) {
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

Datum apply_declared(Context& context, const FunctionPointer& function, std::vector<Datum> values,
                     Span place, Span callee_place) {
    const Declaration& declaration = *function->declaration;
    const ast::Callable& callable = *declaration.callable;
    Frame frame{context.frame,
                &declaration,
                declaration.file,
                function.get(),
                place,
                context.frame ? context.frame->instance : context.root,
                0,
                context.frame ? context.frame->depth + 1 : 0};
    if (frame.depth > kCallDepth) {
        return report(context, diagnose<Code::recursion>(blame(context, place), function->name()));
    }
    const auto scope = std::make_shared<Scope>();
    if (callable.configuration) {
        for (std::size_t i = 0; i < callable.configuration->formals.size(); ++i) {
            const ast::Formal& formal = callable.configuration->formals[i];
            scope->entries.push_back({formal.name.text, function->configuration[i],
                                      EntryKind::formal, formal.name.span, std::nullopt});
        }
    }
    context.frame = &frame;
    const auto leave = [&](Datum result) {
        context.frame = frame.caller;
        return result;
    };
    if (!match_inputs(context, *function, callable.inputs.formals, values, place, scope)) {
        return leave(failed_datum());
    }
    context.frame = frame.caller;
    if (callable.kind != ast::CallableKind::fn) {
        frame.instance =
            enter_instance(context, function, callable.name.text, values, place, callee_place);
        if (!frame.instance) return failed_datum();
    }
    context.frame = &frame;
    Datum result;
    if (const auto* expression = std::get_if<ast::ExprPtr>(&callable.body)) {
        result = evaluate(context, **expression, scope);
    } else {
        const ast::Block& block = std::get<ast::Block>(callable.body);
        const Flow flow = execute(context, block, scope, result);
        if (flow == Flow::failed) return leave(failed_datum());
        if (flow == Flow::next) {
            const Span end{block.span.file, block.span.end - 1, block.span.end};
            return leave(report(
                context, diagnose<Code::no_return>(
                             blame(context, end),
                             fmt::format("{} `{}`", spelling(callable.kind), callable.name.text))
                             .text("the block ends without `return`")));
        }
    }
    if (result.failed()) return leave(failed_datum());
    if (callable.result &&
        !check_result(context, *callable.result, result,
                      fmt::format("{} `{}`", spelling(callable.kind), callable.name.text), scope,
                      false)) {
        return leave(failed_datum());
    }
    context.frame = frame.caller;
    // Numbers that library code made come, for the user, from this call.
    if (const Tensor* tensor = result.tensor(); tensor && declaration.file->library) {
        auto blamed = std::make_shared<Tensor>(*tensor);
        blamed->place = place;
        blamed->role = Role::expression;
        blamed->name.clear();
        for (Span& origin : blamed->origins) {
            if (is_library(context, origin)) origin = place;
        }
        result = {TensorPointer(std::move(blamed)), place};
    } else {
        result.place = place;
    }
    if (context.lint && declaration.file->library && !is_library(context, place)) {
        lint_call(context, *function, values, result, place);
    }
    return result;
}

Datum apply_builtin(Context& context, const FunctionPointer& function,
                    const std::vector<Datum>& values, Span place) {
    const Builtin& builtin = *function->builtin;
    for (const Datum& value : values) {
        if (value.failed()) return failed_datum();
    }
    if (builtin.max_inputs >= 0 && values.size() > static_cast<std::size_t>(builtin.max_inputs)) {
        return report(context,
                      diagnose<Code::too_many_arguments>(
                          blame(context, place), builtin.name,
                          builtin.max_inputs == 1 ? "one argument"
                                                  : fmt::format("{} arguments", builtin.max_inputs),
                          values.size())
                          .note("{}", signature_text(context, *function)));
    }
    std::size_t required = 0;
    for (const BuiltinFormal& formal : builtin.inputs) required += formal.default_text.empty();
    if (values.size() < required) {
        return missing(context, *function, builtin.inputs[values.size()].name, place);
    }
    const BuiltinCall call{context, builtin, function->configuration, values, place};
    Datum result = builtin.apply(call);
    if (!result.failed()) result.place = place;
    return result;
}

Datum apply_lambda(Context& context, const FunctionValue& function,
                   const std::vector<Datum>& values, Span place) {
    const ast::Lambda& lambda = *function.lambda;
    if (values.size() != lambda.parameters.size()) {
        return report(context,
                      diagnose<Code::too_many_arguments>(
                          blame(context, place), "the lambda",
                          fmt::format("{} values", lambda.parameters.size()), values.size())
                          .label(blame(context, function.place), "written here"));
    }
    Frame frame{context.frame,
                nullptr,
                function.file,
                &function,
                place,
                context.frame ? context.frame->instance : context.root,
                0,
                context.frame ? context.frame->depth + 1 : 0};
    if (frame.depth > kCallDepth) {
        return report(context, diagnose<Code::recursion>(blame(context, place), "the lambda"));
    }
    const auto scope = std::make_shared<Scope>();
    scope->parent = function.scope;
    for (std::size_t i = 0; i < values.size(); ++i) {
        scope->entries.push_back({lambda.parameters[i].text, values[i], EntryKind::formal,
                                  lambda.parameters[i].span, std::nullopt});
    }
    context.frame = &frame;
    Datum result = evaluate(context, *lambda.body, scope);
    context.frame = frame.caller;
    return result;
}

Datum apply_composition(Context& context, const FunctionPointer& function,
                        std::vector<Datum> values, Span place, Span callee_place) {
    Instance* instance = context.frame ? context.frame->instance : context.root;
    if (!function->bound_name.empty() && function->is_layer()) {
        instance = enter_instance(context, function, "", values, place, callee_place);
        if (!instance) return failed_datum();
    }
    Frame* frame = context.frame;
    Instance* outer = frame ? frame->instance : nullptr;
    if (frame) frame->instance = instance;
    Datum result = values.empty() ? failed_datum() : values[0];
    for (const FunctionPointer& part : function->parts) {
        // Parts written by the user are where the user's numbers come from.
        const Span at = is_library(context, part->place) ? place : part->place;
        if (const auto* tuple = result.as<TupleValue>()) values = *tuple->items;
        result = apply(context, part, std::move(values), at, at);
        if (result.failed()) break;
        values = {result};
    }
    if (frame) frame->instance = outer;
    return result;
}

Datum apply_named(Context& context, const FunctionPointer& function,
                  const std::vector<Actual>& actuals, Span place, Span callee_place) {
    std::vector<std::string_view> names;
    std::vector<Datum> values;
    if (function->builtin) {
        names = names_of(function->builtin->inputs);
        const bool named = std::any_of(actuals.begin(), actuals.end(),
                                       [](const Actual& actual) { return !actual.name.empty(); });
        if (!named) {
            for (const Actual& actual : actuals) values.push_back(actual.value);
            return apply(context, function, std::move(values), place, callee_place);
        }
    } else if (function->declaration) {
        names = names_of(function->declaration->callable->inputs.formals);
    } else {
        for (const Actual& actual : actuals) {
            if (!actual.name.empty()) {
                return report(context,
                              diagnose<Code::unknown_argument>(blame(context, actual.name_place),
                                                               "the lambda", actual.name));
            }
            values.push_back(actual.value);
        }
        return apply(context, function, std::move(values), place, callee_place);
    }
    const auto paired = pair_arguments(context, *function, names, actuals, place);
    if (!paired) return failed_datum();
    for (std::size_t i = 0; i < names.size(); ++i) {
        const Actual* actual = (*paired)[i];
        if (!actual) {
            if (function->builtin) {
                values.push_back(failed_datum());
                continue;
            }
            const ast::Formal& formal = function->declaration->callable->inputs.formals[i];
            if (!formal.default_value) return missing(context, *function, names[i], place);
            Frame frame{context.frame,
                        function->declaration,
                        function->declaration->file,
                        function.get(),
                        place,
                        nullptr,
                        0,
                        0};
            context.frame = &frame;
            values.push_back(evaluate(context, *formal.default_value, std::make_shared<Scope>()));
            context.frame = frame.caller;
            continue;
        }
        values.push_back(actual->value);
    }
    if (function->builtin) {
        while (!values.empty() && values.back().failed()) values.pop_back();
    }
    return apply(context, function, std::move(values), place, callee_place);
}

}  // namespace

FunctionPointer configure_by_default(Context& context, const FunctionPointer& function,
                                     Span place) {
    if (function->configured || !has_configuration(*function)) return function;
    return configure(context, *function, {}, place);
}

Datum call(Context& context, const FunctionPointer& function, std::vector<Actual> actuals,
           Span place, Span callee_place) {
    for (const Actual& actual : actuals) {
        if (actual.value.failed()) return failed_datum();
    }
    if (function->configured || !has_configuration(*function)) {
        return apply_named(context, function, actuals, place, callee_place);
    }
    const bool applies = std::any_of(actuals.begin(), actuals.end(), [](const Actual& actual) {
        return holds_tensor(actual.value);
    });
    if (!applies) {
        const FunctionPointer configured = configure(context, *function, actuals, place);
        if (!configured) return failed_datum();
        return {configured, place};
    }
    // conv(x, out=64): what is not named like a configuration argument is an input.
    const std::vector<std::string> names = configuration_names(*function);
    std::vector<Actual> configuration, inputs;
    for (Actual& actual : actuals) {
        const bool belongs = !actual.name.empty() &&
                             std::find(names.begin(), names.end(), actual.name) != names.end();
        (belongs ? configuration : inputs).push_back(std::move(actual));
    }
    const FunctionPointer configured = configure(context, *function, configuration, place);
    if (!configured) return failed_datum();
    return apply_named(context, configured, inputs, place, callee_place);
}

Datum apply(Context& context, const FunctionPointer& function, std::vector<Datum> values,
            Span place, Span callee_place) {
    for (const Datum& value : values) {
        if (value.failed()) return failed_datum();
    }
    function->applied = true;
    if (function->composition) {
        return apply_composition(context, function, std::move(values), place, callee_place);
    }
    if (function->lambda) return apply_lambda(context, *function, values, place);
    if (!function->configured && has_configuration(*function)) {
        const FunctionPointer configured = configure_by_default(context, function, place);
        if (!configured) return failed_datum();
        return apply(context, configured, std::move(values), place, callee_place);
    }
    if (function->builtin) return apply_builtin(context, function, values, place);
    const std::vector<ast::Formal>& formals = function->declaration->callable->inputs.formals;
    if (values.size() > formals.size()) {
        return report(context, diagnose<Code::too_many_arguments>(
                                   blame(context, place), function->name(),
                                   formals.size() == 1 ? "one input"
                                                       : fmt::format("{} inputs", formals.size()),
                                   values.size())
                                   .note("`{}` is a {}", function->name(), kind_of(*function)));
    }
    while (values.size() < formals.size()) {
        const ast::Formal& formal = formals[values.size()];
        if (!formal.default_value) return missing(context, *function, formal.name.text, place);
        values.push_back(evaluate(context, *formal.default_value, std::make_shared<Scope>()));
    }
    return apply_declared(context, function, std::move(values), place, callee_place);
}

}  // namespace netc::frontend
