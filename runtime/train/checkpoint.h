// What a training run must know to go on, and the files that hold it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ir/result.h"
#include "runtime/files/run_directory.h"
#include "runtime/train/session.h"

namespace netc {

inline constexpr const char* kStateFile = "state.safetensors";
// Stands in the directory from before the first weights are written until the first state is.
inline constexpr const char* kFirstCheckpoint = ".first-checkpoint";

struct Progress {
    std::int64_t restart = 0;        // of the section's `restarts`, from 0
    std::int64_t epoch = 0;          // being trained, from 0
    std::int64_t step_in_epoch = 0;  // steps of it that are done
    std::int64_t step = 0;           // of the whole run
    double loss_sum = 0;             // of this epoch's steps
    double penalty_sum = 0;
    std::optional<double> best;     // of the watched value, over all restarts
    std::int64_t best_restart = 0;  // the one that has it
    double watched_best = 0;        // of the value that `stop` watches
    std::int64_t improved = -1;  // the step after which it was better than ever; -1: none seen yet
    double seconds = 0;          // spent before this process
};

// What an algorithm outside of the compiled code remembers from step to step.
struct Memory {
    std::string name;
    std::vector<std::int64_t> shape;
    std::vector<double> values;
};

// state.safetensors: weights, slots, memory and progress, whole in itself.
Status write_state(const RunDirectory& directory, const Session& session, const Progress& progress,
                   const std::vector<Memory>& memory, const std::string& identity,
                   Metadata metadata);
Result<Progress> read_state(const RunDirectory& directory, Session& session,
                            std::vector<Memory>& memory, const std::string& identity);

// The bytes of all weights at one moment.
struct Snapshot {
    std::vector<std::byte> bytes;
    bool empty() const { return bytes.empty(); }
};
Result<Snapshot> take_snapshot(const Session& session);
Status write_weights(const std::string& path, const Session& session, const Snapshot& snapshot,
                     const Metadata& metadata);

}  // namespace netc
