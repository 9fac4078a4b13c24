// Train sections: a model with its loss, its data and how it is trained.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "frontend/elaborate.h"

namespace netc::frontend {

// The names of settings: data, loss, batch, ...
std::span<const std::string_view> setting_names();

// Nothing when something is wrong (reported).
std::optional<TrainSection> elaborate_section(Session& session, const ast::Train& train,
                                              const std::string& doc);

}  // namespace netc::frontend
