// PNG through libpng. Its errors jump; between setjmp and the jump nothing lives that has a
// destructor, so what a row is written to belongs to the caller.
#include <png.h>

#include <csetjmp>
#include <cstring>

#include "runtime/files/image_codecs.h"

namespace netc {
namespace {

struct Input {
    std::string_view bytes;
    std::size_t at = 0;
    char reason[100] = "";
};

void read_bytes(png_structp png, png_bytep out, std::size_t count) {
    auto& input = *static_cast<Input*>(png_get_io_ptr(png));
    if (input.bytes.size() - input.at < count) png_error(png, "it ends before its last pixel");
    std::memcpy(out, input.bytes.data() + input.at, count);
    input.at += count;
}

void on_error(png_structp png, png_const_charp message) {
    auto& input = *static_cast<Input*>(png_get_error_ptr(png));
    std::strncpy(input.reason, message, sizeof(input.reason) - 1);
    png_longjmp(png, 1);
}
void on_warning(png_structp, png_const_charp) {}

struct Decoder {
    png_structp png = nullptr;
    png_infop info = nullptr;
    explicit Decoder(Input& input)
        : png(png_create_read_struct(PNG_LIBPNG_VER_STRING, &input, on_error, on_warning)),
          info(png == nullptr ? nullptr : png_create_info_struct(png)) {}
    Decoder(const Decoder&) = delete;
    ~Decoder() { png_destroy_read_struct(&png, &info, nullptr); }
};

bool read_header(Decoder& decoder, Input& input, Image& image) {
    png_structp png = decoder.png;
    png_infop info = decoder.info;
    if (setjmp(png_jmpbuf(png)) != 0) return false;
    png_set_read_fn(png, &input, read_bytes);
    png_read_info(png, info);
    png_set_expand(png);
    png_set_scale_16(png);
    png_set_strip_alpha(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    image.width = png_get_image_width(png, info);
    image.height = png_get_image_height(png, info);
    image.channels = png_get_channels(png, info);
    return true;
}

bool read_pixels(Decoder& decoder, png_bytepp rows) {
    if (setjmp(png_jmpbuf(decoder.png)) != 0) return false;
    png_read_image(decoder.png, rows);
    png_read_end(decoder.png, nullptr);
    return true;
}

}  // namespace

Result<Image> decode_png(std::string_view bytes, const std::string& path) {
    Input input{bytes};
    Decoder decoder(input);
    if (decoder.info == nullptr) return bad_image(path, "there is no memory to unpack it");
    Image image;
    if (!read_header(decoder, input, image)) return bad_image(path, input.reason);
    const Result<std::size_t> size = image_size(image, path);
    if (!size) return size.error();
    if (image.channels != 1 && image.channels != 3) {
        return bad_image(path, "it is neither grey nor in colours");
    }
    image.pixels.resize(*size);
    std::vector<png_bytep> rows(static_cast<std::size_t>(image.height));
    for (std::size_t y = 0; y < rows.size(); ++y) {
        rows[y] = image.pixels.data() + y * static_cast<std::size_t>(image.width * image.channels);
    }
    if (!read_pixels(decoder, rows.data())) return bad_image(path, input.reason);
    return image;
}

}  // namespace netc
