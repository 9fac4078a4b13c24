// netc explain: the page of a diagnostic, or what theory says about a network.

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/layer_rows.h"
#include "cli/terminal.h"
#include "cli/theory.h"
#include "cli/verbs.h"
#include "cli/workbench.h"
#include "frontend/render.h"

namespace netc {
namespace {

int explain_file(Options options) {
    options.file = options.action;
    std::optional<Safetensors> weights;
    if (!options.weights.empty()) {
        Result<Safetensors> read = read_weights(options.weights, options);
        if (!read) return report(read.error());
        weights = std::move(*read);
    }
    Result<Opened> opened = open_model(options);
    if (!opened) return report(opened.error());
    const auto& [bench, model, section] = *opened;
    std::vector<TheoryLine> lines = theory_of(*model, weights ? &*weights : nullptr);
    const std::int64_t batch = options.batch.value_or(section != nullptr ? section->batch : 1);
    const auto memory = [&](std::string_view entry, const char* what) -> Status {
        Result<double> bytes = memory_of(*model, section, options, entry, batch);
        if (!bytes) return bytes.error();
        lines.push_back({fmt::format("memory, {}", what), amount(*bytes, "B"),
                         fmt::format("weights and workspace of a batch of {}", batch),
                         "as netc compiles it"});
        return {};
    };
    if (Status s = memory("forward", "inference"); !s) return report(s.error());
    if (section != nullptr) {
        if (Status s = memory(training_entry(*section), "training"); !s) return report(s.error());
    }
    if (options.json) {
        nlohmann::ordered_json json;
        json["model"] = model->name;
        json["lines"] = nlohmann::ordered_json::array();
        for (const TheoryLine& line : lines) {
            json["lines"].push_back({{"what", line.what},
                                     {"value", line.value},
                                     {"formula", line.formula},
                                     {"source", line.source}});
        }
        print_out(json.dump() + "\n");
        return kExitDone;
    }
    std::size_t what = 0, value = 0;
    for (const TheoryLine& line : lines) {
        what = std::max(what, line.what.size());
        value = std::max(value, line.value.size());
    }
    for (const TheoryLine& line : lines) {
        print_out(fmt::format("{:<{}}  {:>{}}  {} [{}]\n", line.what, what, line.value, value,
                              line.formula, line.source));
    }
    return kExitDone;
}

}  // namespace

int verb_explain(Options options) {
    const bool file = options.action.ends_with(".net") || std::filesystem::exists(options.action);
    if (file) return explain_file(std::move(options));
    const DiagnosticInfo* info = find_diagnostic(options.action);
    if (info == nullptr) {
        return report({kExitUsage,
                       fmt::format("there is no diagnostic `{}`", options.action),
                       {},
                       "codes look like E0303; `netc explain FILE.net` is about a network"});
    }
    if (options.json) {
        print_out(nlohmann::ordered_json{{"code", options.action},
                                         {"explanation", render_explanation(*info)}}
                      .dump() +
                  "\n");
        return kExitDone;
    }
    print_out(render_explanation(*info));
    return kExitDone;
}

}  // namespace netc
