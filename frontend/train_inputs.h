// What data gives to the functions of a train section: inputs as they are read, targets, augmentation.
#pragma once

#include <vector>

#include "frontend/elaborate_model.h"
#include "frontend/train_settings.h"

namespace netc::frontend {

// Data has a sample behind the other: the batch of an input is its first dimension, and that dimension the batch.
bool samples_lie_first(Building& building, const std::vector<Input>& inputs,
                       const TrainSection& section);
// (raw * scale + offset - mean) / deviation, as far as these exist.
Datum normalized(Building& building, const Datum& raw);
// Targets become inputs of the function, behind those of the model, and the section's.
bool open_targets(Building& building, const SectionItems& items, const std::vector<Input>& inputs,
                  TrainSection& section);
// Inputs that are changed for training have their new values in the scope.
bool augment(Building& building, const SectionItems& items, const std::vector<Input>& inputs);

}  // namespace netc::frontend
