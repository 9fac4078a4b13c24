// One run of training while it goes on: the machine behind train; see trainer.h. Included by trainer.cpp and
// training_files.cpp alone.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/train/checkpoint.h"
#include "runtime/train/stepper.h"
#include "runtime/train/ticker.h"
#include "runtime/train/trainer.h"

namespace netc {

class Training {
public:
    Training(Session& session, const TrainPlan& plan, const TrainObserver& observer,
             const std::atomic<int>& interrupt)
        : session_(session), plan_(plan), observer_(observer), interrupt_(interrupt) {}

    Result<TrainOutcome> run();

private:
    using Clock = std::chrono::steady_clock;
    static double seconds_since(Clock::time_point start) {
        return std::chrono::duration<double>(Clock::now() - start).count();
    }
    const TrainSection& section() const { return *plan_.section; }

    // trainer.cpp
    Status prepare();
    std::uint64_t seed() const;
    void set_hyper();
    Status begin(std::int64_t restart);
    Result<TrainEnd> train();
    bool nothing_after_this_step() const;
    Status after_step(const StepResult& step);
    Result<bool> at_boundaries(bool last);
    Result<bool> end_stretch(bool scheduled, bool epoch_done, bool last);
    void next_epoch();
    Error not_finite(double loss);
    Error failed(Error error);
    Error with_checkpoint(Error error);
    std::int64_t shown_restart() const;
    void report_step();
    EpochReport report() const;
    static std::optional<double> find(const EpochReport& r, const std::string& name);
    static bool improves(const Watch& watch, double value, double than);
    void note_improvement(const EpochReport& r);
    bool patience_is_over() const;
    Result<TrainOutcome> finish(TrainEnd end);

    // training_files.cpp
    Result<Progress> read_progress();
    Status take_best(EpochReport& r);
    std::vector<std::string> best_names() const;
    Metadata metadata() const;
    Status write_best();
    Status write_named();
    Status write_weights_now(const std::string& name);
    Status write_files();

    Session& session_;
    const TrainPlan& plan_;
    const TrainObserver& observer_;
    const std::atomic<int>& interrupt_;
    std::unique_ptr<Stepper> stepper_;
    Ticker validate_, log_, save_;
    Progress progress_;
    EpochReport last_;
    Snapshot best_;         // not yet in a file
    bool pending_ = false;  // it is in one, under another name
    std::int64_t steps_per_epoch_ = 0, total_steps_ = 0, epoch_samples_ = 0;
    double rate_ = std::numeric_limits<double>::quiet_NaN();
    bool has_penalty_ = false;
    bool resumed_ = false;       // from a checkpoint
    bool checkpointed_ = false;  // the directory has a state
    bool written_ = false;       // something is in the directory that a user can go on from
    Clock::time_point start_, epoch_start_, last_write_;
};

}  // namespace netc
