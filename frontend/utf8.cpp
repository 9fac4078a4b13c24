// UTF-8.
#include "frontend/utf8.h"

#include <algorithm>

namespace netc {

std::size_t utf8_length(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) {
        return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u;
    };
    const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
    const unsigned first = byte(0);
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        if (!follows(1) || !follows(2)) return 0;
        if (first == 0xE0 && byte(1) < 0xA0) return 0;   // longer than needed
        if (first == 0xED && byte(1) >= 0xA0) return 0;  // a surrogate
        return 3;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        if (!follows(1) || !follows(2) || !follows(3)) return 0;
        if (first == 0xF0 && byte(1) < 0x90) return 0;
        if (first == 0xF4 && byte(1) >= 0x90) return 0;  // above U+10FFFF
        return 4;
    }
    return 0;
}

std::uint32_t code_point(std::string_view text) {
    const std::size_t length = utf8_length(text, 0);
    const auto first = static_cast<unsigned char>(text[0]);
    if (length < 2) return first;
    std::uint32_t character = first & (0x7Fu >> length);
    for (std::size_t i = 1; i < length; ++i) {
        character = character << 6u | (static_cast<unsigned char>(text[i]) & 0x3Fu);
    }
    return character;
}

bool is_invisible(std::uint32_t character) {
    const auto within = [&](std::uint32_t first, std::uint32_t last) {
        return character >= first && character <= last;
    };
    return within(0, 0x1F) || within(0x7F, 0x9F) || character == 0xAD || within(0x200B, 0x200F) ||
           within(0x2028, 0x202E) || within(0x2060, 0x206F) || character == 0xFEFF;
}

ByteOffsets::ByteOffsets(std::string_view text) {
    const auto ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    if (std::all_of(text.begin(), text.end(), ascii)) return;
    for (std::size_t at = 0; at < text.size();) {
        offsets_.push_back(static_cast<std::uint32_t>(at));
        at += std::max<std::size_t>(utf8_length(text, at), 1);
    }
    offsets_.push_back(static_cast<std::uint32_t>(text.size()));
}

std::uint32_t ByteOffsets::operator()(std::size_t code_point) const {
    if (offsets_.empty()) return static_cast<std::uint32_t>(code_point);
    return offsets_[std::min(code_point, offsets_.size() - 1)];
}

}  // namespace netc
