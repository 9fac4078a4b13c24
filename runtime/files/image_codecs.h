// What the readers of image formats share.
#pragma once

#include <string>
#include <string_view>

#include "runtime/files/image.h"

namespace netc {

Error bad_image(const std::string& path, std::string_view reason);
// How many bytes the pixels take; sizes that no image has are refused.
Result<std::size_t> image_size(const Image& image, const std::string& path);

Result<Image> decode_png(std::string_view bytes, const std::string& path);
Result<Image> decode_jpeg(std::string_view bytes, const std::string& path);

}  // namespace netc
