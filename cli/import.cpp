// netc import: weights of another framework become weights of a model here.

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/initial_weights.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/weights_file.h"
#include "cli/workbench.h"
#include "runtime/train/foreign_weights.h"

namespace netc {
namespace {

void print_table(const ImportReport& report) {
    std::size_t name = 9, shape = 5, from = 4;
    std::vector<std::array<std::string, 4>> rows;
    const auto shape_of = [](const VariablePlace& place) {
        return fmt::format("{}[{}]", name_of(place.dtype), fmt::join(place.dims, ", "));
    };
    for (const ImportedTensor& taken : report.taken) {
        rows.push_back({taken.place->name, shape_of(*taken.place),
                        fmt::format("{}", fmt::join(taken.from, " + ")),
                        fmt::format("{}{}", taken.by_order ? "by order" : "by name",
                                    taken.how.empty() ? "" : ", " + taken.how)});
    }
    for (const VariablePlace* place : report.missing) {
        rows.push_back({place->name, shape_of(*place), "-", "its initial value"});
    }
    for (const auto& row : rows) {
        name = std::max(name, row[0].size());
        shape = std::max(shape, row[1].size());
        from = std::max(from, row[2].size());
    }
    print_out(fmt::format("{:<{}}  {:<{}}  {:<{}}  how\n", "parameter", name, "shape", shape,
                          "from", from));
    for (const auto& row : rows) {
        std::string line = fmt::format("{:<{}}  {:<{}}  {:<{}}  {}", row[0], name, row[1], shape,
                                       row[2], from, row[3]);
        line.resize(line.find_last_not_of(' ') + 1);
        print_out(line + "\n");
    }
    for (const std::string& unused : report.unused) {
        print_err(fmt::format("note: not used: {}\n", unused));
    }
}

void print_json(const ImportReport& report) {
    nlohmann::ordered_json json;
    json["taken"] = nlohmann::ordered_json::array();
    for (const ImportedTensor& taken : report.taken) {
        json["taken"].push_back({{"name", taken.place->name},
                                 {"from", taken.from},
                                 {"by", taken.by_order ? "order" : "name"},
                                 {"how", taken.how}});
    }
    json["initial"] = nlohmann::ordered_json::array();
    for (const VariablePlace* place : report.missing) json["initial"].push_back(place->name);
    json["unused"] = report.unused;
    print_out(json.dump() + "\n");
}

}  // namespace

int verb_import(Options options) {
    if (options.load.ends_with(".onnx") || options.file.ends_with(".onnx"))
        return report({kExitUsage, "`netc import` of ONNX waits for a later version"});
    if (options.load.empty()) return report({kExitUsage, "--from is required"});
    const std::optional<WeightLayout> layout = weight_layout(options.layout);
    if (!layout) {
        return report({kExitUsage, fmt::format("--layout takes pytorch, keras or netc, found `{}`",
                                               options.layout)});
    }
    Result<Opened> opened = open_model(options);
    if (!opened) return report(opened.error());
    const auto& [bench, model, section] = *opened;
    Result<NameMap> map = parse_name_map(options.load_map, "--map");
    if (!map) return report(map.error());
    Result<Safetensors> file = read_safetensors(options.load);
    if (!file) return report(file.error());
    if (Status s = rename_tensors(*file, *map, options.load); !s) return report(s.error());

    Result<std::unique_ptr<Runnable>> runnable =
        make_runnable(*model, section, options, {"init"}, 1);
    if (!runnable) return report(runnable.error());
    Result<Session> session = Session::create((*runnable)->program, *(*runnable)->executable);
    if (!session) return report(session.error());
    if (Status s = initialize_weights(*session, *model, section, 0); !s) return report(s.error());
    const std::vector<Variable>& variables =
        section != nullptr ? section->module.variables : model->module.variables;
    Result<ImportReport> imported =
        import_weights(*session, variables, *file, options.load, *layout);
    if (!imported) return report(imported.error());
    Metadata metadata =
        weights_metadata(*bench, *model, section, (*runnable)->program, options, nullptr);
    // Weights of this very model keep what they learned from their data.
    const auto hash = file->metadata.find(kHashMetadata);
    const auto known = file->metadata.find(kDataMetadata);
    if (hash != file->metadata.end() && hash->second == metadata[kHashMetadata] &&
        known != file->metadata.end())
        metadata.insert(*known);
    Result<std::vector<TensorView>> tensors = weight_tensors(*session);
    if (!tensors) return report(tensors.error());
    if (Status s = write_safetensors(options.output, *tensors, metadata); !s) {
        return report(s.error());
    }
    options.json ? print_json(*imported) : print_table(*imported);
    return kExitDone;
}

}  // namespace netc
