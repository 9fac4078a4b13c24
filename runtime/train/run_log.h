// log.jsonl of a run: a line where it measured, and lines in between.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/train/trainer.h"

namespace netc {

std::string log_line(const EpochReport& report, bool measured);
// Whether a line is from before a step of a restart, both counted from 0.
bool is_before(std::string_view line, std::int64_t restart, std::int64_t step);

}  // namespace netc
