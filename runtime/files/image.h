// PNG, JPEG, PGM and PPM as bytes, 0 to 255.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ir/result.h"

namespace netc {

struct Image {
    std::int64_t width = 0, height = 0;
    std::int64_t channels = 1;         // 1 grey, 3 red green blue
    std::vector<std::uint8_t> pixels;  // [height, width, channels]
};

// What the first bytes say it is: palettes and bit depths below 8 are expanded, 16 bits are rounded
// to 8, transparency is dropped; a maximal value other than 255 is scaled to it. `path` is for
// messages.
Result<Image> decode_image(std::string_view bytes, const std::string& path);
Result<Image> read_image(const std::string& path);

// Grey from colours: 0.299 red + 0.587 green + 0.114 blue, rounded; colours from grey: three times.
Image with_channels(Image image, std::int64_t channels);

// [channels, height, width], the order of a model's input.
std::vector<std::uint8_t> channels_first(const Image& image);

// Whether the name ends like an image that is read here.
bool is_image_name(std::string_view path);

}  // namespace netc
