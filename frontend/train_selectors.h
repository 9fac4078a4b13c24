// What of a table goes into a field.
#pragma once

#include <optional>

#include "frontend/train_settings.h"

namespace netc::frontend {

// col(3), cols(0..4) ++ one_hot(category(col("kind"))), ...; nothing when wrong (reported).
std::optional<FieldSelector> read_selector(SettingReader& reader, const ast::Expr& expression);

}  // namespace netc::frontend
