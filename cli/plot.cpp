// netc plot: learning curves, and pictures of what a network has learned.

#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/curves.h"
#include "cli/pictures.h"
#include "cli/verbs.h"
#include "cli/workbench.h"
#include "runtime/files/chart.h"
#include "runtime/files/files.h"

namespace netc {
namespace {

// Of several runs each has a colour, and what training data gave is dashed.
Status add_run(const std::string& run, std::optional<std::size_t> colour,
               std::map<std::string, std::map<std::string, Curve>>& panels) {
    Result<std::string> log = read_file(run + "/log.jsonl");
    if (!log) return log.error();
    const std::string name_of_run = std::filesystem::path(run).filename().string();
    // What follows the last line break was being written when the process was killed.
    std::istringstream lines(log->substr(0, log->rfind('\n') + 1));
    std::string line;
    int number = 0;
    double steps_per_epoch = 0;
    while (std::getline(lines, line)) {
        ++number;
        const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
        if (!json.is_object() || !json.contains("epoch") || !json["epoch"].is_number()) {
            return Error{kExitData, "this is not a line of a training log",
                         FilePlace{run + "/log.jsonl", number, 1}};
        }
        double epoch = json["epoch"].get<double>();
        const double step = json.contains("step") && json["step"].is_number()
                                ? json["step"].get<double>()
                                : std::nan("");
        if (epoch == 1 && step > steps_per_epoch) steps_per_epoch = step;
        if (!json.contains("metrics")) continue;
        // A run may measure within an epoch; after the first one it is known how long they are.
        if (epoch > 1 && steps_per_epoch > 0 && step / steps_per_epoch < epoch) {
            epoch = step / steps_per_epoch;
        }
        std::string label = colour ? name_of_run + " " : "";
        if (json.contains("restart")) {
            label += fmt::format("restart {} ", json["restart"].get<std::int64_t>());
        }
        auto add = [&](const std::string& panel, const std::string& name,
                       const nlohmann::json& value) {
            if (!value.is_number()) return;
            Curve& curve = panels[panel][label + name];
            curve.name = label + name;
            curve.colour = colour;
            curve.dashed = colour && name == "training";
            curve.points.emplace_back(epoch, value.get<double>());
        };
        if (json.contains("loss")) add("loss", "training", json["loss"]);
        for (const auto& [name, value] : json["metrics"].items()) {
            const std::size_t dot = name.rfind('.');
            const std::string metric = dot == std::string::npos ? name : name.substr(dot + 1);
            const std::string set = dot == std::string::npos         ? "training"
                                    : name.substr(0, dot) == "valid" ? "held out"
                                                                     : name.substr(0, dot);
            add(metric, set, value);
        }
    }
    return {};
}

}  // namespace

Status write_curves(const std::vector<std::string>& runs, const std::string& svg) {
    std::map<std::string, std::map<std::string, Curve>> panels;
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const auto colour = runs.size() > 1 ? std::optional(i) : std::nullopt;
        if (Status s = add_run(runs[i], colour, panels); !s) return s;
    }
    Chart chart;
    chart.title =
        runs.size() == 1 ? std::filesystem::path(runs[0]).filename().string() : "learning curves";
    auto take = [&](const std::string& name, std::map<std::string, Curve>& curves) {
        Panel panel;
        panel.title = name;
        for (auto& [label, curve] : curves) panel.curves.push_back(std::move(curve));
        chart.panels.push_back(std::move(panel));
    };
    if (panels.contains("loss")) take("loss", panels["loss"]);
    for (auto& [name, curves] : panels) {
        if (name != "loss") take(name, curves);
    }
    return write_file_atomically(svg, to_svg(chart));
}

int verb_plot(Options options) {
    if (options.runs.front().ends_with(".net")) {
        options.file = options.runs.front();
        if (options.runs.size() > 1) options.name = options.runs[1];
        if (options.weights.empty() || options.runs.size() > 2) {
            return report({kExitUsage, "a picture of a network wants FILE [MODEL] and --weights"});
        }
        Result<std::string> svg =
            options.filters ? filters_svg(options) : decision_boundary_svg(options);
        if (!svg) return report(svg.error());
        Status written = write_file_atomically(options.output, *svg);
        return written ? kExitDone : report(written.error());
    }
    if (Status s = write_curves(options.runs, options.output); !s) return report(s.error());
    return kExitDone;
}

}  // namespace netc
