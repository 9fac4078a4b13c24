// Learning curves of runs, from their logs.
#pragma once

#include <string>
#include <vector>

#include "ir/result.h"

namespace netc {

// Reads log.jsonl of each run directory and writes one chart: loss, and a panel per metric.
Status write_curves(const std::vector<std::string>& runs, const std::string& svg);

}  // namespace netc
