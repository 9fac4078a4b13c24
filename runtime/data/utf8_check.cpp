#include "runtime/data/utf8_check.h"

#include <fmt/format.h>

#include "runtime/data/selector_text.h"

namespace netc {

std::size_t character_length(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(at);
    if (first < 0x80) return 1;
    const std::size_t length = first >= 0xf5   ? 0
                               : first >= 0xf0 ? 4
                               : first >= 0xe0 ? 3
                               : first >= 0xc2 ? 2
                                               : 0;
    if (length == 0 || at + length > text.size()) return 0;
    for (std::size_t i = at + 1; i < at + length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return 0;
    }
    // Overlong forms, surrogates, beyond the last code point.
    const unsigned char second = byte(at + 1);
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) {
        return 0;
    }
    return length;
}

std::optional<std::size_t> not_utf8(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = character_length(text, at);
        if (length == 0) return at;
        at += length;
    }
    return std::nullopt;
}

std::string not_utf8_text(std::string_view text, std::size_t at) {
    return fmt::format("the byte {:#04x} is no UTF-8", static_cast<unsigned char>(text[at]));
}

Status check_class_names(const std::vector<std::string>& names, const std::string& path) {
    for (const std::string& name : names) {
        const auto at = not_utf8(name);
        if (!at) continue;
        return Error{.message = fmt::format("{}: {} in the name of the folder {}", path,
                                            not_utf8_text(name, *at), quoted_text(name)),
                     .help = "names of classes are stored with the weights, in UTF-8; rename it"};
    }
    return {};
}

}  // namespace netc
