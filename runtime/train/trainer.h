// The training loop: epochs over shuffled rows, validation, log, checkpoints, resuming.
//
// A run is a pure function of the program, the section, the data and the seed; what it needs to go on
// after any step is in `state.safetensors`, so that a resumed run ends with the same bits as an
// uninterrupted one.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ir/network.h"
#include "runtime/data/dataset.h"
#include "runtime/files/run_directory.h"
#include "runtime/train/session.h"

namespace netc {

struct TrainPlan {
    const TrainSection* section = nullptr;
    const Dataset* data = nullptr;
    std::vector<std::int64_t> train_rows;
    std::vector<std::int64_t> classes;     // of train_rows, where sample = balanced(y)
    const Dataset* valid_data = nullptr;   // of the section's `valid`, or `data` with a split
    std::vector<std::int64_t> valid_rows;  // empty: no held-out data
    std::int64_t batch = 32;
    std::optional<std::int64_t> epochs, steps;
    std::uint64_t seed = 0;
    std::optional<Duration> log;        // lines within epochs, without measuring
    RunDirectory* directory = nullptr;  // null: nothing is written
    Metadata metadata;                  // of every weights file: netc.model, ...
    std::string identity;               // source, options, data: must agree when resuming
    bool resume = false;
    // The weights that a restart begins with: `init` by this seed, what the data say, what is loaded. The
    // session comes with those of `seed`.
    std::function<Status(std::uint64_t seed)> initialize;
    // solver = normal_equation(): `gradient` of the same section in double precision.
    Session* solver = nullptr;
};

struct EpochReport {
    std::int64_t restart = 0;  // from 1; 0 where there is one only
    std::int64_t epoch = 0, step = 0;
    double loss = 0, penalty = std::numeric_limits<double>::quiet_NaN();
    std::vector<std::pair<std::string, double>> metrics;  // valid.loss, valid.acc, ...
    double rate = 0, seconds = 0, samples_per_second = 0;
    bool best = false;
    bool within = false;  // in the middle of an epoch
};

struct StepReport {
    std::int64_t restart = 0;            // as in EpochReport
    std::int64_t epoch = 0, epochs = 0;  // epochs 0: training counts steps
    std::int64_t step = 0, steps = 0;    // of the whole run
    double loss = 0;                     // mean of the epoch so far
    double samples_per_second = 0, seconds_left = 0;
};

struct TrainObserver {
    std::function<void(const StepReport&)> on_step;  // often; the callee limits its output
    std::function<void(const EpochReport&)> on_epoch;
    std::function<void(const std::string&)> on_note;  // one sentence for a person
};

// converged: L-BFGS finds no smaller loss.
enum class TrainEnd : std::uint8_t { finished, stopped_early, converged, interrupted };
struct TrainOutcome {
    TrainEnd end = TrainEnd::finished;
    std::int64_t epoch = 0, step = 0;
    std::int64_t best_restart = 0;  // from 1; 0 where there is one only
    EpochReport last;
};

// `interrupt` is looked at after every step.
Result<TrainOutcome> train(Session& session, const TrainPlan& plan, const TrainObserver& observer,
                           const std::atomic<int>& interrupt);

// A loss or metric over rows: a number, or a table such as a confusion matrix.
struct Measurement {
    std::string name;
    std::vector<std::int64_t> shape;  // empty: a number
    std::vector<double> values;       // row-major
    bool is_number() const { return shape.empty(); }
};

// "loss" first. What the entry `evaluate` gives is averaged over batches, weighted by their size; what
// `measure` gives, where there is one, is computed once on all rows.
Result<std::vector<Measurement>> evaluate(Session& session, const Dataset& data,
                                          const std::vector<std::int64_t>& rows,
                                          std::int64_t batch);

// The metrics that the section wants, on held-out data as `valid.NAME`, on training data as `train.NAME` or, without any
// other, as NAME.
Status measure(Session& session, const TrainPlan& plan, EpochReport& report);

// Puts scale, offset, mean, deviation of the inputs into the model's state. With `fresh` only where it still is what
// `init` makes it.
enum class Replace : std::uint8_t { all, fresh };
Status apply_statistics(Session& session, const DataStatistics& statistics,
                        Replace replace = Replace::all);

// The rows of `rows` as one array per entry input, in the entry's order.
class BatchBuffers {
public:
    static Result<BatchBuffers> create(const Entry& entry, const Dataset& data, std::int64_t batch);
    // With `drawing`, samples are changed at random as for training.
    Status fill(std::span<const std::int64_t> rows, const Drawing* drawing = nullptr);
    std::span<const std::byte* const> inputs() const { return pointers_; }

private:
    std::vector<const Field*> fields_;
    std::vector<DType> dtypes_;  // of the entry: a solver's is in f64 where the data are in f32
    std::vector<AlignedMemory> buffers_;
    std::vector<const std::byte*> pointers_;
};

}  // namespace netc
