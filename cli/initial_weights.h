// The weights that training starts from.
#pragma once

#include "cli/workbench.h"

namespace netc {

// Names in a file and in the model, from FROM=TO of an option.
using NameMap = std::vector<std::pair<std::string, std::string>>;
Result<NameMap> parse_name_map(const std::vector<std::string>& pairs, std::string_view option);

// `init` by the seed, then the arrays of `from_file`.
Status initialize_weights(Session& session, const Model& model, const TrainSection* section,
                          std::uint64_t seed);
// What --load, else the section's `load`, names; with `tell`, says on standard error what was taken. Gives whether these
// weights have seen data: those of `init` and `import` know no means and deviations.
Result<bool> load_initial_weights(Session& session, const TrainSection* section,
                                  const Options& options, bool tell);

}  // namespace netc
