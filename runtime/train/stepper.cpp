#include "runtime/train/stepper.h"

#include <algorithm>
#include <span>

#include <fmt/format.h>

#include "runtime/data/split.h"
#include "runtime/train/lbfgs.h"
#include "runtime/train/normal_equation.h"
#include "runtime/train/objective.h"

namespace netc {
namespace {

// sgd, adam, ...: all of it is in the compiled train_step.
class BatchStepper : public Stepper {
public:
    BatchStepper(Session& session, const TrainPlan& plan, BatchBuffers buffers, std::int64_t steps)
        : session_(session), plan_(plan), buffers_(std::move(buffers)), steps_(steps) {}

    static Result<std::unique_ptr<Stepper>> make(Session& session, const TrainPlan& plan) {
        const auto count = static_cast<std::int64_t>(plan.train_rows.size());
        const bool drop = plan.section->drop_last;
        const std::int64_t steps =
            drop ? count / plan.batch : (count + plan.batch - 1) / plan.batch;
        if (steps == 0) {
            return Error{kExitProgram,
                         fmt::format("an epoch would have no step: {} training rows, batch {}{}",
                                     count, plan.batch, drop ? ", drop_last" : "")};
        }
        const Entry* entry = session.program().find("train_step");
        if (entry == nullptr) return Error{kExitInternal, "no entry train_step"};
        Result<BatchBuffers> buffers = BatchBuffers::create(*entry, *plan.data, plan.batch);
        if (!buffers) return buffers.error();
        return std::unique_ptr<Stepper>(
            std::make_unique<BatchStepper>(session, plan, std::move(*buffers), steps));
    }

    std::int64_t steps_per_epoch() const override { return steps_; }
    void begin() override { ordered_ = false; }

    Result<StepResult> step(std::uint64_t seed, const Progress& at, bool ahead) override {
        const Drawing drawing{seed, static_cast<std::uint64_t>(at.epoch)};
        if (!ordered_ || epoch_ != at.epoch) order(drawing);
        epoch_ = at.epoch;
        ordered_ = true;
        const std::int64_t now = at.step_in_epoch, next = now + 1;
        if (Status s = started_ == now ? std::move(starting_) : start(now, drawing); !s)
            return s.error();
        started_.reset();
        // A GPU has its copy of the inputs and works: time to gather those of the next step, and to start that, so that there
        // is no gap while we read what this one gave. A step of another size has other outputs.
        const auto size = static_cast<std::int64_t>(rows_of(now).size());
        if (session_.is_busy() && next < steps_) {
            if (filled_ != next) fill(next, drawing);
            if (ahead && rows_of(next).size() == rows_of(now).size()) {
                starting_ = start(next, drawing);
                started_ = next;
                if (starting_ && next + 1 < steps_) fill(next + 1, drawing);
            }
        }
        const bool went_ahead = started_ && starting_;
        if (Status s = session_.wait(went_ahead ? 1 : 0); !s) return s.error();
        return StepResult{session_.number("loss"),
                          session_.number("penalty"),
                          session_.number("rate"),
                          size,
                          false,
                          went_ahead};
    }

private:
    void order(const Drawing& drawing) {
        order_ =
            plan_.classes.empty()
                ? epoch_rows(plan_.train_rows, plan_.section->shuffle, drawing.seed, drawing.epoch)
                : balanced_rows(plan_.train_rows, plan_.classes, drawing.seed, drawing.epoch);
        filled_.reset();
        started_.reset();
    }
    Status start(std::int64_t step, const Drawing& drawing) {
        if (filled_ != step) fill(step, drawing);
        filled_.reset();
        if (!filling_) return filling_;
        return session_.run("train_step", buffers_.inputs(),
                            static_cast<std::int64_t>(rows_of(step).size()));
    }
    std::span<const std::int64_t> rows_of(std::int64_t step) const {
        const auto count = static_cast<std::int64_t>(order_.size());
        const std::int64_t begin = step * plan_.batch;
        const std::int64_t size = std::min(plan_.batch, count - begin);
        return std::span(order_).subspan(static_cast<std::size_t>(begin),
                                         static_cast<std::size_t>(size));
    }
    void fill(std::int64_t step, const Drawing& drawing) {
        filling_ = buffers_.fill(rows_of(step), &drawing);
        filled_ = step;
    }

    Session& session_;
    const TrainPlan& plan_;
    BatchBuffers buffers_;
    std::int64_t steps_;
    std::vector<std::int64_t> order_;
    std::int64_t epoch_ = 0;
    bool ordered_ = false;
    std::optional<std::int64_t> filled_;   // the step of the epoch whose samples are in the buffers
    Status filling_;                       // what became of gathering them
    std::optional<std::int64_t> started_;  // the step that was started before its turn
    Status starting_;                      // what became of that
};

class LbfgsStepper : public Stepper {
public:
    LbfgsStepper(const TrainPlan& plan, Objective objective)
        : objective_(std::move(objective)), lbfgs_(plan.section->optimizer, objective_.size()),
          rows_(static_cast<std::int64_t>(plan.train_rows.size())) {}

    std::int64_t steps_per_epoch() const override { return 1; }
    void begin() override {
        lbfgs_.forget();
        point_.reset();
    }
    std::vector<Memory> memory() const override { return lbfgs_.memory(); }
    void restore(const std::vector<Memory>& memory) override { lbfgs_.restore(memory); }

    Result<StepResult> step(std::uint64_t, const Progress&, bool) override {
        const auto evaluate = [this](Point& point) -> Status {
            objective_.set_parameters(point.x);
            Result<Objective::Value> value = objective_.value();
            if (!value) return value.error();
            point.x = objective_.parameters();
            point.loss = value->loss;
            point.penalty = value->penalty;
            point.gradient = std::move(value->gradient);
            return {};
        };
        if (!point_) {
            point_ = Point{objective_.parameters(), 0, 0, {}};
            if (Status s = evaluate(*point_); !s) return s.error();
        }
        Result<bool> moved = lbfgs_.step(*point_, evaluate);
        if (!moved) return moved.error();
        objective_.set_parameters(point_->x);
        return StepResult{point_->loss, point_->penalty, lbfgs_.length(), rows_, !*moved};
    }

private:
    Objective objective_;
    Lbfgs lbfgs_;
    std::optional<Point> point_;  // where the last step ended
    std::int64_t rows_;
};

// One step, and the only one.
class NormalEquationStepper : public Stepper {
public:
    NormalEquationStepper(Session& session, const TrainPlan& plan, Objective objective)
        : session_(session), plan_(plan), objective_(std::move(objective)) {}

    std::int64_t steps_per_epoch() const override { return 1; }

    Result<StepResult> step(std::uint64_t, const Progress&, bool) override {
        if (Status s = copy_numbers(session_, *plan_.solver); !s) return s.error();
        if (Status s = solve_normal_equation(objective_); !s) return s.error();
        if (Status s = copy_numbers(*plan_.solver, session_); !s) return s.error();
        Result<Objective::Value> value = objective_.value();
        if (!value) return value.error();
        StepResult result;
        result.loss = value->loss;
        result.penalty = value->penalty;
        result.samples = static_cast<std::int64_t>(plan_.train_rows.size());
        return result;
    }

private:
    Session& session_;
    const TrainPlan& plan_;
    Objective objective_;
};

}  // namespace

Result<std::unique_ptr<Stepper>> make_stepper(Session& session, const TrainPlan& plan) {
    if (!trains_on_all_data(*plan.section)) return BatchStepper::make(session, plan);
    if (plan.train_rows.empty()) return Error{kExitProgram, "there is no row to train on"};
    const bool solves = plan.section->normal_equation;
    if (solves && plan.solver == nullptr) return Error{kExitInternal, "no program for the solver"};
    Result<Objective> objective =
        Objective::create(solves ? *plan.solver : session, *plan.data, plan.train_rows, plan.batch);
    if (!objective) return objective.error();
    if (!solves) {
        return std::unique_ptr<Stepper>(
            std::make_unique<LbfgsStepper>(plan, std::move(*objective)));
    }
    return std::unique_ptr<Stepper>(
        std::make_unique<NormalEquationStepper>(session, plan, std::move(*objective)));
}

}  // namespace netc
