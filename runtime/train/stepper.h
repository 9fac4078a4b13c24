// What one step of training is: the optimizer's step on a batch, an iteration of L-BFGS over all data,
// the solution of a normal equation. The loop around it (trainer.cpp) is the same for all.
#pragma once

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "runtime/train/checkpoint.h"
#include "runtime/train/trainer.h"

namespace netc {

struct StepResult {
    double loss = 0;  // with the penalty
    double penalty = std::numeric_limits<double>::quiet_NaN();
    double rate = std::numeric_limits<double>::quiet_NaN();
    std::int64_t samples = 0;
    bool converged = false;   // nothing was changed: there is no smaller loss to be found
    bool went_ahead = false;  // the next step is under way: weights are no longer those of this one
};

class Stepper {
public:
    virtual ~Stepper() = default;
    virtual std::int64_t steps_per_epoch() const = 0;
    // Forgets what earlier steps left, for training from other weights.
    virtual void begin() {}
    // `ahead`: nothing but steps comes between this one and the next, so that a GPU may begin that before the result of this
    // one is read.
    virtual Result<StepResult> step(std::uint64_t seed, const Progress& at, bool ahead) = 0;
    virtual std::vector<Memory> memory() const { return {}; }
    virtual void restore(const std::vector<Memory>&) {}
};

// The one that the plan's section asks for. The session and the plan outlive it.
Result<std::unique_ptr<Stepper>> make_stepper(Session& session, const TrainPlan& plan);

}  // namespace netc
