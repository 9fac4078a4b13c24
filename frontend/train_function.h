// `function(f, over = ...)`: a data source that is a function of the file.
#pragma once

#include "frontend/train_settings.h"

namespace netc::frontend {

// Fills `function` and `over` of the source. The function is evaluated while data is made, so it keeps
// the syntax trees alive.
void read_function(SettingReader& reader, Span place, const ast::Expr* function,
                   const ast::Expr* over, DataSource& source);

}  // namespace netc::frontend
