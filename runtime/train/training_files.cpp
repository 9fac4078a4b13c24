// The files of a run of training: the best weights so far, those that the section names, checkpoints; how a run that
// goes on finds them.
#include <cmath>
#include <filesystem>

#include <fmt/format.h>

#include "ir/slots.h"
#include "runtime/files/files.h"
#include "runtime/train/training.h"

namespace netc {
namespace {

// Weights of so many bytes are kept in a file until the next checkpoint, smaller ones in memory.
constexpr std::int64_t kManyBytes = 16 << 20;
constexpr const char* kPending = ".pending.safetensors";

}  // namespace

// A run that ended before its first checkpoint begins again: that gives the same bits.
Result<Progress> Training::read_progress() {
    const RunDirectory& directory = *plan_.directory;
    if (std::filesystem::exists(directory.file(kStateFile))) {
        written_ = resumed_ = checkpointed_ = true;
        std::vector<Memory> memory;
        Result<Progress> progress = read_state(directory, session_, memory, plan_.identity);
        if (progress) stepper_->restore(memory);
        return progress;
    }
    // Weights without a state are what a first checkpoint had written when it ended, or all that is left.
    const bool unfinished = std::filesystem::exists(directory.file(kFirstCheckpoint));
    for (const char* kept : {"last.safetensors", "best.safetensors"}) {
        if (unfinished || !std::filesystem::exists(directory.file(kept))) continue;
        return Error{
            kExitData,
            fmt::format("{} is missing, so this run cannot go on", directory.file(kStateFile)),
            {},
            fmt::format("`--load {}` begins a new run with its weights", directory.file(kept))};
    }
    if (observer_.on_note) {
        observer_.on_note(directory.path() + " holds no checkpoint yet: the run begins again");
    }
    return Progress{};
}

Status Training::take_best(EpochReport& r) {
    const Watch watch = section().best.value_or(
        Watch{plan_.valid_rows.empty() ? "loss" : "valid.loss", Direction01::min, {}});
    const auto value = find(r, watch.name);
    if (!value || !std::isfinite(*value)) return {};
    if (progress_.best && !improves(watch, *value, *progress_.best)) return {};
    progress_.best = *value;
    progress_.best_restart = progress_.restart;
    r.best = true;
    if (plan_.directory == nullptr) return {};
    if (session_.program().weights_size >= kManyBytes) {
        pending_ = true;
        for (const std::string& name : best_names()) {
            if (Status s = write_weights_now(name + kPending); !s) return s;
        }
        return {};
    }
    Result<Snapshot> snapshot = take_snapshot(session_);
    if (!snapshot) return snapshot.error();
    best_ = std::move(*snapshot);
    return {};
}

// With what an object of the network asks for, where its schedule is in epochs.
Metadata Training::metadata() const {
    Metadata all = plan_.metadata;
    if (steps_per_epoch_slot(session_.program()) != nullptr)
        all[kStepsPerEpochKey] = std::to_string(steps_per_epoch_);
    return all;
}

// Verbs that are given the run find `best`, whatever else the section calls it.
std::vector<std::string> Training::best_names() const {
    std::vector<std::string> names{"best"};
    if (section().best_file && *section().best_file != "best")
        names.push_back(*section().best_file);
    return names;
}

Status Training::write_best() {
    if (plan_.directory == nullptr || (best_.empty() && !pending_)) return {};
    for (const std::string& name : best_names()) {
        const std::string path = plan_.directory->file(name + ".safetensors");
        const Status s = pending_ ? rename_file(plan_.directory->file(name + kPending), path)
                                  : write_weights(path, session_, best_, metadata());
        if (!s) return s;
    }
    best_ = {};
    pending_ = false;
    written_ = true;
    return {};
}

// save = every(5ep, "weights"): weights-5.safetensors, and with restarts weights-2-5.safetensors.
Status Training::write_named() {
    if (plan_.directory == nullptr) return {};
    const SaveEvery& save = *section().save_every;
    const bool epochs =
        save.period.unit == DurationUnit::epochs && progress_.step % steps_per_epoch_ == 0;
    const std::int64_t number = epochs ? progress_.step / steps_per_epoch_ : progress_.step;
    const std::string restart =
        shown_restart() > 0 ? fmt::format("{}-", shown_restart()) : std::string{};
    const std::string name = fmt::format("{}-{}{}.safetensors", save.file, restart, number);
    return write_weights_now(name);
}

Status Training::write_weights_now(const std::string& name) {
    Result<std::vector<TensorView>> tensors = weight_tensors(session_);
    if (!tensors) return tensors.error();
    return write_safetensors(plan_.directory->file(name), *tensors, metadata());
}

// Best first, state last: what a resumed run reads never promises a file that is not there.
Status Training::write_files() {
    last_write_ = Clock::now();
    if (plan_.directory == nullptr) return {};
    const RunDirectory& directory = *plan_.directory;
    const std::string first = directory.file(kFirstCheckpoint);
    if (!checkpointed_) {
        if (Status s = write_file_atomically(first, std::string_view()); !s) return s;
    }
    if (Status s = write_best(); !s) return s;
    if (Status s = write_weights_now("last.safetensors"); !s) return s;
    Progress now = progress_;
    now.seconds += seconds_since(start_);
    written_ = true;
    if (Status s =
            write_state(directory, session_, now, stepper_->memory(), plan_.identity, metadata());
        !s)
        return s;
    checkpointed_ = true;
    std::error_code code;
    std::filesystem::remove(first, code);
    return {};
}

}  // namespace netc
