// links: runtime
// npy in and out, csv out.
#include <catch2/catch.hpp>
#include <cstring>

#include "runtime/files/files.h"
#include "runtime/files/npy.h"
#include "tests/unit/temporary_directory.h"

using namespace netc;

namespace {

template <class T>
std::string bytes_of(std::initializer_list<T> values) {
    std::string bytes(values.size() * sizeof(T), '\0');
    std::memcpy(bytes.data(), values.begin(), bytes.size());
    return bytes;
}

std::string npy(const std::string& header, const std::string& data, char version = 1) {
    std::string file = std::string("\x93NUMPY") + version + '\0';
    file += static_cast<char>(header.size() & 255);
    file += static_cast<char>(header.size() >> 8);
    if (version > 1) file += std::string(2, '\0');
    return file + header + data;
}

Result<Array> parse(const std::string& file) {
    return parse_npy(std::as_bytes(std::span(file.data(), file.size())), "a.npy");
}

template <class T>
std::vector<T> values(const Array& array) {
    std::vector<T> result(array.bytes.size() / sizeof(T));
    std::memcpy(result.data(), array.bytes.data(), array.bytes.size());
    return result;
}

std::string header(const std::string& descr, const std::string& shape, bool fortran = false) {
    return "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") +
           ", 'shape': " + shape + ", }\n";
}

}  // namespace

TEST_CASE("arrays of every dtype come back") {
    TemporaryDirectory directory;
    const std::string path = directory.file("a.npy");
    const float numbers[6] = {1, 2, 3, 4, 5, 6};
    const std::int64_t shape[2] = {3, 2};
    REQUIRE(write_npy(path, DType::f32, shape, std::as_bytes(std::span(numbers))).ok());
    const auto array = read_npy(path);
    REQUIRE(array.ok());
    CHECK(array->dtype == DType::f32);
    CHECK(array->shape == std::vector<std::int64_t>{3, 2});
    CHECK(values<float>(*array) == std::vector<float>{1, 2, 3, 4, 5, 6});
    const std::string bytes = *read_file(path);
    CHECK((bytes.size() - 24) % 64 == 0);
    for (std::size_t size = 0; size < bytes.size(); ++size) REQUIRE(!parse(bytes.substr(0, size)));
    CHECK(!parse(bytes + "x"));
    // Vectors and single numbers have shapes of their own spelling.
    REQUIRE(write_npy(path, DType::f32, std::span(shape, 1), std::as_bytes(std::span(numbers, 3)))
                .ok());
    CHECK(read_npy(path)->shape == std::vector<std::int64_t>{3});
    REQUIRE(write_npy(path, DType::f32, {}, std::as_bytes(std::span(numbers, 1))).ok());
    CHECK(read_npy(path)->shape.empty());
}

TEST_CASE("versions, byte orders, Fortran order and narrow types") {
    CHECK(values<double>(*parse(npy(header("<f8", "(2,)"), bytes_of<double>({1.5, 2}), 2))) ==
          std::vector<double>{1.5, 2});
    CHECK(values<double>(*parse(npy(header("<f8", "(1L,)"), bytes_of<double>({1.5}), 3))).size() ==
          1);
    CHECK(values<std::int32_t>(
              *parse(npy(header(">i4", "(1,)"), std::string("\x00\x00\x01\x02", 4)))) ==
          std::vector<std::int32_t>{258});
    CHECK(values<std::int32_t>(
              *parse(npy(header("<u2", "(1,)"), bytes_of<std::uint16_t>({65535})))) ==
          std::vector<std::int32_t>{65535});
    CHECK(values<std::int64_t>(
              *parse(npy(header("<u4", "(1,)"), bytes_of<std::uint32_t>({4294967295u})))) ==
          std::vector<std::int64_t>{4294967295});
    CHECK(values<float>(*parse(
              npy(header("<f2", "(6,)"),
                  bytes_of<std::uint16_t>({0x3c00, 0xc000, 0x0001, 0x7bff, 0x0400, 0x7c00})))) ==
          std::vector<float>{1, -2, 0x1p-24f, 65504, 0x1p-14f, INFINITY});
    CHECK(values<std::uint8_t>(*parse(npy(header("|u1", "(2, 3)", true), "\1\2\3\4\5\6"))) ==
          std::vector<std::uint8_t>{1, 3, 5, 2, 4, 6});
    CHECK(parse(npy(header("|b1", "(2,)"), std::string("\0\1", 2)))->dtype == DType::b1);
    CHECK(parse(npy(header("<f4", "(0, 5)"), ""))->shape == std::vector<std::int64_t>{0, 5});
}

TEST_CASE("malformed npy files are refused with the reason") {
    struct Case {
        std::string file, reason;
    };
    const Case cases[] = {
        {"hello", "does not start with"},
        {npy(header("<c8", "(1,)"), std::string(8, 0)), "\"<c8\""},
        {npy(header("|O", "(1,)"), "x"), "which netc does not read"},
        {npy("{'descr': '<f4'}", "abcd"), "not the dictionary"},
        {npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "abcd"),
         "not the dictionary"},
        {npy(header("<f4", "(-1,)"), "abcd"), "not the dictionary"},
        {npy(header("<f4", "(99999999999999999999,)"), "abcd"), "not the dictionary"},
        {npy(header("<f4", "(4611686018427387904, 4)"), "abcd"), "too large to be true"},
        {npy(header("<f4", "(2,)"), "abcd"), "its shape needs 8 bytes, but 4 follow"},
        {npy(header("<f4", "(1,)"), "abcd", 9), "version 9"},
    };
    for (const Case& c : cases) {
        const auto result = parse(c.file);
        INFO(c.reason);
        REQUIRE(!result);
        INFO(result.error().message);
        CHECK(result.error().message.find(c.reason) != std::string::npos);
        CHECK(result.error().status == 3);
    }
    CHECK(read_npy("/nonexistent/a.npy").error().message.find("there is no file") == 0);
}

TEST_CASE("csv has a line per row and the digits that read back") {
    TemporaryDirectory directory;
    const std::string path = directory.file("a.csv");
    const float numbers[4] = {0.1f, -2, 1e-20f, INFINITY};
    const std::int64_t shape[2] = {2, 2};
    const std::string names[2] = {"a", "b,\"c\""};
    REQUIRE(write_csv(path, DType::f32, shape, std::as_bytes(std::span(numbers)), names).ok());
    CHECK(*read_file(path) == "a,\"b,\"\"c\"\"\"\n0.1,-2\n1e-20,inf\n");
    const std::int32_t labels[2] = {3, -4};
    REQUIRE(
        write_csv(path, DType::i32, std::span(shape, 1), std::as_bytes(std::span(labels))).ok());
    CHECK(*read_file(path) == "3\n-4\n");
}
