// Weights of classes in a loss: given, or learned from how often each class occurs.
#include <fmt/format.h>

#include "frontend/builtins.h"
#include "frontend/elaborate_variables.h"

namespace netc::frontend {

namespace {

constexpr std::string_view kBalanced = "balanced";

bool is_balanced(const Datum& value) {
    const auto* word = value.as<std::string>();
    return word != nullptr && *word == kBalanced;
}

Datum balanced(const BuiltinCall& call) { return {std::string(kBalanced), call.place}; }

Datum balanced_or_not(const BuiltinCall& call) { return {is_balanced(call.values[0]), call.place}; }

// The state `y.class_weights` of a target y: ones until training data say how often classes occur.
Datum learned_weights(const BuiltinCall& call, const Tensor& target, const Dim& classes) {
    Context& context = call.context;
    const std::string name = target.name + ".class_weights";
    const auto known = context.variables.find(name);
    if (known != context.variables.end()) {
        return variable_tensor(context, known->second, "class_weights", call.place);
    }
    Variable variable;
    variable.name = name;
    variable.type = {context.real, {classes}};
    variable.kind = VariableKind::state;
    variable.initializer.kind = InitializerKind::ones;
    variable.decay = false;
    variable.learned = true;
    variable.span = target.place;
    const VariableId id = add_variable(context, std::move(variable));
    context.variables.emplace(name, id);
    return variable_tensor(context, id, "class_weights", call.place);
}

Datum class_weights(const BuiltinCall& call) {
    const Datum& weights = call.values[0];
    const auto* classes = call.values[2].as<std::int64_t>();
    if (!classes) return wrong_value(call, call.values[2], "the number of classes", "an int");
    if (is_balanced(weights)) {
        const Tensor* target = call.values[1].tensor();
        if (target != nullptr && target->role == Role::target) {
            return learned_weights(call, *target, *classes);
        }
        return wrong_value(call, call.values[1], "`balanced()`", "used with a target as it is");
    }
    const Items* items = weights.items();
    std::vector<double> values;
    for (std::size_t i = 0; items && i < items->size(); ++i) {
        const Datum& item = (*items)[i];
        if (!item.is_number() || item.is<Dim>() || !(number_of(item) >= 0)) {
            return wrong_value(call, item, "a weight", "a number of at least 0");
        }
        values.push_back(number_of(item));
    }
    if (!items) return wrong_value(call, weights, "the weights", "a list of numbers or balanced()");
    return make_node(call.context, OpId::tensor, {},
                     {{"values", values}, {"dtype", call.context.real}, {"shape", Shape{*classes}}},
                     call.place);
}

}  // namespace

void add_weight_builtins(std::vector<Builtin>& table) {
    const auto add = [&](std::string_view name, std::vector<BuiltinFormal> inputs,
                         Datum (*apply)(const BuiltinCall&), std::string_view doc) {
        const int count = static_cast<int>(inputs.size());
        table.push_back({name, doc, false, {}, std::move(inputs), count, apply});
    };
    add("balanced", {}, balanced,
        "class weights in inverse proportion to how often a class occurs in the training data");
    add("is_balanced", {{"weight"}}, balanced_or_not, "whether a weight is balanced()");
    add("class_weights", {{"weight"}, {"target"}, {"classes"}}, class_weights,
        "a weight for each class: a list, or what balanced() learns");
}

}  // namespace netc::frontend
