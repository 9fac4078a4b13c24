// Calls: the first list configures unless it holds a tensor; applying runs a body, a builtin, a lambda
// or the parts of a composition.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/elaborate_arguments.h"

namespace netc::frontend {

namespace {

std::string_view kind_of(const FunctionValue& function) {
    return function.is_layer() ? "layer" : "function";
}

// Calls in calls without an end, or only very many.
Datum too_deep(Context& context, const Declaration* declaration, std::string_view name,
               Span place) {
    bool again = declaration == nullptr;
    for (const Frame* frame = context.frame; frame && !again; frame = frame->caller) {
        again = frame->declaration == declaration;
    }
    const Span at = blame(context, place);
    return report(context, again ? diagnose<Code::recursion>(at, name)
                                 : diagnose<Code::nested_too_deeply>(at, "this call", kCallDepth));
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
    if (frame.depth > kCallDepth) return too_deep(context, &declaration, function->name(), place);
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
    const InstanceMode mode(context, frame.instance);
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

// Values are failed where the default is meant.
Datum apply_builtin(Context& context, const FunctionPointer& function,
                    const std::vector<Datum>& values, Span place) {
    const Builtin& builtin = *function->builtin;
    if (builtin.max_inputs >= 0 && values.size() > static_cast<std::size_t>(builtin.max_inputs)) {
        return report(context,
                      diagnose<Code::too_many_arguments>(
                          blame(context, place), builtin.name,
                          builtin.max_inputs == 1 ? "one argument"
                                                  : fmt::format("{} arguments", builtin.max_inputs),
                          values.size())
                          .note("{}", signature_text(context, *function)));
    }
    for (std::size_t i = 0; i < builtin.inputs.size(); ++i) {
        const BuiltinFormal& formal = builtin.inputs[i];
        const bool given = i < values.size() && !values[i].failed();
        if (given || !formal.default_text.empty()) continue;
        return missing(context, *function, formal.name, place);
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
    if (frame.depth > kCallDepth) return too_deep(context, nullptr, "the lambda", place);
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

// A hundred turns show what all of them will take: `repeat 1000000` need not fill the memory first.
bool fits_budget(Context& context, const FunctionValue& composition, std::size_t turn,
                 std::size_t nodes_before) {
    constexpr std::size_t kSample = 100;
    const std::size_t turns = composition.parts.size();
    if (turn != kSample || turns < 10 * kSample || !context.function) return true;
    const std::size_t made = context.function->nodes.size() - nodes_before;
    if (made * (turns / kSample) <= 2 * kNodeBudget) return true;
    context.over_budget = true;
    report(context, diagnose<Code::node_budget>(blame(context, composition.place), kNodeBudget)
                        .text("{} turns", turns));
    return false;
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
    const InstanceMode mode(context, instance);
    Datum result = values.empty() ? failed_datum() : values[0];
    const std::size_t nodes = context.function ? context.function->nodes.size() : 0;
    std::size_t turn = 0;
    if (function->repeats) context.turns.push_back({function->parts.size()});
    for (const FunctionPointer& part : function->parts) {
        if (function->repeats && values.size() == 1 && values[0].tensor()) {
            context.turns.back().inputs.push_back(values[0].tensor()->type);
        }
        // Parts written by the user are where the user's numbers come from.
        const Span at = is_library(context, part->place) ? place : part->place;
        if (!spend(context, at) || !fits_budget(context, *function, ++turn, nodes)) {
            result = failed_datum();
            break;
        }
        if (const auto* tuple = result.as<TupleValue>()) values = *tuple->items;
        result = apply(context, part, std::move(values), at, at);
        if (result.failed()) break;
        values = {result};
    }
    if (function->repeats) context.turns.pop_back();
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
        function->applied = true;
        return apply_builtin(context, function, values, place);
    }
    return apply(context, function, std::move(values), place, callee_place);
}

// einsum("bi,bi->b", x, x): more than it has inputs, and what configures it is among them.
bool lists_are_mixed(const FunctionValue& function, const std::vector<Actual>& inputs) {
    const std::size_t takes = function.builtin
                                  ? function.builtin->inputs.size()
                                  : function.declaration->callable->inputs.formals.size();
    const bool configures = std::ranges::any_of(inputs, [](const Actual& actual) {
        return actual.name.empty() && !holds_tensor(actual.value) && !actual.value.function();
    });
    return configures && (inputs.size() > takes || inputs[0].value.as<std::string>() != nullptr);
}

Datum two_lists(Context& context, const FunctionValue& function,
                const std::vector<Actual>& inputs) {
    std::string statics, tensors;
    Span first;
    for (const Actual& actual : inputs) {
        const bool tensor = holds_tensor(actual.value) || actual.value.function();
        std::string& list = tensor ? tensors : statics;
        if (!tensor && !first.known()) first = actual.place;
        list += (list.empty() ? "" : ", ") + source_text(context, actual.value.place, 30);
    }
    return report(context, diagnose<Code::too_many_arguments>(
                               blame(context, first), function.name(),
                               "configuration and inputs in two lists", "both in one")
                               .text("this configures it")
                               .help("write `{}({})({})`", function.name(), statics, tensors));
}

}  // namespace

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
    if (lists_are_mixed(*function, inputs)) return two_lists(context, *function, inputs);
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
