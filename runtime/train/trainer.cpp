#include "runtime/train/trainer.h"

#include <chrono>
#include <cmath>
#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runtime/data/split.h"
#include "runtime/train/checkpoint.h"

namespace netc {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

nlohmann::json number_or_null(double value) {
    return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

// One line of log.jsonl; SPEC section 9.
std::string log_line(const EpochReport& r, bool end_of_epoch) {
    nlohmann::ordered_json json;
    json["epoch"] = r.epoch;
    json["step"] = r.step;
    json["loss"] = number_or_null(r.loss);
    if (!std::isnan(r.penalty)) json["penalty"] = number_or_null(r.penalty);
    if (end_of_epoch) {
        nlohmann::ordered_json metrics = nlohmann::ordered_json::object();
        for (const auto& [name, value] : r.metrics) metrics[name] = number_or_null(value);
        json["metrics"] = metrics;
    }
    json["lr"] = number_or_null(r.rate);
    json["seconds"] = r.seconds;
    json["samples_per_second"] = r.samples_per_second;
    return json.dump();
}

bool is_within(std::string_view line, std::int64_t steps) {
    const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
    return json.is_object() && json.contains("step") && json["step"].is_number_integer() &&
           json["step"].get<std::int64_t>() <= steps;
}

class Training {
public:
    Training(Session& session, const TrainPlan& plan, const TrainObserver& observer,
             const std::atomic<int>& interrupt)
        : session_(session), plan_(plan), observer_(observer), interrupt_(interrupt) {}

    Result<TrainOutcome> run() {
        if (Status status = prepare(); !status) return status.error();
        while (progress_.step < total_steps_) {
            Result<bool> completed = run_epoch();
            if (!completed) return completed.error();
            if (!*completed) return finish(TrainEnd::interrupted);
            Result<bool> go_on = end_epoch();
            if (!go_on) return go_on.error();
            if (!*go_on) return finish(TrainEnd::stopped_early);
            const bool more = progress_.step < total_steps_;
            if (more && interrupt_.load(std::memory_order_relaxed) != 0) {
                return finish(TrainEnd::interrupted);
            }
        }
        return finish(TrainEnd::finished);
    }

private:
    Status prepare() {
        const auto count = static_cast<std::int64_t>(plan_.train_rows.size());
        steps_per_epoch_ = plan_.section->drop_last ? count / plan_.batch
                                                    : (count + plan_.batch - 1) / plan_.batch;
        if (steps_per_epoch_ == 0) {
            return Error{kExitProgram,
                         fmt::format("an epoch would have no step: {} training rows, batch {}{}",
                                     count, plan_.batch,
                                     plan_.section->drop_last ? ", drop_last" : "")};
        }
        total_steps_ = plan_.steps ? *plan_.steps : plan_.epochs.value_or(1) * steps_per_epoch_;
        session_.set_seed(plan_.seed);
        session_.set_steps_per_epoch(steps_per_epoch_);
        Result<BatchBuffers> buffers =
            BatchBuffers::create(*session_.program().find("train_step"), *plan_.data, plan_.batch);
        if (!buffers) return buffers.error();
        buffers_ = std::move(*buffers);
        if (plan_.resume) {
            Result<Progress> progress = read_progress();
            if (!progress) return progress.error();
            progress_ = *progress;
            auto keep = [&](std::string_view line) { return is_within(line, progress_.step); };
            if (Status s = trim_log(plan_.directory->file("log.jsonl"), keep); !s) {
                return s;
            }
        }
        start_ = last_write_ = Clock::now();
        return {};
    }

    // A run that ended before its first checkpoint begins again: that gives the same bits.
    Result<Progress> read_progress() {
        const RunDirectory& directory = *plan_.directory;
        if (std::filesystem::exists(directory.file(kStateFile))) {
            written_ = true;
            return read_state(directory, session_, plan_.identity);
        }
        if (!std::filesystem::exists(directory.file("source.net"))) {
            return Error{kExitData, directory.path() + ": this is not the directory of a run"};
        }
        if (observer_.on_note) {
            observer_.on_note(directory.path() + " holds no checkpoint yet: the run begins again");
        }
        return Progress{};
    }

    // False when interrupted.
    Result<bool> run_epoch() {
        const Drawing drawing{plan_.seed, static_cast<std::uint64_t>(progress_.epoch)};
        const std::vector<std::int64_t> order =
            plan_.classes.empty()
                ? epoch_rows(plan_.train_rows, plan_.section->shuffle, plan_.seed, drawing.epoch)
                : balanced_rows(plan_.train_rows, plan_.classes, plan_.seed, drawing.epoch);
        const auto count = static_cast<std::int64_t>(order.size());
        epoch_start_ = Clock::now();
        epoch_samples_ = 0;
        while (progress_.step_in_epoch < steps_per_epoch_ && progress_.step < total_steps_) {
            const std::int64_t at = progress_.step_in_epoch * plan_.batch;
            const std::int64_t size = std::min(plan_.batch, count - at);
            const auto rows = std::span(order).subspan(static_cast<std::size_t>(at),
                                                       static_cast<std::size_t>(size));
            if (Status s = buffers_.fill(rows, &drawing); !s) return s.error();
            if (Status s = session_.run("train_step", buffers_.inputs(), size); !s)
                return failed(s.error());
            if (Status s = after_step(size); !s) return s.error();
            // After the very last step there is nothing to save for later: the run ends as it would have.
            // At the end of an epoch it is measured and logged before: a resumed run would not know
            // the rate of a step that it did not make.
            const bool more =
                progress_.step < total_steps_ && progress_.step_in_epoch < steps_per_epoch_;
            if (more && interrupt_.load(std::memory_order_relaxed) != 0) return false;
        }
        return true;
    }

    Status after_step(std::int64_t size) {
        const double loss = session_.number("loss");
        const double penalty = session_.number("penalty");
        if (!std::isfinite(loss)) return not_finite(loss);
        progress_.loss_sum += std::isnan(penalty) ? loss : loss - penalty;
        progress_.penalty_sum += std::isnan(penalty) ? 0.0 : penalty;
        progress_.step += 1;
        progress_.step_in_epoch += 1;
        epoch_samples_ += size;
        has_penalty_ = !std::isnan(penalty);
        if (observer_.on_step) report_step();
        if (plan_.directory != nullptr && plan_.log_every > 0 &&
            progress_.step % plan_.log_every == 0) {
            return append_line(plan_.directory->file("log.jsonl"), log_line(report(), false));
        }
        return {};
    }

    Error not_finite(double loss) {
        Error error{kExitRun,
                    fmt::format("the loss became {} in step {} (epoch {}), learning rate {:g}",
                                std::isnan(loss) ? "NaN" : "infinite", progress_.step + 1,
                                progress_.epoch + 1, session_.number("rate"))};
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

    void report_step() {
        StepReport r;
        r.epoch = progress_.epoch + 1;
        r.epochs = plan_.steps ? 0 : plan_.epochs.value_or(1);
        r.step = progress_.step;
        r.steps = total_steps_;
        r.loss = progress_.loss_sum / static_cast<double>(progress_.step_in_epoch);
        const double seconds = seconds_since(epoch_start_);
        r.samples_per_second = static_cast<double>(epoch_samples_) / std::max(seconds, 1e-9);
        r.seconds_left = static_cast<double>(total_steps_ - progress_.step) *
                         static_cast<double>(plan_.batch) / std::max(r.samples_per_second, 1e-9);
        observer_.on_step(r);
    }

    EpochReport report() const {
        EpochReport r;
        r.epoch = progress_.epoch + 1;
        r.step = progress_.step;
        const double steps =
            static_cast<double>(std::max<std::int64_t>(progress_.step_in_epoch, 1));
        r.loss = progress_.loss_sum / steps;
        if (has_penalty_) r.penalty = progress_.penalty_sum / steps;
        r.rate = session_.number("rate");
        r.seconds = progress_.seconds + seconds_since(start_);
        r.samples_per_second =
            static_cast<double>(epoch_samples_) / std::max(seconds_since(epoch_start_), 1e-9);
        return r;
    }

    Status measure(EpochReport& r) {
        auto add = [&](const char* prefix, const Dataset& data,
                       const std::vector<std::int64_t>& rows, bool with_loss) -> Status {
            auto values = evaluate(session_, data, rows, plan_.batch);
            if (!values) return values.error();
            for (const Measurement& value : *values) {
                if (!value.is_number() || (value.name == "loss" && !with_loss)) continue;
                r.metrics.emplace_back(prefix + value.name, value.values[0]);
            }
            return {};
        };
        const bool held_out = !plan_.valid_rows.empty();
        if (session_.program().find("evaluate") == nullptr) return {};
        if (held_out) {
            if (Status s = add("valid.", *plan_.valid_data, plan_.valid_rows, true); !s) return s;
        }
        const bool any_metric = !plan_.section->metrics.empty();
        if (any_metric && (!held_out || plan_.section->train_metrics)) {
            return add(held_out ? "train." : "", *plan_.data, plan_.train_rows, false);
        }
        return {};
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

    // Measures, remembers the best, writes, logs. False when training should stop.
    Result<bool> end_epoch() {
        EpochReport r = report();
        if (Status s = measure(r); !s) return s.error();
        Watch watch = plan_.section->best.value_or(
            Watch{plan_.valid_rows.empty() ? "loss" : "valid.loss", Direction01::min, {}});
        if (const auto value = find(r, watch.name); value && std::isfinite(*value)) {
            if (!progress_.best || improves(watch, *value, *progress_.best)) {
                progress_.best = *value;
                r.best = true;
                if (plan_.directory != nullptr) best_ = take_snapshot(session_);
            }
        }
        const bool epoch_done = progress_.step_in_epoch >= steps_per_epoch_;
        // A limit within an epoch does not count for patience: a resumed run measures at the epoch's end.
        const bool stop = epoch_done && patience_is_over(r);
        last_ = r;
        if (epoch_done) {
            progress_.epoch += 1;
            progress_.step_in_epoch = 0;
            progress_.loss_sum = progress_.penalty_sum = 0;
        }
        const bool over = stop || progress_.step >= total_steps_;
        if (plan_.directory != nullptr) {
            if (Status s = append_line(plan_.directory->file("log.jsonl"), log_line(r, true)); !s) {
                return s.error();
            }
        }
        // Tiny networks finish hundreds of epochs a second: files are written once a second and at the end.
        if (over || seconds_since(last_write_) > 1.0) {
            if (Status s = write_files(); !s) return s.error();
        }
        if (observer_.on_epoch) observer_.on_epoch(r);
        return !stop;
    }

    bool patience_is_over(const EpochReport& r) {
        if (!plan_.section->patience) return false;
        const auto& [epochs, watch] = *plan_.section->patience;
        const auto value = find(r, watch.name);
        if (!value) return false;
        if (progress_.waited < 0 || improves(watch, *value, progress_.watched_best)) {
            progress_.watched_best = *value;
            progress_.waited = 0;
            return false;
        }
        progress_.waited += 1;
        return static_cast<double>(progress_.waited) >= epochs;
    }

    Status write_best() {
        if (plan_.directory == nullptr || best_.empty()) return {};
        const std::string name = plan_.section->best_file.value_or("best.safetensors");
        if (Status s = write_weights(plan_.directory->file(name), session_, best_, plan_.metadata);
            !s)
            return s;
        best_ = {};
        written_ = true;
        return {};
    }

    // Best first, state last: what a resumed run reads never promises a file that is not there.
    Status write_files() {
        last_write_ = Clock::now();
        if (plan_.directory == nullptr) return {};
        const RunDirectory& directory = *plan_.directory;
        if (Status s = write_best(); !s) return s;
        if (Status s = write_safetensors(directory.file("last.safetensors"),
                                         weight_tensors(session_), plan_.metadata);
            !s) {
            return s;
        }
        Progress now = progress_;
        now.seconds += seconds_since(start_);
        written_ = true;
        return write_state(directory, session_, now, plan_.identity, plan_.metadata);
    }

    Result<TrainOutcome> finish(TrainEnd end) {
        if (end == TrainEnd::interrupted) {
            if (Status s = write_files(); !s) return s.error();
        }
        return TrainOutcome{end, progress_.epoch, progress_.step, last_};
    }

    Session& session_;
    const TrainPlan& plan_;
    const TrainObserver& observer_;
    const std::atomic<int>& interrupt_;
    BatchBuffers buffers_;
    Progress progress_;
    EpochReport last_;
    Snapshot best_;
    std::int64_t steps_per_epoch_ = 0, total_steps_ = 0, epoch_samples_ = 0;
    bool has_penalty_ = false;
    bool written_ = false;  // something is in the directory that a user can go on from
    Clock::time_point start_, epoch_start_, last_write_;
};

}  // namespace

Result<TrainOutcome> train(Session& session, const TrainPlan& plan, const TrainObserver& observer,
                           const std::atomic<int>& interrupt) {
    return Training(session, plan, observer, interrupt).run();
}

}  // namespace netc
