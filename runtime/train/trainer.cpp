#include "runtime/train/trainer.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "runtime/files/files.h"
#include "runtime/train/run_log.h"
#include "runtime/train/training.h"

namespace netc {
namespace {

constexpr double kLongest = 300.0;  // seconds without writing

}  // namespace

Result<TrainOutcome> Training::run() {
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

Status Training::prepare() {
    Result<std::unique_ptr<Stepper>> stepper = make_stepper(session_, plan_);
    if (!stepper) return stepper.error();
    stepper_ = std::move(*stepper);
    steps_per_epoch_ = stepper_->steps_per_epoch();
    total_steps_ = plan_.steps ? *plan_.steps : plan_.epochs.value_or(1) * steps_per_epoch_;
    if (section().normal_equation) total_steps_ = 1;
    validate_ =
        Ticker(section().validate.value_or(Duration{1, DurationUnit::epochs}), steps_per_epoch_);
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

std::uint64_t Training::seed() const {
    return plan_.seed + static_cast<std::uint64_t>(progress_.restart);
}
void Training::set_hyper() {
    session_.set_seed(seed());
    session_.set_steps_per_epoch(steps_per_epoch_);
}

// The first training of the run, or a restart: other weights and another order, the best so far is kept.
Status Training::begin(std::int64_t restart) {
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

Result<TrainEnd> Training::train() {
    // A run that goes on may have reached its end before.
    if (patience_is_over()) return TrainEnd::stopped_early;
    epoch_start_ = Clock::now();
    epoch_samples_ = 0;
    while (progress_.step < total_steps_) {
        const bool ahead = session_.is_asynchronous() && nothing_after_this_step();
        Result<StepResult> step = stepper_->step(seed(), progress_, ahead);
        if (!step) return failed(step.error());
        if (step->converged && progress_.step > 0) {  // measured and logged after the step before
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
bool Training::nothing_after_this_step() const {
    const std::int64_t next = progress_.step + 1;
    return progress_.step_in_epoch + 1 < steps_per_epoch_ && next < total_steps_ &&
           !validate_.would_be_due(next) && !save_.would_be_due(next) &&
           seconds_since(last_write_) <= kLongest &&
           interrupt_.load(std::memory_order_relaxed) == 0;
}

Status Training::after_step(const StepResult& step) {
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
Result<bool> Training::at_boundaries(bool last) {
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
Result<bool> Training::end_stretch(bool scheduled, bool epoch_done, bool last) {
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

void Training::next_epoch() {
    progress_.epoch += 1;
    progress_.step_in_epoch = 0;
    progress_.loss_sum = progress_.penalty_sum = 0;
    epoch_start_ = Clock::now();
    epoch_samples_ = 0;
}

Error Training::not_finite(double loss) {
    Error error{kExitRun,
                fmt::format("the loss became {} in step {} (epoch {}), learning rate {:g}",
                            std::isnan(loss) ? "NaN" : "infinite", progress_.step + 1,
                            progress_.epoch + 1, rate_)};
    error.help = "a smaller learning rate or `clip = 1.0` often helps";
    return with_checkpoint(std::move(error));
}

Error Training::failed(Error error) {
    error.message = fmt::format("step {} (epoch {}): {}", progress_.step + 1, progress_.epoch + 1,
                                error.message);
    return with_checkpoint(std::move(error));
}

Error Training::with_checkpoint(Error error) {
    // Short runs may end like this before anything was written; the best weights are still at hand.
    if (Status s = write_best(); !s) return s.error();
    if (plan_.directory != nullptr && written_) {
        error.help += fmt::format("{}the last good checkpoint is in {}",
                                  error.help.empty() ? "" : "; ", plan_.directory->path());
    }
    return error;
}

std::int64_t Training::shown_restart() const {
    return section().restarts > 1 ? progress_.restart + 1 : 0;
}

void Training::report_step() {
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

EpochReport Training::report() const {
    EpochReport r;
    r.restart = shown_restart();
    r.epoch = progress_.epoch + 1;
    r.step = progress_.step;
    const double steps = static_cast<double>(std::max<std::int64_t>(progress_.step_in_epoch, 1));
    r.loss = progress_.loss_sum / steps;
    if (has_penalty_) r.penalty = progress_.penalty_sum / steps;
    r.rate = rate_;
    r.seconds = progress_.seconds + seconds_since(start_);
    r.samples_per_second =
        static_cast<double>(epoch_samples_) / std::max(seconds_since(epoch_start_), 1e-9);
    return r;
}

std::optional<double> Training::find(const EpochReport& r, const std::string& name) {
    if (name == "loss") return r.loss;
    for (const auto& [metric, value] : r.metrics) {
        if (metric == name) return value;
    }
    return std::nullopt;
}

bool Training::improves(const Watch& watch, double value, double than) {
    return watch.direction == Direction01::min ? value < than : value > than;
}

void Training::note_improvement(const EpochReport& r) {
    if (!section().patience) return;
    const Watch& watch = section().patience->second;
    const auto value = find(r, watch.name);
    if (!value) return;
    if (progress_.improved >= 0 && !improves(watch, *value, progress_.watched_best)) return;
    progress_.watched_best = *value;
    progress_.improved = progress_.step;
}

bool Training::patience_is_over() const {
    if (!section().patience || progress_.improved < 0) return false;
    const double epochs = static_cast<double>(progress_.step - progress_.improved) /
                          static_cast<double>(steps_per_epoch_);
    return epochs >= section().patience->first - 1e-9;
}

Result<TrainOutcome> Training::finish(TrainEnd end) {
    if (end == TrainEnd::interrupted) {
        if (Status s = write_files(); !s) return s.error();
    }
    const std::int64_t best = section().restarts > 1 ? progress_.best_restart + 1 : 0;
    return TrainOutcome{end, progress_.epoch, progress_.step, best, last_};
}

Result<TrainOutcome> train(Session& session, const TrainPlan& plan, const TrainObserver& observer,
                           const std::atomic<int>& interrupt) {
    return Training(session, plan, observer, interrupt).run();
}

}  // namespace netc
