// netc grad: one evaluation of the training graph, and every gradient as a file.

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/arrays.h"
#include "cli/loaded_network.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/weights_file.h"
#include "cli/workbench.h"

namespace netc {
namespace {

// --wrt NAME: only real numbers that are calculated with have one.
Status check_gradient_input(const Workbench& bench, const Model& model, const TrainSection& section,
                            const std::string& name) {
    std::vector<const Input*> inputs;
    for (const Input& input : model.inputs) inputs.push_back(&input);
    for (const Input& target : section.targets) inputs.push_back(&target);
    const auto found = std::ranges::find(inputs, name, &Input::name);
    if (found == inputs.end()) {
        return Error{kExitUsage,
                     fmt::format("--wrt: there is no input `{}` with a gradient", name)};
    }
    const Input& input = **found;
    if (is_float(input.type.dtype) && !is_half(input.type.dtype)) return {};
    Error error{kExitUsage, fmt::format("--wrt: `{}` is {}, whose gradient would be {} too", name,
                                        input.type.to_string(), name_of(input.type.dtype))};
    if (input.span.known()) {
        const Position at = bench.sources.begin(input.span);
        error.place = FilePlace{std::string(bench.sources.path(input.span.file)),
                                static_cast<int>(at.line), static_cast<int>(at.column)};
    }
    error.help = "inputs of f32 and f64 have gradients";
    return error;
}

}  // namespace

int verb_grad(Options options) {
    Result<Safetensors> weights = read_weights(options.weights, options);
    if (!weights) return report(weights.error());
    Result<std::unique_ptr<Workbench>> bench = open_workbench(options);
    if (!bench) return report(bench.error());
    Result<const TrainSection*> section = find_section(**bench, options);
    if (!section) return report(section.error());
    Result<const Model*> model = find_model(**bench, (*section)->model);
    if (!model) return report(model.error());
    for (const std::string& name : options.wrt) {
        if (Status s = check_gradient_input(**bench, **model, **section, name); !s)
            return report(s.error());
    }
    if (Status s = needs_cpu(options, "`netc grad`"); !s) return report(s.error());
    Result<Program> program =
        make_program(**model, *section, options, {"gradient"},
                     options.batch.value_or((*section)->batch), false, options.wrt);
    if (!program) return report(program.error());
    JitOptions jit_options{.target = cpu_target(options),
                           .threads = thread_count(options),
                           .cache_directory = cache_directory(options),
                           .entries = {}};
    Result<std::unique_ptr<Executable>> executable = jit(*program, jit_options);
    if (!executable) return report(executable.error());
    Result<Session> session = Session::create(*program, **executable);
    if (!session) return report(session.error());
    if (auto loaded = load_weights(*session, *weights, options.weights, false); !loaded)
        return report(loaded.error());
    warn_not_finite(*weights, options.weights);
    const Entry& entry = *program->find("gradient");
    Result<CallInputs> inputs = read_call_inputs(entry, options.inputs);
    if (!inputs) return report(inputs.error());
    if (Status s = check_ranges(entry, *inputs); !s) return report(s.error());
    if (inputs->batch < 1) return report({kExitData, "there is no sample in the inputs"});
    session->set_seed(options.seed.value_or((*section)->seed));
    if (Status s = session->run("gradient", inputs->pointers(), inputs->batch); !s)
        return report(s.error());

    std::vector<TensorView> tensors;
    for (std::size_t i = 0; i < entry.outputs.size(); ++i) {
        const EntryArgument& output = entry.outputs[i];
        if (!output.name.starts_with("grad:")) continue;
        tensors.push_back({output.name.substr(5), output.dtype, shape_at(output, inputs->batch),
                           session->output(i)});
    }
    const Metadata metadata =
        weights_metadata(**bench, **model, *section, *program, options, nullptr);
    if (Status s = write_safetensors(options.output, tensors, metadata); !s)
        return report(s.error());
    const double loss = session->number("loss");
    print_out(options.json ? nlohmann::json{{"loss", loss}}.dump() + "\n"
                           : fmt::format("loss {:.9g}\n", loss));
    return kExitDone;
}

}  // namespace netc
