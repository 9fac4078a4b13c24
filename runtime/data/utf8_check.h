// Texts that are stored with the weights, where only UTF-8 can be: categories, class folders, vocabularies.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/result.h"

namespace netc {

// The length of the UTF-8 sequence at an offset, or 0 where there is none.
std::size_t character_length(std::string_view text, std::size_t at);
// The first byte that is part of no character.
std::optional<std::size_t> not_utf8(std::string_view text);
// "the byte 0xe9 is no UTF-8"
std::string not_utf8_text(std::string_view text, std::size_t at);

// Names of folders as the classes of what lies in them.
Status check_class_names(const std::vector<std::string>& names, const std::string& path);

}  // namespace netc
