// What stands in a weights file beside the tensors, and what a run must find unchanged when it goes on.
#pragma once

#include <string>

#include "cli/section_data.h"
#include "cli/workbench.h"
#include "runtime/train/trainer.h"

namespace netc {

inline constexpr const char* kHashMetadata = "netc.model_hash";  // of the program
// What was learned from the training data: categories, means, ranges (statistics_to_json).
inline constexpr const char* kDataMetadata = "netc.data";

// netc.model, netc.model_hash, netc.version, netc.options, netc.dims, netc.section, netc.data.
Metadata weights_metadata(const Workbench& bench, const Model& model, const TrainSection* section,
                          const Program& program, const Options& options, const SectionData* data);

// Lines of "what: value" for Progress; see checkpoint.h.
std::string run_identity(const Workbench& bench, const Options& options, const TrainPlan& plan,
                         const SectionData& data);

}  // namespace netc
