// The graph functions of a train section: forward, training, evaluate, over one list of variables.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/elaborate_model.h"
#include "frontend/elaborate_variables.h"
#include "frontend/train_inputs.h"
#include "frontend/train_measure.h"
#include "frontend/train_settings.h"
#include "ir/op_def.h"

namespace netc::frontend {

namespace {

struct SectionBuilder {
    Session& session;
    const Declaration& declaration;
    const SectionItems& items;
    DType real;
    TrainSection& section;
    std::vector<Input> inputs = {};

    // ---- variables

    // With another dtype of `real`, a run over raw inputs declares them anew.
    bool declare_variables(const Model& model) {
        section.module.name = section.name;
        if (real == DType::f32) {
            section.module.variables.clear();
            for (const Variable& variable : model.module.variables) {
                section.module.variables.push_back(variable);
            }
            inputs = model.inputs;
            return true;
        }
        Building building(session, section.module, declaration, "scratch", false, real);
        return open(building) && run_body(building).has_value();
    }

    void add_state(const std::string& name, Shape shape, double value, bool learned) {
        Variable variable;
        variable.name = name;
        variable.type = {real, std::move(shape)};
        variable.kind = VariableKind::state;
        variable.initializer.kind = InitializerKind::full;
        variable.initializer.arguments = {value};
        variable.stream = hash_text(name);
        variable.decay = false;
        variable.learned = learned;
        variable.span = section.data->span;
        section.module.variables.push_back(std::move(variable));
    }

    // x.scale, x.offset, x.mean, x.deviation
    void declare_statistics() {
        if (!section.data) return;
        for (const Input& input : inputs) {
            if (!is_float(input.type.dtype)) continue;
            const Shape sample(input.type.shape.begin() + (input.type.shape.empty() ? 0 : 1),
                               input.type.shape.end());
            if (is_scaled(*section.data)) {
                add_state(input.name + ".scale", {}, section.data->scale.value_or(1), false);
                add_state(input.name + ".offset", {}, section.data->offset.value_or(0), false);
            }
            if (is_standardized(*section.data, input.name)) {
                add_state(input.name + ".mean", sample, 0, true);
                add_state(input.name + ".deviation", sample, 1, true);
            }
        }
    }

    // ---- inputs

    bool open(Building& building) {
        std::optional<std::vector<Input>> types =
            model_inputs(building.context, declaration, building.scope);
        if (!types) return false;
        inputs = *types;
        if (!samples_lie_first(building, inputs, section)) return false;
        building.function.inputs = std::move(*types);
        for (std::uint32_t i = 0; i < inputs.size(); ++i) {
            const Datum value = normalized(building, input_tensor(building, i, Role::input));
            if (value.failed()) return false;
            building.scope->entries.push_back({declaration.callable->inputs.formals[i].name.text,
                                               value, EntryKind::input, inputs[i].span,
                                               std::nullopt});
        }
        return true;
    }

    // ---- loss and metrics

    // Evaluates an expression that sees inputs, outputs and targets.
    Datum scalar(Building& building, const ast::Expr& expression, std::string_view what) {
        Context& context = building.context;
        const FileScope* file = building.frame.file;
        building.frame.file = session.main;
        building.frame.function = nullptr;
        const std::size_t variables = section.module.variables.size();
        context.setting = what;
        Datum value = evaluate(context, expression, building.scope);
        context.setting = {};
        // Weights of classes are state of the section, not of a layer.
        const auto& all = section.module.variables;
        const bool layers = std::any_of(
            all.begin() + static_cast<std::ptrdiff_t>(variables), all.end(),
            [](const Variable& variable) { return !variable.name.ends_with(".class_weights"); });
        if (!value.failed() && layers) {
            value = report(context, diagnose<Code::not_supported_yet>(
                                        expression.span, "a layer with parameters in a train "
                                                         "section"));
        }
        if (!value.failed()) value = as_tensor(context, value, real, expression.span);
        building.frame.file = file;
        building.frame.function = &building.value;
        return value;
    }

    Datum loss(Building& building) {
        const Datum value = scalar(building, *items.loss, "loss");
        if (value.failed()) return value;
        const Tensor& tensor = *value.tensor();
        if (tensor.type.rank() == 0 && is_float(tensor.type.dtype)) return value;
        const std::string text = source_text(building.context, items.loss->span, 50);
        Diagnostic diagnostic =
            diagnose<Code::loss_not_scalar>(items.loss->span, tensor.type.to_string());
        const bool per_sample =
            tensor.type.rank() >= 1 && product(tensor.type.shape) == tensor.type.shape[0];
        if (tensor.type.rank() > 0) {
            diagnostic.primary.text =
                per_sample ? "one value per sample" : "many values per sample";
            std::move(diagnostic).help("average it: `mean({})`", text);
            diagnostic.helps.back() += squared_difference(*items.loss);
        }
        return report(building.context, std::move(diagnostic));
    }

    // `(out - y) ^ 2` is what mse averages.
    static std::string squared_difference(const ast::Expr& expression) {
        const auto* power = std::get_if<ast::Binary>(&expression.kind);
        if (!power || power->op != ast::BinaryOperator::power) return {};
        const auto* difference = std::get_if<ast::Binary>(&power->left->kind);
        if (!difference || difference->op != ast::BinaryOperator::subtract) return {};
        const auto* left = std::get_if<ast::NameRef>(&difference->left->kind);
        const auto* right = std::get_if<ast::NameRef>(&difference->right->kind);
        if (!left || !right) return {};
        return fmt::format(", which is `mse({}, {})`", left->name, right->name);
    }

    void bind_outputs(Building& building, const std::vector<NamedOutput>& outputs) {
        for (const NamedOutput& output : outputs) {
            building.scope->entries.push_back(
                {output.name, output.value, EntryKind::let, output.place, std::nullopt});
        }
        kept_outputs.push_back(outputs);  // entries view these names
        const auto& kept = kept_outputs.back();
        auto entry = building.scope->entries.end() - static_cast<std::ptrdiff_t>(kept.size());
        for (const NamedOutput& output : kept) (entry++)->name = output.name;
    }

    bool forward() {
        Building building(session, section.module, declaration, "forward", false, real);
        if (!open(building)) return false;
        const auto outputs = run_body(building);
        if (!outputs) return false;
        for (const NamedOutput& output : *outputs) {
            building.function.results.push_back(
                {output.name, output.value.tensor()->id, output.place, ""});
        }
        section.module.functions.push_back(std::move(building.function));
        return true;
    }

    bool training(SettingReader& reader) {
        Building building(session, section.module, declaration, "training", true, real);
        building.context.inference_only = frozen_instances(section.module);
        if (!open(building) || !open_targets(building, items, inputs, section) ||
            !augment(building, items, inputs))
            return false;
        const auto outputs = run_body(building);
        if (!outputs) return false;
        bind_outputs(building, *outputs);
        const Datum total = loss(building);
        if (total.failed()) return false;
        building.function.results.push_back({"loss", total.tensor()->id, items.loss->span, ""});
        if (trains_through_half(session, building.function)) return false;
        lint_gradient(session, section, building.function, total.tensor()->id, items.loss->span);
        if (items.penalty) {
            const Datum penalty = penalty_value(building.context, reader, *items.penalty);
            if (penalty.failed()) return false;
            building.function.results.push_back(
                {"penalty", penalty.tensor()->id, items.penalty->span, ""});
        }
        section.module.functions.push_back(std::move(building.function));
        return true;
    }

    bool evaluation() {
        Building building(session, section.module, declaration, "evaluate", false, real);
        if (!open(building) || !open_targets(building, items, inputs, section)) return false;
        const auto outputs = run_body_with_lints(building);
        if (!outputs) return false;
        bind_outputs(building, *outputs);
        const Datum total = loss(building);
        if (total.failed()) return false;
        building.function.results.push_back({"loss", total.tensor()->id, items.loss->span, ""});
        std::vector<std::string> needed;  // by the metrics of the whole set
        std::vector<const ast::Metric*> whole;
        for (const ast::Metric* metric : items.metrics) {
            building.context.whole_set = false;
            const Datum value = metric_value(building, *metric);
            if (value.failed()) return false;
            if (building.context.whole_set) {
                whole.push_back(metric);
                add_reached(building.function, value.tensor()->id, *building.scope, needed);
                continue;
            }
            building.function.results.push_back(
                {metric->name.text, value.tensor()->id, metric->name.span, ""});
        }
        std::vector<NamedOutput> kept;
        for (const NamedOutput& output : *outputs) {
            if (std::find(needed.begin(), needed.end(), output.name) == needed.end()) continue;
            kept.push_back(output);
            building.function.results.push_back(
                {kept_output(output.name), output.value.tensor()->id, output.place, ""});
        }
        section.module.functions.push_back(std::move(building.function));
        return whole.empty() || measure(whole, kept, needed);
    }

    Datum metric_value(Building& building, const ast::Metric& metric) {
        const Datum value = scalar(building, metric.value, "metric");
        if (value.failed()) return value;
        const Type& type = value.tensor()->type;
        const bool is_static = std::all_of(type.shape.begin(), type.shape.end(),
                                           [](const Dim& dim) { return dim.is_static(); });
        // A table such as `confusion` is for eval; an average of tables would be none.
        const bool good = type.rank() == 0 || (building.context.whole_set && is_static);
        if (good && is_float(type.dtype)) return value;
        return report(building.context,
                      diagnose<Code::wrong_static_type>(
                          metric.value.span, fmt::format("the metric `{}`", metric.name.text),
                          "a single number")
                          .text("this is {}", type.to_string())
                          .help("average it: `mean({})`",
                                source_text(building.context, metric.value.span, 40)));
    }

    // Metrics over all samples at once, from the outputs that `evaluate` gave for each batch.
    bool measure(const std::vector<const ast::Metric*>& metrics,
                 const std::vector<NamedOutput>& outputs, const std::vector<std::string>& needed) {
        Building building(session, section.module, declaration, "measure", false, real);
        const std::vector<Input> targets = section.targets;
        const auto add = [&](const std::string& name, const Input& input, Role role) {
            const auto index = static_cast<std::uint32_t>(building.function.inputs.size());
            building.function.inputs.push_back(input);
            Datum value = input_tensor(building, index, role);
            if (role == Role::input) value = normalized(building, value);
            building.scope->entries.push_back(
                {name, value, EntryKind::input, input.span, std::nullopt});
        };
        const auto wanted = [&](const std::string& name) {
            return std::find(needed.begin(), needed.end(), name) != needed.end();
        };
        for (const Input& input : inputs) {
            if (wanted(input.name)) add(input.name, input, Role::input);
        }
        for (const Input& target : targets) {
            if (wanted(target.name)) add(target.name, target, Role::target);
        }
        for (const NamedOutput& output : outputs) {
            add(output.name,
                {kept_output(output.name), output.value.tensor()->type, output.place, ""},
                Role::expression);
        }
        for (const ast::Metric* metric : metrics) {
            const Datum value = metric_value(building, *metric);
            if (value.failed()) return false;
            building.function.results.push_back(
                {metric->name.text, value.tensor()->id, metric->name.span, ""});
        }
        section.module.functions.push_back(std::move(building.function));
        return true;
    }

    // The model's own warnings are given where the model is elaborated; here only what the loss adds.
    std::optional<std::vector<NamedOutput>> run_body_with_lints(Building& building) {
        building.context.lint = true;
        Diagnostics silent;
        auto outputs = run_body(building);
        return outputs;
    }

    std::vector<std::vector<NamedOutput>> kept_outputs = {};
};

}  // namespace

bool build_section_functions(Session& session, const Declaration& declaration, const Model& model,
                             const SectionItems& items, DType real, TrainSection& section) {
    SectionBuilder builder{session, declaration, items, real, section};
    builder.kept_outputs.reserve(4);
    if (!builder.declare_variables(model)) return false;
    if (!apply_patterns(session, items.patterns, section.module)) return false;
    builder.declare_statistics();
    SettingReader reader(session);
    return builder.forward() && builder.training(reader) && builder.evaluation() &&
           check_solver(session, section, items);
}

}  // namespace netc::frontend
