// --report as text: for each kernel where it comes from, its schedule, why, and notes.
#pragma once

#include <string>
#include <vector>

#include "backends/backend.h"
#include "ir/program.h"
#include "ir/source.h"

namespace netc {

// `conv_1` at lenet5.net:4:7: the layer and the place that a call comes from, for people.
std::string place_of(const Entry& entry, const Call& call, const SourceMap& sources);

// Indented lines about one call. `seconds_per_cycle` 0: predictions stay in cycles.
std::string report_lines(const KernelReport& report, const std::string& place,
                         double seconds_per_cycle);

// All calls of all entries but those that run once; a kernel that is called again is said once.
std::string report_text(const Program& program, const std::vector<KernelReport>& kernels,
                        const SourceMap& sources);

}  // namespace netc
