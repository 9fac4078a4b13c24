// Slots of the optimizer that belong to no parameter: those who make them and those who look for them agree.
#pragma once

#include <algorithm>

#include "ir/program.h"

namespace netc {

inline constexpr const char* kStepSlot = "step";                      // i64: steps done
inline constexpr const char* kStepsPerEpochSlot = "steps_per_epoch";  // i64: 0 until known

// In the metadata of weights that were trained with a schedule in epochs.
inline constexpr const char* kStepsPerEpochKey = "netc.steps_per_epoch";

// Where the program's schedule looks for the number of steps in an epoch; null where it counts no epochs.
inline const VariablePlace* steps_per_epoch_slot(const Program& program) {
    const auto slot = std::ranges::find(program.slots, kStepsPerEpochSlot, &VariablePlace::name);
    return slot == program.slots.end() ? nullptr : &*slot;
}

}  // namespace netc
