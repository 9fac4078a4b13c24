// UTF-8: which bytes are a character, and counting characters as bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace netc {

// The length of the UTF-8 sequence that begins at `at`, or 0 when the bytes there are none.
std::size_t utf8_length(std::string_view text, std::size_t at);

// Whether a character begins at `at` in a UTF-8 text: where it may be cut.
inline bool begins_character(std::string_view text, std::size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xC0u) != 0x80u;
}

// From the number of a code point of a text to the offset of its first byte. The text must be
// UTF-8.
class ByteOffsets {
public:
    explicit ByteOffsets(std::string_view text);
    std::uint32_t operator()(std::size_t code_point) const;

private:
    std::vector<std::uint32_t> offsets_;  // empty when the text is ASCII
};

}  // namespace netc
