// Changing the size and place of an image.
#pragma once

#include <cstdint>

#include "runtime/files/image.h"

namespace netc {

// Linear interpolation; a smaller image averages over all pixels that fall into one of its own, each
// weighted by a triangle around the middle.
Image resize(const Image& image, std::int64_t width, std::int64_t height);

// The rectangle with its upper left corner there; it lies inside.
Image crop(const Image& image, std::int64_t left, std::int64_t top, std::int64_t width,
           std::int64_t height);

// Zeros around.
Image pad(const Image& image, std::int64_t margin);

// Left and right change places.
Image flip(const Image& image);

}  // namespace netc
