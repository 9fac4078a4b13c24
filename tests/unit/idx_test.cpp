// links: runtime
// gzip and IDX, whole and broken.
#include <zlib.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "runtime/data/idx.h"
#include "runtime/files/gzip.h"
#include "tests/unit/temporary_directory.h"

using namespace netc;

namespace {

std::string packed(const std::string& text) {
    z_stream stream{};
    REQUIRE(::deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    std::string out(text.size() + 1000, '\0');
    std::string in = text;
    stream.next_in = reinterpret_cast<Bytef*>(in.data());
    stream.avail_in = static_cast<uInt>(in.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    REQUIRE(::deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(stream.total_out);
    ::deflateEnd(&stream);
    return out;
}

std::string idx(const std::string& magic, std::initializer_list<std::uint32_t> extents,
                const std::string& data) {
    std::string file = magic;
    for (const std::uint32_t extent : extents) {
        for (int shift = 24; shift >= 0; shift -= 8) file += static_cast<char>(extent >> shift);
    }
    return file + data;
}

const std::string kBytes2d("\0\0\x08\2", 4);

}  // namespace

TEST_CASE("gzip unpacks, plain passes, members join") {
    const std::string text(100000, 'q');
    CHECK(*unpack_gzip("plain", "f") == "plain");
    CHECK(*unpack_gzip("", "f") == "");
    CHECK(*unpack_gzip(packed(text), "f") == text);
    CHECK(*unpack_gzip(packed("ab") + packed("cd"), "f") == "abcd");
    CHECK(*unpack_gzip(packed("ab") + std::string(10, '\0'), "f") == "ab");
    CHECK(*unpack_gzip(packed(""), "f") == "");
    CHECK(unpack_gzip(packed(text), "f", 1000).error().message ==
          "f unpacks to more than 1000 bytes");
}

TEST_CASE("damaged gzip files are refused at every byte") {
    const std::string whole =
        packed("the quick brown fox jumps over the lazy dog, twice: the quick brown fox");
    for (std::size_t size = 2; size < whole.size(); ++size) {
        const auto result = unpack_gzip(whole.substr(0, size), "data.gz");
        REQUIRE(!result);
        CHECK(result.error().message.find("data.gz is a damaged gzip file") == 0);
        CHECK(result.error().status == 3);
    }
    // Flipped bits: the stream or its check sum shows it (the header's time and the padding behind
    // the last block are free).
    const std::string text = *unpack_gzip(whole, "data.gz");
    for (std::size_t at = 10; at < whole.size(); ++at) {
        std::string broken = whole;
        broken[at] = static_cast<char>(broken[at] ^ 0x20);
        const auto result = unpack_gzip(broken, "data.gz");
        CHECK((!result || *result == text));
    }
    CHECK(!unpack_gzip(whole + "garbage", "data.gz"));
}

TEST_CASE("a data file is found with and without .gz, and missed with help") {
    TemporaryDirectory directory;
    directory.write("a.gz", packed("A"));
    directory.write("b", "B");
    CHECK(read_data_file(directory.path(), "a")->bytes == "A");
    CHECK(read_data_file(directory.path(), "a")->path == directory.file("a.gz"));
    CHECK(read_data_file(directory.path(), "b")->bytes == "B");
    CHECK(read_data_file("elsewhere", directory.file("b"))->bytes == "B");
    const auto missing = read_data_file(directory.path(), "c");
    REQUIRE(!missing);
    CHECK(missing.error().message ==
          "there is no file " + directory.file("c") + " (nor " + directory.file("c") + ".gz)");
    CHECK(missing.error().help.find("--data DIR") != std::string::npos);
    CHECK(!read_data_file(directory.path(), ""));
}

TEST_CASE("idx holds its elements, big endian swapped") {
    const auto bytes = parse_idx(idx(kBytes2d, {2, 3}, "\1\2\3\4\5\6"), "f");
    REQUIRE(bytes.ok());
    CHECK(bytes->dtype == DType::u8);
    CHECK(bytes->shape == std::vector<std::int64_t>{2, 3});
    const auto ints = parse_idx(
        idx(std::string("\0\0\x0c\1", 4), {2}, std::string("\0\0\1\0\xff\xff\xff\xff", 8)), "f");
    REQUIRE(ints.ok());
    std::int32_t values[2];
    std::memcpy(values, ints->bytes.data(), 8);
    CHECK(values[0] == 256);
    CHECK(values[1] == -1);
}

TEST_CASE("malformed idx files are refused") {
    const std::string whole = idx(kBytes2d, {2, 3}, "\1\2\3\4\5\6");
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const auto result = parse_idx(whole.substr(0, size), "labels");
        REQUIRE(!result);
        CHECK(result.error().message.find("labels is not a whole IDX file") == 0);
    }
    CHECK(parse_idx(whole + "x", "f").error().message ==
          "f is not a whole IDX file: its header says 2 x 3 values (6 bytes), but 7 bytes follow");
    CHECK(parse_idx("\x1f\x8bgz", "f").error().message.find("it starts with 1f 8b") !=
          std::string::npos);
    CHECK(!parse_idx(std::string("\0\0\x08\0", 4), "f"));
    CHECK(!parse_idx(idx(std::string("\0\0\x07\1", 4), {1}, "x"), "f"));
    // Sizes beyond any file.
    CHECK(parse_idx(idx(kBytes2d, {0xffffffffu, 0xffffffffu}, "x"), "f")
              .error()
              .message.find("too large") != std::string::npos);
    CHECK(!parse_idx(idx(kBytes2d, {60000, 784}, "x"), "f"));
    CHECK(parse_idx(idx(kBytes2d, {0, 3}, ""), "f").ok());
}
