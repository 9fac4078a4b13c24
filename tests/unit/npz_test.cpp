// links: runtime
// Archives of arrays, whole and damaged.
#include <catch2/catch.hpp>

#include <cstring>

#include "runtime/files/files.h"
#include "runtime/files/npz.h"
#include "tests/unit/temporary_directory.h"

using namespace netc;

namespace {

const std::vector<float> kNumbers = {1, 2, 3, 4, 5, 6};
const std::vector<std::int32_t> kLabels = {7, -8};

std::string two_arrays(const TemporaryDirectory& directory) {
    const std::vector<TensorView> arrays = {
        {"x", DType::f32, {2, 3}, std::as_bytes(std::span(kNumbers))},
        {"labels", DType::i32, {2}, std::as_bytes(std::span(kLabels))}};
    REQUIRE(write_npz(directory.file("a.npz"), arrays).ok());
    return *read_file(directory.file("a.npz"));
}

}  // namespace

TEST_CASE("what is written is read again, and the bytes do not change from day to day") {
    const TemporaryDirectory directory;
    const std::string bytes = two_arrays(directory);
    CHECK(bytes == two_arrays(directory));
    const Result<NpzFile> file = NpzFile::open(bytes, "a.npz");
    REQUIRE(file.ok());
    CHECK(file->names() == std::vector<std::string>{"x", "labels"});
    const Result<Array> x = file->read("x");
    REQUIRE(x.ok());
    CHECK(x->shape == std::vector<std::int64_t>{2, 3});
    CHECK(std::memcmp(x->bytes.data(), kNumbers.data(), 24) == 0);
    const Result<Array> labels = read_npz_array(*file, "labels", "a.npz");
    REQUIRE(labels.ok());
    CHECK(labels->dtype == DType::i32);
    CHECK(read_npz_array(*file, "y", "a.npz").error().message == "a.npz has no array `y`");
    CHECK(read_npz_array(*file, "y", "a.npz").error().help == "it has: x, labels");
}

TEST_CASE("an archive of one array needs no name; an empty one has none") {
    const TemporaryDirectory directory;
    const std::string path = directory.file("a.npz");
    const std::vector<TensorView> one = {
        {"arr_0", DType::f32, {6}, std::as_bytes(std::span(kNumbers))}};
    REQUIRE(write_npz(path, one).ok());
    const Result<NpzFile> file = NpzFile::open(*read_file(path), path);
    REQUIRE(file.ok());
    CHECK(read_npz_array(*file, "x", path).ok());
}

TEST_CASE("cut and changed archives are refused") {
    const TemporaryDirectory directory;
    const std::string bytes = two_arrays(directory);
    for (std::size_t size = 0; size < bytes.size(); size += 7) {
        INFO(size);
        const Result<NpzFile> file = NpzFile::open(bytes.substr(0, size), "a.npz");
        CHECK_FALSE(file.ok());
    }
    // A changed number is seen by its check sum.
    std::string changed = bytes;
    const std::size_t at = changed.find(std::string("\x00\x00\xc0\x40", 4));
    REQUIRE(at != std::string::npos);
    changed[at] = '\x01';
    const Result<NpzFile> file = NpzFile::open(changed, "a.npz");
    REQUIRE(file.ok());
    CHECK_FALSE(file->read("x").ok());
    CHECK(file->read("labels").ok());
}
