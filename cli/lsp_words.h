// Words of the language that no declaration explains.
#pragma once

#include <span>
#include <string_view>

namespace netc {

std::span<const std::string_view> keywords();
// A name that a declaration may have.
bool is_identifier(std::string_view text);

// What stands in the place of a word: behind `optimizer =`, `data =`.
struct SettingWords {
    std::string_view setting;
    std::span<const std::string_view> words;
};
std::span<const SettingWords> setting_words();

}  // namespace netc
