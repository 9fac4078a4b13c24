// links: runtime
// Safetensors: round trips, and files that lie.
#include <catch2/catch.hpp>
#include <cstring>

#include "runtime/files/files.h"
#include "runtime/files/safetensors.h"
#include "tests/unit/temporary_directory.h"

using namespace netc;

namespace {

std::string with_header(const std::string& header, const std::string& data) {
    std::string file(8, '\0');
    const std::uint64_t length = header.size();
    std::memcpy(file.data(), &length, 8);
    return file + header + data;
}

Result<Safetensors> parse(const std::string& file) {
    return parse_safetensors(std::as_bytes(std::span(file.data(), file.size())), "w.safetensors");
}

}  // namespace

TEST_CASE("tensors and metadata come back as they were written") {
    TemporaryDirectory directory;
    const std::string path = directory.file("w.safetensors");
    const float weights[6] = {1, 2, 3, 4, 5, 6.5f};
    const std::int64_t step[1] = {77};
    const TensorView tensors[] = {
        {"linear_1.weight", DType::f32, {2, 3}, std::as_bytes(std::span(weights))},
        {"empty", DType::u8, {0, 4}, {}},
        {"step", DType::i64, {}, std::as_bytes(std::span(step))}};
    REQUIRE(write_safetensors(path, tensors, {{"netc.model", "M"}, {"note", "a \"quote\"\n\xff"}})
                .ok());
    const Result<Safetensors> read = read_safetensors(path);
    REQUIRE(read.ok());
    CHECK(read->metadata.at("netc.model") == "M");
    REQUIRE(read->tensors.size() == 3);
    const Safetensors::Tensor* weight = read->find("linear_1.weight");
    REQUIRE(weight != nullptr);
    CHECK(weight->shape == std::vector<std::int64_t>{2, 3});
    CHECK(std::memcmp(read->data(*weight).data(), weights, sizeof weights) == 0);
    CHECK(read->find("step")->shape.empty());
    CHECK(read->find("nothing") == nullptr);
    // The data begin at a multiple of eight bytes.
    const std::string bytes = *read_file(path);
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), 8);
    CHECK(header % 8 == 0);

    // Cut at every byte it is an error, never a crash and never half a model.
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const auto cut = parse(bytes.substr(0, size));
        REQUIRE(!cut);
        CHECK(cut.error().status == 3);
        CHECK(cut.error().message.find("w.safetensors is not a whole safetensors file") == 0);
    }
    CHECK(!parse(bytes + "x"));
}

TEST_CASE("headers that lie are refused with the reason") {
    struct Case {
        const char* header;
        const char* data;
        const char* reason;
    };
    const Case cases[] = {
        {"", "", "not a JSON object"},
        {"[]", "", "not a JSON object"},
        {"{", "", "not a JSON object"},
        {"{\"a\":1}", "", "lacks dtype"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", "", "lacks dtype"},
        {"{\"a\":{\"dtype\":\"Q4\",\"shape\":[1],\"data_offsets\":[0,4]}}", "abcd", "dtype \"Q4\""},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", "abcd",
         "shape of \"a\""},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", "abcd",
         "shape of \"a\""},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", "abcd",
         "its shape needs 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,400]}}", "abcd",
         "only 4 follow"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", "abcd",
         "offsets of \"a\""},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4611686018427387904],"
         "\"data_offsets\":[0,4]}}",
         "abcd", "too large to be true"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,4]}}",
         "abcd", "shape of \"a\""},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
         "abc", "overlaps"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", "ab",
         "belong to no tensor"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", "ab", "belong to none"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
         "ab", "twice"},
        {"{\"__metadata__\":{\"k\":1}}", "", "not a string"},
        {"{\"__metadata__\":[]}", "", "not an object"},
        {"{\"a\":[[[[[[[[[[[[]]]]]]]]]]]]}", "", "nested too deep"},
        {"{\"\xff\":1}", "", "not a JSON object"},
    };
    for (const Case& c : cases) {
        const auto result = parse(with_header(c.header, c.data));
        INFO(c.header);
        REQUIRE(!result);
        INFO(result.error().message);
        CHECK(result.error().message.find(c.reason) != std::string::npos);
    }
    // A header of brackets only, and a length that no file has.
    CHECK(!parse(with_header(std::string(1'000'000, '['), "")));
    CHECK(!parse(std::string(8, '\xff') + "{}"));
}
