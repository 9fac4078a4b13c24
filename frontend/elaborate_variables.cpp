// `param`, `state`, `update` and `assert`.
#include "frontend/elaborate_variables.h"
#include "frontend/nested_numbers.h"

#include <algorithm>

#include <fmt/format.h>

#include "frontend/elaborate_scan.h"
#include "frontend/suggest.h"

namespace netc::frontend {

std::uint64_t hash_text(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (const char c : text) {
        hash ^= static_cast<unsigned char>(c);
        hash *= 0x100000001b3u;
    }
    hash ^= hash >> 32;
    hash *= 0x9fb21c651e98df25u;
    return hash ^ (hash >> 28);
}

VariableId add_variable(Context& context, Variable variable) {
    const auto id = static_cast<VariableId>(context.module->variables.size());
    variable.stream = hash_text(variable.name);
    context.variables.emplace(variable.name, id);
    context.module->variables.push_back(std::move(variable));
    return id;
}

Datum variable_tensor(Context& context, VariableId id, std::string_view name, Span place) {
    if (context.variable_nodes.size() <= id) context.variable_nodes.resize(id + 1);
    const Variable& variable = context.module->variables[id];
    NodeId& node = context.variable_nodes[id];
    if (!node.valid()) {
        note_origin(context, place);
        context.root_builder->set_origin(context.builder->origin());
        node = context.root_builder->variable(id, variable.type).id;
    }
    auto tensor = std::make_shared<Tensor>();
    tensor->id = node;
    tensor->type = variable.type;
    tensor->origins.assign(variable.type.shape.size(), place);
    tensor->role = variable.kind == VariableKind::parameter ? Role::parameter : Role::state;
    tensor->name = name;
    tensor->place = place;
    return {TensorPointer(std::move(tensor)), place};
}

namespace {

struct Declaring {
    Context& context;
    const ast::Name& name;
    const ast::Type& type;
    const ast::Expr& value;
    VariableKind kind;
    const ScopePointer& scope;

    std::string_view word() const {
        return kind == VariableKind::parameter ? "parameter" : "state";
    }

    bool symbolic(const Shape& shape, const Dim& dim, std::size_t axis) const {
        const std::string symbol = dim.symbols().front();
        const Span place = blame(context, name.span);
        const std::string_view callee = blamed_callee(context, name.span);
        const std::string owner =
            callee.empty() ? std::string(context.frame->function->name()) : std::string(callee);
        Diagnostic diagnostic =
            diagnose<Code::parameter_shape_not_static>(place, owner, fmt::format("a {}", name.text),
                                                       shape_text(shape), symbol)
                .text("its dimension {} is {}", axis, dim.to_string());
        // The input that has this dimension.
        const Frame* root = context.frame;
        while (root->caller) root = root->caller;
        if (root->declaration) {
            for (const ast::Formal& formal : root->declaration->callable->inputs.formals) {
                const auto* tensor = std::get_if<ast::TensorType>(&formal.type.kind);
                if (!tensor) continue;
                for (const ast::Dim& formal_dim : tensor->dims) {
                    if (source_text(context, formal_dim.span) != symbol) continue;
                    std::move(diagnostic)
                        .label(formal_dim.span,
                               "{} is symbolic because no constant with this name "
                               "exists",
                               symbol);
                }
            }
        }
        report(context, std::move(diagnostic)
                            .help("give the width a number, `x: f32[B, 128]`, or define `const {} "
                                  "= 128`",
                                  symbol));
        return false;
    }

    std::optional<Type> variable_type() const {
        const auto* tensor = std::get_if<ast::TensorType>(&type.kind);
        if (!tensor) {
            report(context, diagnose<Code::wrong_static_type>(
                                blame(context, type.span),
                                fmt::format("the type of the {} `{}`", word(), name.text),
                                "a tensor type such as `real[10]`"));
            return std::nullopt;
        }
        const std::optional<Shape> shape = evaluate_shape(context, *tensor, scope);
        if (!shape) return std::nullopt;
        for (std::size_t i = 0; i < shape->size(); ++i) {
            if (!(*shape)[i].is_static()) {
                symbolic(*shape, (*shape)[i], i);
                return std::nullopt;
            }
            if ((*shape)[i].value() < 1) {
                report(context, diagnose<Code::dimension_below_one>(
                                    blame(context, name.span),
                                    fmt::format("the {} `{}` would have the shape {}", word(),
                                                name.text, shape_text(*shape))));
                return std::nullopt;
            }
        }
        if (!check_elements(context, *shape, name.span,
                            fmt::format("the {} `{}`", word(), name.text))) {
            return std::nullopt;
        }
        const DType dtype = resolve(context, tensor->dtype);
        if (!is_float(dtype) && kind == VariableKind::parameter) {
            report(context, diagnose<Code::wrong_static_type>(
                                blame(context, tensor->dtype_span),
                                fmt::format("the parameter `{}`", name.text), "real")
                                .text("only real numbers can be trained"));
            return std::nullopt;
        }
        if (is_half(dtype)) {
            const std::string what = fmt::format("a {} of {}", word(), name_of(dtype));
            report(context,
                   diagnose<Code::not_supported_yet>(blame(context, tensor->dtype_span), what)
                       .help("store it as `real`"));
            return std::nullopt;
        }
        return Type{dtype, *shape};
    }

    std::optional<Initializer> initializer(const Type& variable) const {
        const Datum given = evaluate(context, value, scope);
        if (given.failed()) return std::nullopt;
        Initializer result;
        if (const auto* initial = given.as<InitialValue>()) {
            result = *initial->initializer;
            const bool full = result.kind == InitializerKind::full;
            for (const double number : full ? result.arguments : std::vector<double>{}) {
                if (!check_number(context, {number, given.place}, variable.dtype, value.span)) {
                    return std::nullopt;
                }
            }
        } else {
            result.kind = InitializerKind::values;
            Shape found;
            const Flattened outcome =
                flatten_numbers(context, given, variable.dtype, value.span, found, result.values);
            if (outcome == Flattened::failed) return std::nullopt;
            if (outcome == Flattened::no_numbers || !(found == variable.shape)) {
                Diagnostic diagnostic =
                    diagnose<Code::wrong_static_type>(
                        blame(context, value.span),
                        fmt::format("the initial value of `{}`", name.text),
                        given.items() ? fmt::format("a nested list of numbers of shape {}",
                                                    shape_text(variable.shape))
                                      : std::string("an initialiser"))
                        .text("this is {}", describe_kind(given));
                if (given.is_number()) {
                    std::move(diagnostic).help("write `full({})`", describe_value(given));
                }
                report(context, std::move(diagnostic));
                return std::nullopt;
            }
        }
        result.span = value.span;
        set_fans(variable.shape, result);
        return result;
    }

    // Rank 2 is [in, out]; more is [out, in / groups, k...].
    static void set_fans(const Shape& shape, Initializer& initial) {
        double in = 1, out = 1;
        if (shape.size() == 1) {
            in = out = static_cast<double>(shape[0].value());
        } else if (shape.size() == 2) {
            in = static_cast<double>(shape[0].value());
            out = static_cast<double>(shape[1].value());
        } else if (shape.size() > 2) {
            double window = 1;
            for (std::size_t i = 2; i < shape.size(); ++i) {
                window *= static_cast<double>(shape[i].value());
            }
            out = static_cast<double>(shape[0].value()) * window;
            in = static_cast<double>(shape[1].value()) * window;
        }
        if (initial.fan_in == 0) initial.fan_in = in;
        if (initial.fan_out == 0) initial.fan_out = out;
    }

    std::string path(const std::string& file_name) const {
        Instance& instance = *context.frame->instance;
        const std::string own = claim_name(instance, file_name);
        return instance.path.empty() ? own : instance.path + "." + own;
    }

    bool same_type(const Variable& variable, const Type& wanted) const {
        if (variable.type == wanted) return true;
        report(context,
               diagnose<Code::shared_with_two_shapes>(
                   blame(context, name.span), context.frame->function->name(),
                   fmt::format("that need `{}` as {}", name.text, variable.type.to_string()),
                   fmt::format("as {}", wanted.to_string())));
        return false;
    }

    std::optional<VariableId> declare(Variable variable, const std::string& file_name) const {
        std::optional<Type> wanted = variable_type();
        if (!wanted) return std::nullopt;
        variable.name = path(file_name);
        const auto known = context.variables.find(variable.name);
        if (known != context.variables.end()) {
            if (!same_type(context.module->variables[known->second], *wanted)) return std::nullopt;
            mark_owner();
            return known->second;
        }
        variable.type = std::move(*wanted);
        std::optional<Initializer> initial = initializer(variable.type);
        if (!initial) return std::nullopt;
        variable.initializer = std::move(*initial);
        variable.kind = kind;
        variable.span = blame(context, name.span);
        variable.layer = context.frame->instance->layer;
        mark_owner();
        return add_variable(context, std::move(variable));
    }

    void mark_owner() const {
        for (Instance* at = context.frame->instance; at; at = at->parent) at->owns_variables = true;
    }

    void bind_entry(VariableId id, EntryKind entry) const {
        scope->entries.push_back(
            {name.text, variable_tensor(context, id, name.text, name.span), entry, name.span, id});
    }
};

// decay=false, lr=2.0, frozen=true, name="bias"
bool read_attributes(Context& context, const std::vector<ast::Argument>& attributes,
                     const ScopePointer& scope, Variable& variable, std::string& file_name) {
    for (const ast::Argument& attribute : attributes) {
        const std::string name = attribute.name ? attribute.name->text : "";
        const Span name_place = attribute.name ? attribute.name->span : attribute.span;
        const Datum value = evaluate(context, attribute.value, scope);
        if (value.failed()) return false;
        std::string_view wanted;
        if (name == "decay" || name == "frozen") {
            wanted = "a bool";
            if (const bool* truth = value.as<bool>()) {
                (name == "decay" ? variable.decay : variable.frozen) = *truth;
                continue;
            }
        } else if (name == "lr") {
            wanted = "a number that is not negative";
            if (value.is_number() && !value.is<Dim>() && number_of(value) >= 0) {
                variable.rate = number_of(value);
                continue;
            }
        } else if (name == "name") {
            wanted = "a string without dots";
            const auto* text = value.as<std::string>();
            if (text && !text->empty() && text->find_first_of(". ") == std::string::npos) {
                file_name = *text;
                continue;
            }
        } else {
            const std::vector<std::string> known{"decay", "frozen", "lr", "name"};
            const auto meant = suggest(name, known);
            report(context,
                   diagnose<Code::unknown_argument>(blame(context, name_place), "with", name)
                       .note("with name, decay, lr, frozen")
                       .help_text(meant ? "did you mean `" + *meant + "`?" : ""));
            return false;
        }
        report(context, diagnose<Code::wrong_static_type>(blame(context, attribute.value.span),
                                                          "`" + name + "`", wanted)
                            .text("this is {}", describe_kind(value)));
        return false;
    }
    return true;
}

bool inside_fn(const Context& context, const ast::Name& name) {
    const Frame* frame = context.frame;
    const bool fn =
        frame && frame->declaration && frame->declaration->callable->kind == ast::CallableKind::fn;
    if (!fn && frame && frame->instance && context.module) return false;
    Diagnostic diagnostic =
        diagnose<Code::parameter_in_fn>(blame(context, name.span)).text("declared here");
    if (frame && frame->declaration) {
        std::move(diagnostic)
            .label(blame(context, frame->declaration->callable->keyword), "this is a `fn`");
    }
    report(context, std::move(diagnostic));
    return true;
}

}  // namespace

bool declare_parameter(Context& context, const ast::Param& node, const ScopePointer& scope) {
    if (inside_fn(context, node.name)) return false;
    Variable variable;
    std::string file_name = node.name.text;
    if (!read_attributes(context, node.attributes, scope, variable, file_name)) return false;
    const Declaring declaring{context, node.name, node.type, node.value, VariableKind::parameter,
                              scope};
    const std::optional<VariableId> id = declaring.declare(std::move(variable), file_name);
    if (!id) return false;
    declaring.bind_entry(*id, EntryKind::parameter);
    return true;
}

bool declare_state(Context& context, const ast::State& node, const ScopePointer& scope) {
    if (inside_fn(context, node.name)) return false;
    const Declaring declaring{context,    node.name,           node.type,
                              node.value, VariableKind::state, scope};
    Variable variable;
    variable.decay = false;
    const std::optional<VariableId> id = declaring.declare(std::move(variable), node.name.text);
    if (!id) return false;
    declaring.bind_entry(*id, EntryKind::state);
    return true;
}

bool update_state(Context& context, const ast::Update& node, Span place,
                  const ScopePointer& scope) {
    Entry* entry = scope->find(node.name.text);
    if (!entry || entry->kind != EntryKind::state) {
        report(context, diagnose<Code::assign_to_let>(blame(context, node.name.span),
                                                      node.name.text, "not a `state`"));
        return false;
    }
    if (!context.training) return true;  // compiled out
    const VariableId id = *entry->variable;
    const Variable& variable = context.module->variables[id];
    if (variable.frozen) return true;
    const Span at = blame(context, place);
    if (context.region) {
        report(context, diagnose<Code::state_updated_twice>(at, variable.name)
                            .text("inside of a `scan`, once for each time step")
                            .label(blame(context, scan_place(context)), "this `scan`")
                            .help("a value that goes from step to step is an outer `var`"));
        return false;
    }
    const auto [known, first] = context.updates.emplace(id, at);
    if (!first) {
        Diagnostic diagnostic =
            diagnose<Code::state_updated_twice>(at, variable.name).text("updated again here");
        if (!(known->second == at)) {
            std::move(diagnostic).label(known->second, "first updated here");
        }
        report(context, std::move(diagnostic)
                            .help("configure the layer twice, so that each use has its own state"));
        return false;
    }
    Datum value = evaluate(context, node.value, scope);
    if (value.failed()) return false;
    value = as_tensor(context, value, variable.type.dtype, place);
    if (value.failed()) return false;
    if (!(value.tensor()->type == variable.type)) {
        report(context, diagnose<Code::result_differs>(blame(context, node.value.span),
                                                       fmt::format("`update {}`", node.name.text),
                                                       value.tensor()->type.to_string(),
                                                       variable.type.to_string())
                            .label(blame(context, entry->place), "declared here"));
        return false;
    }
    context.function->updates.push_back({id, value.tensor()->id});
    return true;
}

}  // namespace netc::frontend
