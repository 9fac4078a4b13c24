// Selectors as they are written in a .net file, for messages.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/data_spec.h"

namespace netc {

std::string to_text(const FieldSelector& selector);

// "text", shortened and without control characters.
std::string quoted_text(std::string_view text);

// "a, b, c, ...": at most twelve.
std::string listed_texts(const std::vector<std::string>& texts);

}  // namespace netc
