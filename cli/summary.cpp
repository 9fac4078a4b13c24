// netc summary: a row per layer.

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/layer_rows.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/workbench.h"

namespace netc {

namespace {

// `x f32[B, 784], y i32[B]`
template <class Items, class TypeOf>
std::string signature(const Items& items, const TypeOf& type_of) {
    std::string text;
    for (const auto& item : items)
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", item.name, type_of(item));
    return text;
}

std::string table_of(const Model& model, const std::vector<LayerRow>& rows, std::int64_t numbers,
                     double flops) {
    std::size_t width = 8, shape = 12, kind = 4;
    for (const LayerRow& row : rows) {
        width = std::max(width, row.path.size());
        kind = std::max(kind, row.kind.size());
        shape = std::max(shape, row.shape.size());
    }
    const auto line = [&](std::string_view path, std::string_view layer, std::string_view output,
                          std::string_view parameters, std::string_view work,
                          std::string_view memory) {
        return fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>12}  {:>12}  {:>12}\n", path, width, layer,
                           kind, output, shape, parameters, work, memory);
    };
    const std::string rule = std::string(width + kind + shape + 48 - 2, '-') + "\n";
    std::string text;
    if (const Function* forward = model.module.find("forward")) {
        text = fmt::format(
            "{}: {} -> {}\n\n", model.name,
            signature(model.inputs, [](const Input& input) { return input.type.to_string(); }),
            signature(forward->results, [&](const Function::Result& result) {
                return (*forward)[result.value].type.to_string();
            }));
    }
    text += line("layer", "kind", "output", "parameters", "FLOP", "activations") + rule;
    double activations = 0;
    for (const LayerRow& row : rows) {
        activations += row.activation_bytes;
        text +=
            line(row.path, row.kind, row.shape,
                 row.parameters + row.state > 0 ? with_separators(row.parameters + row.state) : "",
                 row.flops > 0 ? amount(row.flops, "") : "",
                 row.activation_bytes > 0 ? amount(row.activation_bytes, "B") : "");
    }
    return text + rule +
           line("total", "", "", with_separators(numbers), amount(flops, ""),
                amount(activations, "B"));
}

}  // namespace

int verb_summary(Options options) {
    Result<Opened> opened = open_model(options);
    if (!opened) return report(opened.error());
    const auto& [bench, model, section] = *opened;
    const std::vector<LayerRow> rows = layer_rows(*model, bench->sources);
    const std::int64_t batch = options.batch.value_or(section != nullptr ? section->batch : 1);
    double flops = 0;
    std::int64_t parameters = 0, state = 0;
    for (const LayerRow& row : rows) {
        flops += row.flops;
        parameters += row.parameters;
        state += row.state;
    }
    Result<double> inference = memory_of(*model, section, options, "forward", batch);
    if (!inference) return report(inference.error());
    std::optional<double> training, recomputing;
    if (section != nullptr) {
        Result<double> bytes = memory_of(*model, section, options, training_entry(*section), batch);
        if (!bytes) return report(bytes.error());
        training = *bytes;
        Options again = options;
        again.recompute = "always";
        bytes = memory_of(*model, section, again, training_entry(*section), batch);
        if (!bytes) return report(bytes.error());
        recomputing = *bytes;
    }
    if (options.json) {
        nlohmann::ordered_json json;
        json["model"] = model->name;
        json["layers"] = nlohmann::ordered_json::array();
        for (const LayerRow& row : rows) {
            json["layers"].push_back({{"path", row.path},
                                      {"layer", row.kind},
                                      {"output", row.shape},
                                      {"parameters", row.parameters},
                                      {"state", row.state},
                                      {"flops", row.flops},
                                      {"activation_bytes", row.activation_bytes}});
        }
        json["parameters"] = parameters;
        json["trainable_parameters"] = model->parameter_count;
        json["state"] = state;
        json["flops_per_sample"] = flops;
        json["batch"] = batch;
        json["inference_bytes"] = *inference;
        if (training) json["training_bytes"] = *training;
        if (recomputing) json["training_bytes_recompute"] = *recomputing;
        print_out(json.dump() + "\n");
        return kExitDone;
    }
    print_out(table_of(*model, rows, parameters + state, flops));
    print_out(fmt::format("\nparameters {}{}, of which trainable {}\n", with_separators(parameters),
                          state > 0 ? fmt::format(" and state {}", with_separators(state)) : "",
                          with_separators(model->parameter_count)));
    print_out(fmt::format("FLOP a sample {}\n", amount(flops, "FLOP")));
    print_out(fmt::format("memory, batch {}: inference {}{}\n", batch, amount(*inference, "B"),
                          training ? fmt::format(", training {} ({} with --recompute)",
                                                 amount(*training, "B"), amount(*recomputing, "B"))
                                   : ""));
    return kExitDone;
}

}  // namespace netc
