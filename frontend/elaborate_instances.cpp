// The tree of configured layers. A path segment is the `let` name where the layer was bound in the
// instance that applies it, otherwise its kind and an ordinal; applying again reuses what is there.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/elaborate.h"

namespace netc::frontend {

std::string claim_name(Instance& instance, const std::string& name) {
    const int count = ++instance.names[name];
    return count == 1 ? name : fmt::format("{}_{}", name, count);
}

InstanceMode::InstanceMode(Context& context, const Instance* instance)
    : context_(context), before_(context.training) {
    if (instance && context.inference_only.contains(instance->path)) context.training = false;
}

namespace {

Instance* child_at(Instance& parent, const std::string& segment, std::string_view layer) {
    std::unique_ptr<Instance>& child = parent.children[segment];
    if (!child) {
        child = std::make_unique<Instance>();
        child->parent = &parent;
        child->path = parent.path.empty() ? segment : parent.path + "." + segment;
        child->layer = layer;
    }
    if (child->claimed == parent.applications) return nullptr;
    child->claimed = parent.applications;
    return child.get();
}

Instance* new_instance(Instance& parent, FunctionValue& function, std::string_view layer) {
    if (!function.bound_name.empty() && function.bound_in == &parent) {
        std::string segment = function.bound_name;
        for (int n = 2;; ++n) {
            if (Instance* child = child_at(parent, segment, layer)) return child;
            segment = fmt::format("{}_{}", function.bound_name, n);
        }
    }
    const std::string kind(layer.empty() ? "block" : layer);
    for (;;) {
        const std::string segment = fmt::format("{}_{}", kind, ++parent.ordinals[kind]);
        if (Instance* child = child_at(parent, segment, layer)) return child;
    }
}

std::string width_text(const Type& type, const Type& other) {
    const bool only_last =
        type.rank() == other.rank() && type.rank() > 0 && type.dtype == other.dtype &&
        std::equal(type.shape.begin(), type.shape.end() - 1, other.shape.begin());
    if (only_last) return "of width " + type.shape.back().to_string();
    return "of type " + type.to_string();
}

// , which fixed weight = [8, 4]
std::string fixed_text(const Context& context, const Instance& instance) {
    for (const Variable& variable : context.module->variables) {
        if (variable.kind != VariableKind::parameter) continue;
        if (!variable.name.starts_with(instance.path + ".")) continue;
        const std::string type = variable.type.to_string();
        return fmt::format(", which fixed {} = {}", variable.name.substr(instance.path.size() + 1),
                           type.substr(type.find('[')));
    }
    return {};
}

bool check_inputs(Context& context, const Instance& instance, const FunctionValue& function,
                  const std::vector<Type>& inputs, Span callee_place) {
    if (!instance.owns_variables || instance.inputs == inputs) return true;
    std::size_t at = 0;
    while (at < inputs.size() && at < instance.inputs.size() && instance.inputs[at] == inputs[at]) {
        ++at;
    }
    if (at >= inputs.size() || at >= instance.inputs.size()) return true;
    const std::string first = width_text(instance.inputs[at], inputs[at]);
    const std::string second = width_text(inputs[at], instance.inputs[at]);
    const std::string name =
        !function.bound_name.empty() ? function.bound_name : std::string(function.name());
    Diagnostic diagnostic =
        diagnose<Code::shared_with_two_shapes>(blame(context, callee_place), name, first, second)
            .text("second use: {}", inputs[at].to_string());
    std::move(diagnostic)
        .label(blame(context, instance.first_use), "first use: {}{}",
               instance.inputs[at].to_string(), fixed_text(context, instance));
    if (function.bound_place.known()) {
        std::move(diagnostic)
            .note_at(function.bound_place, "configured once, here",
                     "`{}` was configured once, so both uses share one set of "
                     "parameters",
                     name);
    }
    const std::string text = source_text(context, function.place, 30);
    report(
        context,
        std::move(diagnostic).help("for two independent layers write `x |> {} |> {}`", text, text));
    return false;
}

}  // namespace

Instance* enter_instance(Context& context, const FunctionPointer& function, std::string_view layer,
                         const std::vector<Datum>& values, Span place, Span callee_place) {
    (void)place;
    std::vector<Type> inputs;
    for (const Datum& value : values) {
        if (const Tensor* tensor = value.tensor()) inputs.push_back(tensor->type);
    }
    Instance* instance = nullptr;
    if (function->instance && function->elaboration == context.elaboration) {
        instance = function->instance;
    } else {
        Instance* parent = context.frame ? context.frame->instance : context.root;
        if (!parent) return nullptr;
        instance = new_instance(*parent, *function, layer);
        instance->function = function;
        function->instance = instance;
        function->elaboration = context.elaboration;
    }
    if (instance->applications > 0 &&
        !check_inputs(context, *instance, *function, inputs, callee_place)) {
        return nullptr;
    }
    if (instance->applications == 0) {
        instance->inputs = std::move(inputs);
        instance->first_use = callee_place;
    }
    ++instance->applications;
    instance->ordinals.clear();
    instance->names.clear();
    return instance;
}

}  // namespace netc::frontend
