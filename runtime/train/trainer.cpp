#include "runtime/train/trainer.h"

#include <chrono>
#include <cmath>
#include <filesystem>

#include <fmt/format.h>

#include "runtime/files/files.h"
#include "runtime/train/checkpoint.h"
#include "runtime/train/run_log.h"
#include "runtime/train/stepper.h"
#include "runtime/train/ticker.h"

namespace netc {
namespace {

using Clock = std::chrono::steady_clock;

// Weights of so many bytes are kept in a file until the next checkpoint, smaller ones in memory.
constexpr std::int64_t kManyBytes = 16 << 20;
constexpr double kLongest = 300.0;  // seconds without writing
constexpr const char* kPending = ".pending.safetensors";

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

class Training {
public:
    Training(Session& session, const TrainPlan& plan, const TrainObserver& observer,
             const std::atomic<int>& interrupt)
        : session_(session), plan_(plan), observer_(observer), interrupt_(interrupt) {}

    Result<TrainOutcome> run() {
        if (Status status = prepare(); !status) return status.error();
        const std::int64_t restarts = plan_.section->restarts;
        for (std::int64_t next = progress_.restart; next < restarts; ++next) {
            if (next > progress_.restart || !resumed_) {
                if (Status s = begin(next); !s) return s.error();
            }
            Result<TrainEnd> end = train();
            if (!end) return end.error();
            const bool more = next + 1 < restarts;
            const bool asked = more && interrupt_.load(std::memory_order_relaxed) != 0;
            if (asked || *end == TrainEnd::interrupted || !more)
                return finish(asked ? TrainEnd::interrupted : *end);
        }
        return finish(TrainEnd::finished);
    }

private:
    const TrainSection& section() const { return *plan_.section; }

    Status prepare() {
        Result<std::unique_ptr<Stepper>> stepper = make_stepper(session_, plan_);
        if (!stepper) return stepper.error();
        stepper_ = std::move(*stepper);
        steps_per_epoch_ = stepper_->steps_per_epoch();
        total_steps_ = plan_.steps ? *plan_.steps : plan_.epochs.value_or(1) * steps_per_epoch_;
        if (section().normal_equation) total_steps_ = 1;
        validate_ = Ticker(section().validate.value_or(Duration{1, DurationUnit::epochs}),
                           steps_per_epoch_);
        log_ = Ticker(plan_.log, steps_per_epoch_);
        if (section().save_every) save_ = Ticker(section().save_every->period, steps_per_epoch_);
        start_ = last_write_ = Clock::now();
        if (!plan_.resume) return {};
        Result<Progress> progress = read_progress();
        if (!progress) return progress.error();
        progress_ = *progress;
        set_hyper();
        const auto keep = [&](std::string_view line) {
            return is_before(line, progress_.restart, progress_.step);
        };
        return trim_log(plan_.directory->file("log.jsonl"), keep);
    }

    // A run that ended before its first checkpoint begins again: that gives the same bits.
    Result<Progress> read_progress() {
        const RunDirectory& directory = *plan_.directory;
        if (std::filesystem::exists(directory.file(kStateFile))) {
            written_ = resumed_ = checkpointed_ = true;
            std::vector<Memory> memory;
            Result<Progress> progress = read_state(directory, session_, memory, plan_.identity);
            if (progress) stepper_->restore(memory);
            return progress;
        }
        if (!std::filesystem::exists(directory.file("source.net"))) {
            return Error{kExitData, directory.path() + ": this is not the directory of a run"};
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

    std::uint64_t seed() const {
        return plan_.seed + static_cast<std::uint64_t>(progress_.restart);
    }
    void set_hyper() {
        session_.set_seed(seed());
        session_.set_steps_per_epoch(steps_per_epoch_);
    }

    // The first training of the run, or a restart: other weights and another order, the best so far is kept.
    Status begin(std::int64_t restart) {
        Progress fresh;
        fresh.restart = restart;
        fresh.best = progress_.best;
        fresh.best_restart = progress_.best_restart;
        fresh.seconds = progress_.seconds;
        progress_ = fresh;
        stepper_->begin();
        if (restart > 0 && plan_.initialize) {
            if (Status s = plan_.initialize(seed()); !s) return s;
        }
        set_hyper();
        return {};
    }

    Result<TrainEnd> train() {
        // A run that goes on may have reached its end before.
        if (patience_is_over()) return TrainEnd::stopped_early;
        epoch_start_ = Clock::now();
        epoch_samples_ = 0;
        while (progress_.step < total_steps_) {
            const bool ahead = session_.is_asynchronous() && nothing_after_this_step();
            Result<StepResult> step = stepper_->step(seed(), progress_, ahead);
            if (!step) return failed(step.error());
            if (step->converged &&
                progress_.step > 0) {  // measured and logged after the step before
                if (Status s = write_files(); !s) return s.error();
                return TrainEnd::converged;
            }
            if (Status s = after_step(*step); !s) return s.error();
            const bool last = step->converged || progress_.step >= total_steps_;
            if (step->went_ahead) continue;
            Result<bool> stop = at_boundaries(last);
            if (!stop) return stop.error();
            if (step->converged) return TrainEnd::converged;
            if (*stop) return TrainEnd::stopped_early;
            // After the very last step there is nothing to save for later: the run ends as it would have. At
            // the end of an epoch it is measured and logged before: a resumed run would not know the rate
            // of a step that it did not make.
            if (!last && interrupt_.load(std::memory_order_relaxed) != 0) {
                return TrainEnd::interrupted;
            }
        }
        return TrainEnd::finished;
    }

    // Whether the next step follows without a look at the weights, so that it may be started before this one's result is
    // read. What time or a person asks for in the meantime waits for the step after.
    bool nothing_after_this_step() const {
        const std::int64_t next = progress_.step + 1;
        return progress_.step_in_epoch + 1 < steps_per_epoch_ && next < total_steps_ &&
               !validate_.would_be_due(next) && !save_.would_be_due(next) &&
               seconds_since(last_write_) <= kLongest &&
               interrupt_.load(std::memory_order_relaxed) == 0;
    }

    Status after_step(const StepResult& step) {
        rate_ = step.rate;
        if (!std::isfinite(step.loss)) return not_finite(step.loss);
        has_penalty_ = !std::isnan(step.penalty);
        progress_.loss_sum += has_penalty_ ? step.loss - step.penalty : step.loss;
        progress_.penalty_sum += has_penalty_ ? step.penalty : 0.0;
        progress_.step += 1;
        progress_.step_in_epoch += 1;
        epoch_samples_ += step.samples;
        if (observer_.on_step) report_step();
        if (plan_.directory != nullptr && log_.due(progress_.step)) {
            return append_line(plan_.directory->file("log.jsonl"), log_line(report(), false));
        }
        return {};
    }

    // What happens between two steps: the end of an epoch, measuring, writing. True when patience is over.
    Result<bool> at_boundaries(bool last) {
        const bool epoch_done = progress_.step_in_epoch >= steps_per_epoch_;
        const bool scheduled = validate_.due(progress_.step);
        bool stop = false;
        if (scheduled || epoch_done || last) {
            Result<bool> over = end_stretch(scheduled, epoch_done, last);
            if (!over) return over.error();
            stop = *over;
        }
        if (save_.due(progress_.step)) {
            if (Status s = write_named(); !s) return s.error();
        }
        // Tiny networks finish hundreds of epochs a second: files are written once a second, and at the
        // end; within a long epoch every five minutes.
        const double since = seconds_since(last_write_);
        const bool boundary = scheduled || epoch_done;
        if (last || stop || (boundary && since > 1.0) || since > kLongest) {
            if (Status s = write_files(); !s) return s.error();
        }
        return stop;
    }

    // Measures where that is due, remembers the best, logs.
    Result<bool> end_stretch(bool scheduled, bool epoch_done, bool last) {
        EpochReport r = report();
        r.within = !epoch_done && !last;
        if (scheduled || last) {
            if (Status s = measure(session_, plan_, r); !s) return s.error();
            if (Status s = take_best(r); !s) return s.error();
            // A limit within an epoch does not count for patience: a resumed run measures when it is due.
            if (scheduled) note_improvement(r);
        }
        last_ = r;
        if (plan_.directory != nullptr) {
            const std::string line = log_line(r, true);
            if (Status s = append_line(plan_.directory->file("log.jsonl"), line); !s) {
                return s.error();
            }
        }
        if (observer_.on_epoch) observer_.on_epoch(r);
        if (epoch_done) next_epoch();
        return scheduled && patience_is_over();
    }

    void next_epoch() {
        progress_.epoch += 1;
        progress_.step_in_epoch = 0;
        progress_.loss_sum = progress_.penalty_sum = 0;
        epoch_start_ = Clock::now();
        epoch_samples_ = 0;
    }

    Error not_finite(double loss) {
        Error error{kExitRun,
                    fmt::format("the loss became {} in step {} (epoch {}), learning rate {:g}",
                                std::isnan(loss) ? "NaN" : "infinite", progress_.step + 1,
                                progress_.epoch + 1, rate_)};
        error.help = "a smaller learning rate or `clip = 1.0` often helps";
        return with_checkpoint(std::move(error));
    }

    Error failed(Error error) {
        error.message = fmt::format("step {} (epoch {}): {}", progress_.step + 1,
                                    progress_.epoch + 1, error.message);
        return with_checkpoint(std::move(error));
    }

    Error with_checkpoint(Error error) {
        // Short runs may end like this before anything was written; the best weights are still at hand.
        if (Status s = write_best(); !s) return s.error();
        if (plan_.directory != nullptr && written_) {
            error.help += fmt::format("{}the last good checkpoint is in {}",
                                      error.help.empty() ? "" : "; ", plan_.directory->path());
        }
        return error;
    }

    std::int64_t shown_restart() const {
        return section().restarts > 1 ? progress_.restart + 1 : 0;
    }

    void report_step() {
        StepReport r;
        r.restart = shown_restart();
        r.epoch = progress_.epoch + 1;
        r.epochs = plan_.steps ? 0 : plan_.epochs.value_or(1);
        r.step = progress_.step;
        r.steps = total_steps_;
        r.loss = progress_.loss_sum / static_cast<double>(progress_.step_in_epoch);
        const double seconds = seconds_since(epoch_start_);
        r.samples_per_second = static_cast<double>(epoch_samples_) / std::max(seconds, 1e-9);
        const std::int64_t whole = section().restarts - 1 - progress_.restart;
        const std::int64_t left = total_steps_ - progress_.step + whole * total_steps_;
        const double samples =
            static_cast<double>(plan_.train_rows.size()) / static_cast<double>(steps_per_epoch_);
        r.seconds_left = static_cast<double>(left) * samples / std::max(r.samples_per_second, 1e-9);
        observer_.on_step(r);
    }

    EpochReport report() const {
        EpochReport r;
        r.restart = shown_restart();
        r.epoch = progress_.epoch + 1;
        r.step = progress_.step;
        const double steps =
            static_cast<double>(std::max<std::int64_t>(progress_.step_in_epoch, 1));
        r.loss = progress_.loss_sum / steps;
        if (has_penalty_) r.penalty = progress_.penalty_sum / steps;
        r.rate = rate_;
        r.seconds = progress_.seconds + seconds_since(start_);
        r.samples_per_second =
            static_cast<double>(epoch_samples_) / std::max(seconds_since(epoch_start_), 1e-9);
        return r;
    }

    static std::optional<double> find(const EpochReport& r, const std::string& name) {
        if (name == "loss") return r.loss;
        for (const auto& [metric, value] : r.metrics) {
            if (metric == name) return value;
        }
        return std::nullopt;
    }

    static bool improves(const Watch& watch, double value, double than) {
        return watch.direction == Direction01::min ? value < than : value > than;
    }

    Status take_best(EpochReport& r) {
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

    void note_improvement(const EpochReport& r) {
        if (!section().patience) return;
        const Watch& watch = section().patience->second;
        const auto value = find(r, watch.name);
        if (!value) return;
        if (progress_.improved >= 0 && !improves(watch, *value, progress_.watched_best)) return;
        progress_.watched_best = *value;
        progress_.improved = progress_.step;
    }

    bool patience_is_over() const {
        if (!section().patience || progress_.improved < 0) return false;
        const double epochs = static_cast<double>(progress_.step - progress_.improved) /
                              static_cast<double>(steps_per_epoch_);
        return epochs >= section().patience->first - 1e-9;
    }

    // Verbs that are given the run find `best`, whatever else the section calls it.
    std::vector<std::string> best_names() const {
        std::vector<std::string> names{"best"};
        if (section().best_file && *section().best_file != "best")
            names.push_back(*section().best_file);
        return names;
    }

    Status write_best() {
        if (plan_.directory == nullptr || (best_.empty() && !pending_)) return {};
        for (const std::string& name : best_names()) {
            const std::string path = plan_.directory->file(name + ".safetensors");
            const Status s = pending_ ? rename_file(plan_.directory->file(name + kPending), path)
                                      : write_weights(path, session_, best_, plan_.metadata);
            if (!s) return s;
        }
        best_ = {};
        pending_ = false;
        written_ = true;
        return {};
    }

    // save = every(5ep, "weights"): weights-5.safetensors, and with restarts weights-2-5.safetensors.
    Status write_named() {
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

    Status write_weights_now(const std::string& name) {
        Result<std::vector<TensorView>> tensors = weight_tensors(session_);
        if (!tensors) return tensors.error();
        return write_safetensors(plan_.directory->file(name), *tensors, plan_.metadata);
    }

    // Best first, state last: what a resumed run reads never promises a file that is not there.
    Status write_files() {
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
        if (Status s = write_state(directory, session_, now, stepper_->memory(), plan_.identity,
                                   plan_.metadata);
            !s)
            return s;
        checkpointed_ = true;
        std::error_code code;
        std::filesystem::remove(first, code);
        return {};
    }

    Result<TrainOutcome> finish(TrainEnd end) {
        if (end == TrainEnd::interrupted) {
            if (Status s = write_files(); !s) return s.error();
        }
        const std::int64_t best = section().restarts > 1 ? progress_.best_restart + 1 : 0;
        return TrainOutcome{end, progress_.epoch, progress_.step, best, last_};
    }

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

}  // namespace

Result<TrainOutcome> train(Session& session, const TrainPlan& plan, const TrainObserver& observer,
                           const std::atomic<int>& interrupt) {
    return Training(session, plan, observer, interrupt).run();
}

}  // namespace netc
