// Train sections: a model with its loss, its data and how it is trained.
#pragma once

#include <optional>
#include <string>

#include "frontend/elaborate.h"

namespace netc::frontend {

// Nothing when something is wrong (reported).
std::optional<TrainSection> elaborate_section(Session& session, const ast::Train& train,
                                              const std::string& doc);

}  // namespace netc::frontend
