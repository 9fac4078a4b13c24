// A network with its weights, ready to be called: what eval, predict and plot begin with.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/workbench.h"

namespace netc {

// A model with or without a section, compiled and filled with weights.
struct Loaded {
    std::unique_ptr<Workbench> bench;
    const Model* model = nullptr;
    const TrainSection* section = nullptr;
    std::unique_ptr<Runnable> runnable;
    std::optional<Session> session;
    std::optional<DataStatistics> statistics;

    const Entry& entry(std::string_view name) const { return *runnable->program.find(name); }
};

// `wants_section`: eval and grad are about a train section, predict about a model.
Result<Loaded> load_network(Options& options, bool wants_section, std::vector<std::string> entries,
                            std::int64_t batch_hint);

// Says on standard error which tensors hold NaN or infinity: what is computed from them is no answer, but it is what was
// asked for.
void warn_not_finite(const Safetensors& weights, const std::string& path);

}  // namespace netc
