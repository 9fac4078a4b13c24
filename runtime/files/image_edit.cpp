#include "runtime/files/image_edit.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace netc {
namespace {

// Which pixels of a line make one pixel of the resized line, and in what shares.
struct Shares {
    std::int64_t first = 0;
    std::vector<double> weights;
};

std::vector<Shares> shares_of(std::int64_t from, std::int64_t to) {
    const double scale = static_cast<double>(from) / static_cast<double>(to);
    const double support = std::max(scale, 1.0);
    std::vector<Shares> all;
    for (std::int64_t i = 0; i < to; ++i) {
        const double center = (static_cast<double>(i) + 0.5) * scale;
        Shares shares;
        shares.first =
            std::max<std::int64_t>(0, static_cast<std::int64_t>(std::floor(center - support)));
        const std::int64_t end =
            std::min(from, static_cast<std::int64_t>(std::ceil(center + support)));
        double total = 0;
        for (std::int64_t k = shares.first; k < end; ++k) {
            const double distance = std::abs(static_cast<double>(k) + 0.5 - center) / support;
            shares.weights.push_back(std::max(0.0, 1.0 - distance));
            total += shares.weights.back();
        }
        for (double& weight : shares.weights) weight /= total;
        all.push_back(std::move(shares));
    }
    return all;
}

}  // namespace

Image resize(const Image& image, std::int64_t width, std::int64_t height) {
    if (image.width == width && image.height == height) return image;
    const auto channels = static_cast<std::size_t>(image.channels);
    const auto from_width = static_cast<std::size_t>(image.width);
    const auto to_width = static_cast<std::size_t>(width);
    const std::vector<Shares> columns = shares_of(image.width, width);
    const std::vector<Shares> rows = shares_of(image.height, height);
    // Lines first, then columns, rounded once.
    std::vector<double> lines(static_cast<std::size_t>(image.height) * to_width * channels);
    for (std::size_t y = 0; y < static_cast<std::size_t>(image.height); ++y) {
        for (std::size_t x = 0; x < to_width; ++x) {
            const auto first = static_cast<std::size_t>(columns[x].first);
            for (std::size_t c = 0; c < channels; ++c) {
                double sum = 0;
                for (std::size_t k = 0; k < columns[x].weights.size(); ++k) {
                    sum += columns[x].weights[k] *
                           image.pixels[(y * from_width + first + k) * channels + c];
                }
                lines[(y * to_width + x) * channels + c] = sum;
            }
        }
    }
    Image result{width, height, image.channels, {}};
    const std::size_t line = to_width * channels;
    result.pixels.resize(static_cast<std::size_t>(height) * line);
    for (std::size_t y = 0; y < static_cast<std::size_t>(height); ++y) {
        const auto first = static_cast<std::size_t>(rows[y].first);
        for (std::size_t x = 0; x < line; ++x) {
            double sum = 0;
            for (std::size_t k = 0; k < rows[y].weights.size(); ++k) {
                sum += rows[y].weights[k] * lines[(first + k) * line + x];
            }
            result.pixels[y * line + x] =
                static_cast<std::uint8_t>(std::clamp(std::floor(sum + 0.5), 0.0, 255.0));
        }
    }
    return result;
}

Image crop(const Image& image, std::int64_t left, std::int64_t top, std::int64_t width,
           std::int64_t height) {
    Image result{width, height, image.channels, {}};
    const auto line = static_cast<std::size_t>(width * image.channels);
    result.pixels.resize(static_cast<std::size_t>(height) * line);
    for (std::int64_t y = 0; y < height; ++y) {
        const auto from =
            static_cast<std::size_t>(((top + y) * image.width + left) * image.channels);
        std::memcpy(result.pixels.data() + static_cast<std::size_t>(y) * line,
                    image.pixels.data() + from, line);
    }
    return result;
}

Image pad(const Image& image, std::int64_t margin) {
    Image result{image.width + 2 * margin, image.height + 2 * margin, image.channels, {}};
    result.pixels.resize(static_cast<std::size_t>(result.width * result.height * image.channels));
    const auto line = static_cast<std::size_t>(image.width * image.channels);
    for (std::int64_t y = 0; y < image.height; ++y) {
        const auto to =
            static_cast<std::size_t>(((y + margin) * result.width + margin) * image.channels);
        std::memcpy(result.pixels.data() + to,
                    image.pixels.data() + static_cast<std::size_t>(y) * line, line);
    }
    return result;
}

Image flip(const Image& image) {
    Image result = image;
    const auto channels = static_cast<std::size_t>(image.channels);
    const auto width = static_cast<std::size_t>(image.width);
    for (std::size_t y = 0; y < static_cast<std::size_t>(image.height); ++y) {
        for (std::size_t x = 0; x < width; ++x) {
            std::memcpy(result.pixels.data() + (y * width + x) * channels,
                        image.pixels.data() + (y * width + width - 1 - x) * channels, channels);
        }
    }
    return result;
}

}  // namespace netc
