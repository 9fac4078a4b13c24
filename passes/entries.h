// entries: makes the functions that become entry points out of what the frontend elaborated.
//
//     forward, training, evaluate     ->     init, forward, evaluate, gradient, train_step
//
// `gradient` and `train_step` both come from the same differentiated function, so they agree bit for bit.
#pragma once

#include "ir/network.h"
#include "ir/result.h"
#include "passes/pipeline.h"

namespace netc {

bool wants(const CompileOptions& options, std::string_view entry);

// A module with `forward` and, with a section, `evaluate` and `training`.
Module collect_functions(const Model& model, const TrainSection* section);

// Replaces `training` by `gradient` and `train_step`.
Status differentiate_training(Module& module, const TrainSection& section,
                              const CompileOptions& options);

// Random operators draw as of step 0 and seed 0 outside of training; while training the step is the
// optimizer's counter.
void bind_random_state(Module& module);

}  // namespace netc
