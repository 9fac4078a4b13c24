// A model becomes a graph function: its inputs are leaves, its body is evaluated once.
#include "frontend/elaborate_model.h"

#include <algorithm>

#include <fmt/format.h>

namespace netc::frontend {

Session::Session(SourceMap& map, Diagnostics& sink, const CheckOptions& wanted)
    : sources(map), diagnostics(sink), options(wanted) {}
Session::~Session() = default;

namespace {

void collect_names(const ast::Expr& expression, std::vector<const ast::Expr*>& names) {
    if (std::holds_alternative<ast::NameRef>(expression.kind)) {
        names.push_back(&expression);
    } else if (const auto* node = std::get_if<ast::Binary>(&expression.kind)) {
        collect_names(*node->left, names);
        collect_names(*node->right, names);
    }
}

// A free name in an input's shape is a dimension: fixed on the command line, or symbolic. The first
// dimension of the first input is the batch.
void bind_symbols(Context& context, const ast::TensorType& type, bool first_input,
                  const ScopePointer& scope) {
    for (std::size_t i = 0; i < type.dims.size(); ++i) {
        const auto* expression = std::get_if<ast::ExprPtr>(&type.dims[i].kind);
        if (!expression) continue;
        std::vector<const ast::Expr*> names;
        collect_names(**expression, names);
        for (const ast::Expr* place : names) {
            const std::string& name = std::get<ast::NameRef>(place->kind).name;
            const FileScope* file = context.frame->file;
            if (scope->find(name) || find_global(file, name)) continue;
            Datum value{Dim::symbol(name), place->span};
            for (const auto& [dim, number] : context.session.options.dims) {
                if (dim != name) continue;
                value = {number, place->span};
                context.session.used_dims.push_back(name);
            }
            const bool batch = first_input && i == 0 && names.size() == 1 && value.is<Dim>() &&
                               std::holds_alternative<ast::NameRef>((*expression)->kind);
            if (batch) value = {Dim::symbol(kBatchSymbol), place->span};
            scope->entries.push_back(
                {name, value, EntryKind::dimension, place->span, std::nullopt});
        }
    }
}

}  // namespace

std::optional<std::vector<Input>> model_inputs(Context& context, const Declaration& declaration,
                                               const ScopePointer& scope) {
    std::vector<Input> inputs;
    for (const ast::Formal& formal : declaration.callable->inputs.formals) {
        const auto* type = std::get_if<ast::TensorType>(&formal.type.kind);
        if (!type || type->dtype == ast::Dtype::any) {
            report(context, diagnose<Code::wrong_static_type>(
                                formal.type.span, fmt::format("the input `{}`", formal.name.text),
                                "a tensor such as `f32[B, 10]`"));
            return std::nullopt;
        }
        bind_symbols(context, *type, inputs.empty(), scope);
        const std::optional<Shape> shape = evaluate_shape(context, *type, scope);
        if (!shape) return std::nullopt;
        const std::string what = fmt::format("the input `{}`", formal.name.text);
        if (!check_dimensions(context, *shape, formal.type.span, what)) return std::nullopt;
        const Type checked{resolve(context, type->dtype), *shape};
        if (!check_batch(context, checked, formal.type.span)) return std::nullopt;
        inputs.push_back({formal.name.text, checked, formal.name.span, ""});
    }
    if (inputs.empty()) {
        report(context, diagnose<Code::missing_argument>(declaration.callable->inputs.span,
                                                         declaration.callable->name.text,
                                                         "at least one input"));
        return std::nullopt;
    }
    return inputs;
}

Building::Building(Session& session, Module& module, const Declaration& declaration,
                   std::string name, bool training, DType real)
    : context(session) {
    function.name = std::move(name);
    value.declaration = &declaration;
    value.configured = true;
    frame.declaration = &declaration;
    frame.file = declaration.file;
    frame.function = &value;
    frame.instance = &root;
    root.applications = 1;
    root.layer = declaration.callable->name.text;
    context.module = &module;
    context.function = &function;
    context.builder = context.root_builder = &builder;
    context.training = training;
    context.real = real;
    context.elaboration = ++session.elaborations;
    context.root = &root;
    context.frame = &frame;
    for (std::size_t i = 0; i < module.variables.size(); ++i) {
        context.variables.emplace(module.variables[i].name, static_cast<VariableId>(i));
    }
}

Datum input_tensor(Building& building, std::uint32_t index, Role role) {
    const Input& input = building.function.inputs[index];
    note_origin(building.context, input.span);
    auto tensor = std::make_shared<Tensor>();
    tensor->id = building.builder.input(index).id;
    tensor->type = input.type;
    tensor->origins.assign(input.type.shape.size(), input.span);
    tensor->role = role;
    tensor->name = input.name;
    tensor->place = input.span;
    return {TensorPointer(std::move(tensor)), input.span};
}

namespace {

std::vector<NamedOutput> name_outputs(const ast::Callable& callable, const Datum& result) {
    std::vector<NamedOutput> outputs;
    const Items one{result};
    const Items& items = result.is<TupleValue>() ? *result.items() : one;
    const auto* fields =
        callable.result ? std::get_if<ast::TupleType>(&callable.result->kind) : nullptr;
    for (std::size_t i = 0; i < items.size(); ++i) {
        NamedOutput output{items.size() == 1 ? "out" : fmt::format("out{}", i + 1), items[i],
                           items[i].place};
        if (fields && fields->fields[i].name) {
            output.name = fields->fields[i].name->text;
            output.place = fields->fields[i].name->span;
        } else if (callable.result) {
            output.place = callable.result->span;
        }
        outputs.push_back(std::move(output));
    }
    return outputs;
}

}  // namespace

std::optional<std::vector<NamedOutput>> run_body(Building& building) {
    Context& context = building.context;
    const ast::Callable& callable = *building.value.declaration->callable;
    const auto inner = std::make_shared<Scope>();
    inner->parent = building.scope;
    Datum result;
    if (const auto* expression = std::get_if<ast::ExprPtr>(&callable.body)) {
        result = evaluate(context, **expression, inner);
    } else {
        const ast::Block& block = std::get<ast::Block>(callable.body);
        const Flow flow = execute(context, block, inner, result);
        if (flow == Flow::next) {
            const Span end{block.span.file, block.span.end - 1, block.span.end};
            report(context,
                   diagnose<Code::no_return>(end, fmt::format("model `{}`", callable.name.text))
                       .text("the block ends without `return`")
                       .help("end it with `return` and the value"));
        }
        if (flow != Flow::returned) return std::nullopt;
    }
    if (result.failed()) return std::nullopt;
    const std::string what = fmt::format("model `{}`", callable.name.text);
    if (callable.result &&
        !check_result(context, *callable.result, result, what, building.scope, true)) {
        return std::nullopt;
    }
    std::vector<NamedOutput> outputs = name_outputs(callable, result);
    for (NamedOutput& output : outputs) {
        const Span place = output.value.place;
        if (!output.value.tensor()) {
            output.value = as_tensor(context, output.value, context.real, place);
        }
        if (output.value.failed()) return std::nullopt;
        auto named = std::make_shared<Tensor>(*output.value.tensor());
        named->role = Role::output;
        named->name = output.name;
        named->place = output.place;
        output.value = {TensorPointer(std::move(named)), place};
    }
    return outputs;
}

namespace {

// Whether the command line may mean this model; a name that the file has not is told elsewhere.
bool is_asked_for(const Session& session, const Declaration& declaration) {
    const std::string& only = session.options.only;
    const std::string& name = declaration.callable->name.text;
    if (only.empty() || only == name) return true;
    bool other = false;
    for (const ast::Item& item : session.main->tree->items) {
        const auto* train = std::get_if<ast::Train>(&item.kind);
        const auto* callable = std::get_if<ast::Callable>(&item.kind);
        if (callable && callable->name.text == only) other = true;
        if (!train || (train->name ? *train->name : train->model).text != only) continue;
        if (train->model.text == name) return true;
        other = true;
    }
    return !other;
}

}  // namespace

bool check_open_dimensions(Session& session, const Declaration& declaration,
                           const std::vector<Input>& inputs) {
    if (session.options.open_dimensions || !is_asked_for(session, declaration)) return true;
    bool closed = true;
    std::set<std::string> told;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        const auto& type =
            std::get<ast::TensorType>(declaration.callable->inputs.formals[i].type.kind);
        for (std::size_t j = 0; j < inputs[i].type.shape.size(); ++j) {
            for (const std::string& symbol : inputs[i].type.shape[j].symbols()) {
                if (symbol == kBatchSymbol) continue;
                closed = false;
                if (!told.insert(symbol).second) continue;
                session.diagnostics.add(
                    diagnose<Code::symbolic_dimension_open>(type.dims[j].span, symbol)
                        .text("only known at run time")
                        .help("give it on the command line: `--dim {}=128`, or define `const {} = "
                              "128`",
                              symbol, symbol));
            }
        }
    }
    return closed;
}

bool has_section(const Session& session, const Declaration& model) {
    for (const ast::Item& item : session.main->tree->items) {
        const auto* train = std::get_if<ast::Train>(&item.kind);
        if (train && train->model.text == model.callable->name.text) return true;
    }
    return false;
}

namespace {

bool states_f64(const ast::Train& train) {
    for (const ast::TrainItem& item : train.items) {
        const auto* setting = std::get_if<ast::Setting>(&item.kind);
        if (!setting || setting->name.text != "dtype") continue;
        const auto* dtype = std::get_if<ast::DtypeLiteral>(&setting->value.kind);
        return dtype && dtype->dtype == ast::Dtype::f64;
    }
    return false;
}

// `real` of a model outside of its sections: f32, unless every section of it says f64.
DType real_of(const Session& session, const Declaration& model) {
    bool f64 = false;
    for (const ast::Item& item : session.main->tree->items) {
        const auto* train = std::get_if<ast::Train>(&item.kind);
        if (!train || train->model.text != model.callable->name.text) continue;
        if (!states_f64(*train)) return DType::f32;
        f64 = true;
    }
    return f64 ? DType::f64 : DType::f32;
}

// Parameters that no result reads.
void lint_unused_parameters(Session& session, const Module& module, const Function& function) {
    std::vector<bool> reached(function.nodes.size(), false);
    for (const Function::Result& result : function.results) reached[result.value.index] = true;
    std::vector<bool> read(module.variables.size(), false);
    for (std::size_t i = function.nodes.size(); i-- > 0;) {
        if (!reached[i]) continue;
        const Node& node = function.nodes[i];
        for (const NodeId input : node.inputs) reached[input.index] = true;
        if (node.op == OpId::variable) {
            read[static_cast<std::size_t>(node.attributes.get<std::int64_t>("index"))] = true;
        }
    }
    for (std::size_t i = 0; i < read.size(); ++i) {
        const Variable& variable = module.variables[i];
        if (read[i] || variable.kind != VariableKind::parameter) continue;
        session.diagnostics.add(diagnose<Code::unused_param>(variable.span, variable.name)
                                    .text("never used in a result"));
    }
}

bool build(Session& session, const Declaration& declaration, ModelResult& result, bool training) {
    Module scratch;
    Module& module = training ? scratch : result.model.module;
    if (training) {
        // The true run declares the same variables; it is only checked, then thrown away.
        scratch.name = result.model.name;
    }
    Building building(session, module, declaration, training ? "training" : "forward", training,
                      real_of(session, declaration));
    building.context.lint = !training;
    std::optional<std::vector<Input>> inputs =
        model_inputs(building.context, declaration, building.scope);
    if (!inputs) return false;
    building.function.inputs = *inputs;
    for (std::uint32_t i = 0; i < inputs->size(); ++i) {
        building.scope->entries.push_back({declaration.callable->inputs.formals[i].name.text,
                                           input_tensor(building, i, Role::input), EntryKind::input,
                                           (*inputs)[i].span, std::nullopt});
    }
    const auto outputs = run_body(building);
    if (!outputs) return false;
    if (training) return true;
    for (const NamedOutput& output : *outputs) {
        building.function.results.push_back(
            {output.name, output.value.tensor()->id, output.place, ""});
    }
    result.model.inputs = std::move(*inputs);
    lint_unused_parameters(session, module, building.function);
    module.functions.push_back(std::move(building.function));
    return true;
}

}  // namespace

const ModelResult* elaborate_model(Session& session, const Declaration& declaration) {
    std::unique_ptr<ModelResult>& slot = session.models[&declaration];
    if (slot) {
        if (!slot->running) return slot.get();
        session.diagnostics.add(diagnose<Code::recursion>(declaration.callable->name.span,
                                                          declaration.callable->name.text));
        return nullptr;
    }
    slot = std::make_unique<ModelResult>();
    ModelResult& result = *slot;
    result.running = true;
    Model& model = result.model;
    model.name = declaration.callable->name.text;
    model.doc = declaration.doc;
    model.span = declaration.callable->name.span;
    model.module.name = model.name;
    result.ok = build(session, declaration, result, false);
    if (result.ok && !has_section(session, declaration)) {
        result.ok = build(session, declaration, result, true);
    }
    for (const Variable& variable : model.module.variables) {
        if (variable.kind != VariableKind::parameter || variable.frozen) continue;
        model.parameter_count += product(variable.type.shape).value();
    }
    result.running = false;
    if (result.ok) result.ok = check_open_dimensions(session, declaration, model.inputs);
    return &result;
}

}  // namespace netc::frontend
