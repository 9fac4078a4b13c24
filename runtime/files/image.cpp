// Telling formats apart, netpbm, and what is done with decoded images.
#include "runtime/files/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <new>
#include <optional>

#include "runtime/files/files.h"
#include "runtime/files/image_codecs.h"

namespace netc {
namespace {

// P2 P3 P5 P6: numbers apart by white space, comments from # to the end of the line.
class NetpbmReader {
public:
    NetpbmReader(std::string_view bytes, const std::string& path) : bytes_(bytes), path_(path) {}

    Result<Image> read() {
        const char kind = bytes_[1];
        at_ = 2;
        const auto width = number(), height = number(), largest = number();
        if (!width || !height || !largest || *width < 1 || *height < 1 || *largest < 1 ||
            *largest > 65535) {
            return bad_image(path_, "its header is not that of a PGM or PPM file");
        }
        Image image{*width, *height, kind == '3' || kind == '6' ? 3 : 1, {}};
        const Result<std::size_t> size = image_size(image, path_);
        if (!size) return size.error();
        const bool plain = kind == '2' || kind == '3';
        const std::size_t width_of_value = *largest > 255 ? 2 : 1;
        if (!plain) ++at_;  // one white space
        const std::size_t left = at_ <= bytes_.size() ? bytes_.size() - at_ : 0;
        // A number in plain text takes two bytes at least, but for the last.
        const std::size_t needed = plain ? *size * 2 - 1 : *size * width_of_value;
        if (left < needed) return bad_image(path_, "it ends before its last pixel");
        image.pixels.resize(*size);
        for (std::uint8_t& pixel : image.pixels) {
            std::optional<std::int64_t> value;
            if (plain) {
                value = number();
            } else {
                value = byte();
                if (width_of_value == 2) value = *value * 256 + byte();
            }
            if (!value || *value > *largest) {
                return bad_image(
                    path_, fmt::format("near byte {}: no number from 0 to {}", at_, *largest));
            }
            pixel = static_cast<std::uint8_t>((*value * 255 + *largest / 2) / *largest);
        }
        return image;
    }

private:
    std::int64_t byte() { return static_cast<unsigned char>(bytes_[at_++]); }
    std::optional<std::int64_t> number() {
        while (at_ < bytes_.size()) {
            if (bytes_[at_] == '#') {
                at_ = std::min(bytes_.find('\n', at_), bytes_.size());
            } else if (std::isspace(static_cast<unsigned char>(bytes_[at_])) != 0) {
                ++at_;
            } else {
                break;
            }
        }
        std::int64_t value = 0;
        const char* begin = bytes_.data() + at_;
        const auto [end, code] = std::from_chars(begin, bytes_.data() + bytes_.size(), value);
        if (code != std::errc() || value < 0) return std::nullopt;
        at_ += static_cast<std::size_t>(end - begin);
        return value;
    }

    std::string_view bytes_;
    const std::string& path_;
    std::size_t at_ = 0;
};

}  // namespace

Error bad_image(const std::string& path, std::string_view reason) {
    return {.status = kExitData,
            .message = fmt::format("{} is not a whole image: {}", path, reason)};
}

Result<std::size_t> image_size(const Image& image, const std::string& path) {
    // 16 gigapixels are more than any camera makes and less than an address can count.
    constexpr std::int64_t kLargest = std::int64_t{1} << 34;
    if (image.width < 1 || image.height < 1 || image.width > kLargest / image.height) {
        return bad_image(path, fmt::format("its size is {} x {}", image.width, image.height));
    }
    return static_cast<std::size_t>(image.width * image.height * image.channels);
}

Result<Image> decode_image(std::string_view bytes, const std::string& path) {
    try {
        if (bytes.starts_with("\x89PNG\r\n\x1a\n")) return decode_png(bytes, path);
        if (bytes.starts_with("\xff\xd8\xff")) return decode_jpeg(bytes, path);
        if (bytes.size() > 2 && bytes[0] == 'P' &&
            std::string_view("2356").find(bytes[1]) != std::string_view::npos) {
            return NetpbmReader(bytes, path).read();
        }
    } catch (const std::bad_alloc&) {
        return bad_image(path, "there is not enough memory for the size it states");
    }
    return Error{.message = fmt::format("{} is no PNG, JPEG, PGM or PPM image", path)};
}

Result<Image> read_image(const std::string& path) {
    const Result<std::string> bytes = read_file(path);
    if (!bytes) return bytes.error();
    return decode_image(*bytes, path);
}

Image with_channels(Image image, std::int64_t channels) {
    if (image.channels == channels) return image;
    Image result{image.width, image.height, channels, {}};
    const auto count = static_cast<std::size_t>(image.width * image.height);
    result.pixels.resize(count * static_cast<std::size_t>(channels));
    for (std::size_t i = 0; i < count; ++i) {
        if (channels == 3) {
            std::fill_n(result.pixels.begin() + static_cast<std::ptrdiff_t>(3 * i), 3,
                        image.pixels[i]);
            continue;
        }
        const std::uint8_t* colour = image.pixels.data() + 3 * i;
        const unsigned grey = 299u * colour[0] + 587u * colour[1] + 114u * colour[2];
        result.pixels[i] = static_cast<std::uint8_t>((grey + 500) / 1000);
    }
    return result;
}

std::vector<std::uint8_t> channels_first(const Image& image) {
    std::vector<std::uint8_t> planes(image.pixels.size());
    const auto count = static_cast<std::size_t>(image.width * image.height);
    const auto channels = static_cast<std::size_t>(image.channels);
    for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t c = 0; c < channels; ++c)
            planes[c * count + i] = image.pixels[i * channels + c];
    }
    return planes;
}

bool is_image_name(std::string_view path) {
    const std::size_t dot = path.rfind('.');
    if (dot == std::string_view::npos) return false;
    std::string ending(path.substr(dot + 1));
    for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return ending == "png" || ending == "jpg" || ending == "jpeg" || ending == "pgm" ||
           ending == "ppm";
}

}  // namespace netc
