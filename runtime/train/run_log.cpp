#include "runtime/train/run_log.h"

#include <cmath>

#include <nlohmann/json.hpp>

namespace netc {
namespace {

nlohmann::json number_or_null(double value) {
    return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

}  // namespace

std::string log_line(const EpochReport& r, bool measured, bool best) {
    nlohmann::ordered_json json;
    if (r.restart > 0) json["restart"] = r.restart;
    json["epoch"] = r.epoch;
    json["step"] = r.step;
    json["loss"] = number_or_null(r.loss);
    if (!std::isnan(r.penalty)) json["penalty"] = number_or_null(r.penalty);
    if (measured) {
        nlohmann::ordered_json metrics = nlohmann::ordered_json::object();
        for (const auto& [name, value] : r.metrics) metrics[name] = number_or_null(value);
        json["metrics"] = metrics;
    }
    json["lr"] = number_or_null(r.rate);
    json["seconds"] = r.seconds;
    json["samples_per_second"] = r.samples_per_second;
    if (best) json["best"] = r.best;
    return json.dump();
}

bool is_before(std::string_view line, std::int64_t restart, std::int64_t steps) {
    const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer()) {
        return false;
    }
    const std::int64_t of = json.value("restart", std::int64_t{1}) - 1;
    return of < restart || (of == restart && json["step"].get<std::int64_t>() <= steps);
}

}  // namespace netc
