// links: runtime
// Decoding PNG, JPEG, PGM, PPM, whole and damaged.
#include <catch2/catch.hpp>

#include <cstdlib>

#include "runtime/files/image.h"
#include "tests/unit/image_files.h"

using namespace netc;
using Bytes = std::vector<std::uint8_t>;

namespace {

Image decoded(std::string_view bytes) {
    const Result<Image> image = decode_image(bytes, "a");
    INFO((image ? std::string() : image.error().message));
    REQUIRE(image.ok());
    return *image;
}
std::string refusal(std::string_view bytes) {
    const Result<Image> image = decode_image(bytes, "a");
    return image ? "decoded" : image.error().message;
}

}  // namespace

TEST_CASE("netpbm: binary and plain, comments, two bytes, other maximal values") {
    CHECK(decoded(std::string_view("P5 2 2 255\n\x00\x01\xfe\xff", 15)).pixels ==
          Bytes{0, 1, 254, 255});
    CHECK(decoded("P2\n# a comment\n3 1 # another\n255 0 7 255").pixels == Bytes{0, 7, 255});
    const Image colour = decoded("P3 1 2 255 1 2 3 4 5 6\n");
    CHECK(colour.channels == 3);
    CHECK(colour.pixels == Bytes{1, 2, 3, 4, 5, 6});
    CHECK(decoded("P6 1 1 255\nabc").pixels == Bytes{'a', 'b', 'c'});
    CHECK(decoded("P2 3 1 15 0 8 15").pixels == Bytes{0, 136, 255});
    CHECK(decoded(std::string_view("P5 2 1 65535\n\xff\xff\x01\x00", 17)).pixels == Bytes{255, 1});
}

TEST_CASE("PNG: grey, colours, transparency dropped") {
    CHECK(decoded(png_bytes(PNG_FORMAT_GRAY, 2, 2, {0, 1, 128, 255})).pixels ==
          Bytes{0, 1, 128, 255});
    const Image colour = decoded(png_bytes(PNG_FORMAT_RGB, 2, 1, {1, 2, 3, 200, 100, 0}));
    CHECK(colour.channels == 3);
    CHECK(colour.width == 2);
    CHECK(colour.pixels == Bytes{1, 2, 3, 200, 100, 0});
    CHECK(decoded(png_bytes(PNG_FORMAT_RGBA, 1, 1, {10, 20, 30, 255})).pixels == Bytes{10, 20, 30});
}

TEST_CASE("JPEG: close to what was packed") {
    const Image grey = decoded(jpeg_bytes(1, 8, 8, Bytes(64, 100)));
    CHECK(grey.channels == 1);
    for (const std::uint8_t pixel : grey.pixels) CHECK(std::abs(pixel - 100) <= 1);
    Bytes red;
    for (int i = 0; i < 64; ++i) red.insert(red.end(), {200, 20, 30});
    const Image colour = decoded(jpeg_bytes(3, 8, 8, red));
    REQUIRE(colour.pixels.size() == 192);
    for (std::size_t i = 0; i < 192; ++i) CHECK(std::abs(colour.pixels[i] - red[i]) <= 3);
}

TEST_CASE("every cut of a file is refused") {
    Bytes pixels;
    for (int i = 0; i < 16 * 16; ++i) pixels.push_back(static_cast<std::uint8_t>(i * 37));
    const std::string files[] = {png_bytes(PNG_FORMAT_GRAY, 16, 16, pixels),
                                 jpeg_bytes(1, 16, 16, pixels),
                                 "P5 16 16 255\n" + std::string(pixels.begin(), pixels.end())};
    for (const std::string& file : files) {
        REQUIRE(refusal(file) == "decoded");
        // The last two bytes of a JPEG only say that it ends.
        for (std::size_t size = 0; size + 3 < file.size(); ++size) {
            INFO(size);
            CHECK(refusal(std::string_view(file).substr(0, size)) != "decoded");
        }
    }
    CHECK(refusal("") == "a is no PNG, JPEG, PGM or PPM image");
    CHECK(refusal("GIF89a") == "a is no PNG, JPEG, PGM or PPM image");
    CHECK(refusal("P5 0 4 255\n").find("its header") != std::string::npos);
    CHECK(refusal("P5 99999999999 99999999999 255\n").find("its size is") != std::string::npos);
    CHECK(refusal("P2 2 1 10 3 11") ==
          "a is not a whole image: near byte 14: no number from 0 to 10");
}

TEST_CASE("colours become grey and grey becomes colours") {
    const Image colour{1, 1, 3, {255, 0, 100}};
    // 0.299 * 255 + 0.114 * 100 = 87.645
    CHECK(with_channels(colour, 1).pixels == Bytes{88});
    CHECK(with_channels({2, 1, 1, {3, 4}}, 3).pixels == Bytes{3, 3, 3, 4, 4, 4});
    CHECK(channels_first({2, 1, 3, {1, 2, 3, 4, 5, 6}}) == Bytes{1, 4, 2, 5, 3, 6});
    CHECK(is_image_name("a/b.PNG"));
    CHECK_FALSE(is_image_name("png"));
}
