#include "passes/entries.h"

#include <algorithm>

#include "ir/graph_builder.h"
#include "passes/differentiate.h"
#include "passes/recompute.h"
#include "passes/rewrite.h"
#include "passes/update.h"

namespace netc {
namespace {

const Function::Result* find_result(const Function& function, std::string_view name) {
    for (const Function::Result& result : function.results) {
        if (result.name == name) return &result;
    }
    return nullptr;
}

// `gradient` and `train_step` give numbers, not the outputs of the model.
void keep_results(Function& function, std::vector<Function::Result> results) {
    function.results = std::move(results);
}

std::vector<VariableId> trainable(const Module& module) {
    std::vector<VariableId> ids;
    for (VariableId id = 0; id < module.variables.size(); ++id) {
        const Variable& variable = module.variables[id];
        if (variable.kind == VariableKind::parameter && !variable.frozen) ids.push_back(id);
    }
    return ids;
}

NodeId total_loss(Function& function) {
    GraphBuilder builder(function);
    const Value loss{&builder, find_result(function, "loss")->value};
    const Function::Result* penalty = find_result(function, "penalty");
    if (penalty == nullptr) return loss.id;
    builder.set_origin(function[loss.id].origin);
    return (loss + Value{&builder, penalty->value}).id;
}

}  // namespace

bool wants(const CompileOptions& options, std::string_view entry) {
    return options.entries.empty() ||
           std::ranges::find(options.entries, entry) != options.entries.end();
}

Module collect_functions(const Model& model, const TrainSection* section) {
    Module module = section != nullptr ? section->module : model.module;
    module.name = model.name;
    return module;
}

Status differentiate_training(Module& module, const TrainSection& section,
                              const CompileOptions& options) {
    const Function* training = module.find("training");
    if (training == nullptr) return Error{kExitInternal, "the train section has no training graph"};
    Function step = *training;
    std::erase_if(module.functions, [](const Function& f) { return f.name == "training"; });

    GradientRequest request;
    request.loss = total_loss(step);
    request.variables = trainable(module);
    for (const std::string& name : options.gradient_inputs) {
        for (std::uint32_t i = 0; i < step.inputs.size(); ++i) {
            if (step.inputs[i].name == name) request.inputs.push_back(i);
        }
    }
    const NodeId penalty =
        find_result(step, "penalty") != nullptr ? find_result(step, "penalty")->value : NodeId{};
    const Gradients gradients = differentiate(step, module.variables, request);
    std::vector<Function::Result> results{{"loss", request.loss}};

    if (wants(options, "gradient")) {
        Function gradient = step;
        gradient.name = "gradient";
        gradient.updates.clear();
        std::vector<Function::Result> all = results;
        if (options.log_results && penalty.valid()) all.push_back({"penalty", penalty});
        for (std::size_t i = 0; i < request.variables.size(); ++i) {
            all.push_back(
                {"grad:" + module.variables[request.variables[i]].name, gradients.variables[i]});
        }
        for (std::size_t i = 0; i < request.inputs.size(); ++i) {
            all.push_back({"grad:" + step.inputs[request.inputs[i]].name, gradients.inputs[i]});
        }
        keep_results(gradient, std::move(all));
        recompute(gradient, gradients.backward, options.batch_hint, options.recompute);
        remove_stop_gradients(gradient);
        module.functions.push_back(std::move(gradient));
    }
    if (wants(options, "train_step") && !trains_on_all_data(section)) {
        step.name = "train_step";
        const Result<NodeId> rate =
            update(module, step, section.optimizer, request.variables, gradients.variables);
        if (!rate) return rate.error();
        if (options.log_results) {
            if (penalty.valid()) results.push_back({"penalty", penalty});
            results.push_back({"rate", *rate});
        }
        keep_results(step, std::move(results));
        recompute(step, gradients.backward, options.batch_hint, options.recompute);
        remove_stop_gradients(step);
        module.functions.push_back(std::move(step));
    }
    return {};
}

void bind_random_state(Module& module) {
    std::optional<VariableId> counter;
    for (VariableId id = 0; id < module.variables.size(); ++id) {
        const Variable& variable = module.variables[id];
        if (variable.kind == VariableKind::slot && variable.name == kStepSlot) counter = id;
    }
    for (Function& function : module.functions) {
        const bool training = function.name == "train_step";
        const bool has_hyper = training || function.name == "gradient" || function.name == "init";
        remove_stop_gradients(function);
        rewrite(function, [&](Rebuilder& to, const Node& node) -> std::optional<NodeId> {
            if (node.op != OpId::hyper) return std::nullopt;
            const std::string& name = node.attributes.get<std::string>("name");
            if (name == "step" && training && counter) {
                return to.append(OpId::variable, {},
                                 {{"index", static_cast<std::int64_t>(*counter)},
                                  {"dtype", node.type.dtype},
                                  {"shape", node.type.shape}},
                                 node.type, node.origin);
            }
            if (name == "step" || (name == "seed" && !has_hyper)) {
                return to.append(OpId::constant, {},
                                 {{"value", 0.0}, {"shape", Shape{}}, {"dtype", node.type.dtype}},
                                 node.type, node.origin);
            }
            return std::nullopt;
        });
    }
}

}  // namespace netc
