// log.jsonl of a run: a line where it measured, and lines in between.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/train/trainer.h"

namespace netc {

// With `best`, whether the weights of this moment are the best so far: for `train --json`.
std::string log_line(const EpochReport& report, bool measured, bool best = false);
// Whether a line is from before a step of a restart, both counted from 0.
bool is_before(std::string_view line, std::int64_t restart, std::int64_t step);

}  // namespace netc
