#include "runtime/train/checkpoint.h"

#include <cstring>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace netc {
namespace {

// Doubles as hexadecimal text, so that they come back bit for bit.
std::string exact(double value) { return fmt::format("{:a}", value); }
double exact_from(const nlohmann::json& json, const char* key) {
    return std::strtod(json.value(key, std::string("0")).c_str(), nullptr);
}

std::string to_json(const Progress& p) {
    nlohmann::json json = {{"restart", p.restart},
                           {"best_restart", p.best_restart},
                           {"epoch", p.epoch},
                           {"step_in_epoch", p.step_in_epoch},
                           {"step", p.step},
                           {"loss_sum", exact(p.loss_sum)},
                           {"penalty_sum", exact(p.penalty_sum)},
                           {"watched_best", exact(p.watched_best)},
                           {"improved", p.improved},
                           {"seconds", exact(p.seconds)}};
    if (p.best) json["best"] = exact(*p.best);
    return json.dump();
}

Result<Progress> from_json(const std::string& text, const std::string& path) {
    const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
    const char* integers[] = {"restart",       "best_restart", "epoch",
                              "step_in_epoch", "step",         "improved"};
    bool sound = json.is_object();
    for (const char* key : integers)
        sound = sound && json.contains(key) && json[key].is_number_integer();
    for (const char* key : {"loss_sum", "penalty_sum", "watched_best", "seconds"}) {
        sound = sound && json.contains(key) && json[key].is_string();
    }
    if (!sound) return Error{kExitData, path + ": this is not the state of a training run"};
    Progress p;
    p.restart = json["restart"].get<std::int64_t>();
    p.best_restart = json["best_restart"].get<std::int64_t>();
    p.epoch = json["epoch"].get<std::int64_t>();
    p.step_in_epoch = json["step_in_epoch"].get<std::int64_t>();
    p.step = json["step"].get<std::int64_t>();
    p.improved = json["improved"].get<std::int64_t>();
    p.loss_sum = exact_from(json, "loss_sum");
    p.penalty_sum = exact_from(json, "penalty_sum");
    p.watched_best = exact_from(json, "watched_best");
    p.seconds = exact_from(json, "seconds");
    if (json.contains("best") && json["best"].is_string()) p.best = exact_from(json, "best");
    return p;
}

}  // namespace

constexpr std::string_view kMemoryPrefix = "memory/";

Status write_state(const RunDirectory& directory, const Session& session, const Progress& progress,
                   const std::vector<Memory>& memory, const std::string& identity,
                   Metadata metadata) {
    Result<std::vector<TensorView>> weights = weight_tensors(session);
    if (!weights) return weights.error();
    Result<std::vector<TensorView>> slots = slot_tensors(session);
    if (!slots) return slots.error();
    std::vector<TensorView> tensors = std::move(*weights);
    for (TensorView& slot : *slots) {
        slot.name = "optimizer/" + slot.name;
        tensors.push_back(std::move(slot));
    }
    for (const Memory& kept : memory) {
        tensors.push_back({std::string(kMemoryPrefix) + kept.name, DType::f64, kept.shape,
                           std::as_bytes(std::span(kept.values))});
    }
    metadata["netc.progress"] = to_json(progress);
    metadata["netc.identity"] = identity;
    return write_safetensors(directory.file(kStateFile), tensors, metadata);
}

Result<Progress> read_state(const RunDirectory& directory, Session& session,
                            std::vector<Memory>& memory, const std::string& identity) {
    const std::string path = directory.file(kStateFile);
    Result<Safetensors> file = read_safetensors(path);
    if (!file) return file.error();
    const auto known = file->metadata.find("netc.identity");
    const auto progress = file->metadata.find("netc.progress");
    if (known == file->metadata.end() || progress == file->metadata.end()) {
        return Error{kExitData, path + ": this is not the state of a training run"};
    }
    if (known->second != identity) {
        // Identity is lines of "what: value"; name the first that differs.
        std::string what = "the program or the data";
        std::size_t a = 0, b = 0;
        while (a < known->second.size() && b < identity.size()) {
            const std::size_t end_a = std::min(known->second.find('\n', a), known->second.size());
            const std::size_t end_b = std::min(identity.find('\n', b), identity.size());
            const std::string line_a = known->second.substr(a, end_a - a);
            const std::string line_b = identity.substr(b, end_b - b);
            if (line_a != line_b) {
                what = line_b.substr(0, line_b.find(':'));
                break;
            }
            a = end_a + 1;
            b = end_b + 1;
        }
        Error error{kExitData, fmt::format("{}: {} has changed since this run began", path, what)};
        error.help = "start a new run; `--load` takes the weights of this one";
        return error;
    }
    Safetensors weights, slots;
    memory.clear();
    weights.memory = slots.memory = file->memory;
    weights.bytes = slots.bytes = file->bytes;
    for (Safetensors::Tensor& tensor : file->tensors) {
        constexpr std::string_view kPrefix = "optimizer/";
        if (tensor.name.starts_with(kPrefix)) {
            tensor.name.erase(0, kPrefix.size());
            slots.tensors.push_back(std::move(tensor));
        } else if (tensor.name.starts_with(kMemoryPrefix) && tensor.dtype == DType::f64) {
            Memory kept{tensor.name.substr(kMemoryPrefix.size()), tensor.shape, {}};
            kept.values.resize(tensor.size / sizeof(double));
            std::memcpy(kept.values.data(), weights.data(tensor).data(), tensor.size);
            memory.push_back(std::move(kept));
        } else {
            weights.tensors.push_back(std::move(tensor));
        }
    }
    if (Result<LoadReport> r = load_weights(session, weights, path, false); !r) return r.error();
    if (Status s = load_slots(session, slots, path); !s) return s.error();
    return from_json(progress->second, path);
}

Result<Snapshot> take_snapshot(const Session& session) {
    Result<std::vector<TensorView>> tensors = weight_tensors(session);
    if (!tensors) return tensors.error();
    Snapshot snapshot;
    std::size_t size = 0;
    for (const TensorView& tensor : *tensors) size += tensor.bytes.size();
    snapshot.bytes.reserve(size);
    for (const TensorView& tensor : *tensors) {
        snapshot.bytes.insert(snapshot.bytes.end(), tensor.bytes.begin(), tensor.bytes.end());
    }
    return snapshot;
}

Status write_weights(const std::string& path, const Session& session, const Snapshot& snapshot,
                     const Metadata& metadata) {
    // Of their names and shapes only.
    Result<std::vector<TensorView>> tensors = weight_tensors(session);
    if (!tensors) return tensors.error();
    std::size_t offset = 0;
    for (TensorView& tensor : *tensors) {
        const std::size_t size = tensor.bytes.size();
        tensor.bytes = std::span(snapshot.bytes).subspan(offset, size);
        offset += size;
    }
    return write_safetensors(path, *tensors, metadata);
}

}  // namespace netc
