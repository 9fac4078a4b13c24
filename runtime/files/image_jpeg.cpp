// JPEG through libjpeg. Its errors jump; between setjmp and the jump nothing lives that has a
// destructor.
#include <cstddef>
#include <cstdio>

#include <jerror.h>
#include <jpeglib.h>

#include <csetjmp>

#include "runtime/files/image_codecs.h"

namespace netc {
namespace {

struct Errors {
    jpeg_error_mgr manager;  // first: libjpeg knows no more of this struct
    std::jmp_buf jump;
    char reason[JMSG_LENGTH_MAX] = "";
};

[[noreturn]] void stop(j_common_ptr info) {
    auto* errors = reinterpret_cast<Errors*>(info->err);
    info->err->format_message(info, errors->reason);
    std::longjmp(errors->jump, 1);
}

// libjpeg makes up what is missing at the end of a file and only warns.
void on_message(j_common_ptr info, int level) {
    const int code = info->err->msg_code;
    if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER)) stop(info);
}

struct Decoder {
    Errors errors{};
    jpeg_decompress_struct info{};
    Decoder() {
        info.err = jpeg_std_error(&errors.manager);
        errors.manager.error_exit = stop;
        errors.manager.emit_message = on_message;
    }
    Decoder(const Decoder&) = delete;
    ~Decoder() { jpeg_destroy_decompress(&info); }
};

bool read_header(Decoder& decoder, std::string_view bytes, Image& image) {
    if (setjmp(decoder.errors.jump) != 0) return false;
    jpeg_create_decompress(&decoder.info);
    jpeg_mem_src(&decoder.info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    jpeg_read_header(&decoder.info, TRUE);
    const bool grey = decoder.info.jpeg_color_space == JCS_GRAYSCALE;
    decoder.info.out_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
    decoder.info.dct_method = JDCT_ISLOW;  // the exact one
    jpeg_start_decompress(&decoder.info);
    image.width = decoder.info.output_width;
    image.height = decoder.info.output_height;
    image.channels = grey ? 1 : 3;
    return true;
}

bool read_pixels(Decoder& decoder, Image& image) {
    if (setjmp(decoder.errors.jump) != 0) return false;
    const auto stride = static_cast<std::size_t>(image.width * image.channels);
    while (decoder.info.output_scanline < decoder.info.output_height) {
        JSAMPROW row = image.pixels.data() + decoder.info.output_scanline * stride;
        jpeg_read_scanlines(&decoder.info, &row, 1);
    }
    jpeg_finish_decompress(&decoder.info);
    return true;
}

}  // namespace

Result<Image> decode_jpeg(std::string_view bytes, const std::string& path) {
    Decoder decoder;
    Image image;
    if (!read_header(decoder, bytes, image)) return bad_image(path, decoder.errors.reason);
    const Result<std::size_t> size = image_size(image, path);
    if (!size) return size.error();
    image.pixels.resize(*size);
    if (!read_pixels(decoder, image)) return bad_image(path, decoder.errors.reason);
    return image;
}

}  // namespace netc
