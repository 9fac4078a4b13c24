// links: runtime
// Loading whole data sets: dtypes, shapes, ranges, statistics, batches.
#include <catch2/catch.hpp>
#include <cstring>

#include "runtime/data/array_sources.h"
#include "runtime/data/dataset.h"
#include "runtime/files/npy.h"
#include "tests/unit/temporary_directory.h"

using namespace netc;

namespace {

DataSource inline_source(InlineValues x, InlineValues y) {
    DataSource source;
    source.fields = {{"x", "", {}, std::move(x), {}}, {"y", "", {}, std::move(y), {}}};
    return source;
}

const InlineValues kX{{4, 2}, {0, 0, 0, 1, 1, 0, 1, 1}, true};
const InlineValues kY{{4, 1}, {0, 1, 1, 0}, true};

std::string idx_bytes(std::initializer_list<unsigned char> extents, const std::string& data) {
    std::string file("\0\0\x08", 3);
    file += static_cast<char>(extents.size());
    for (const unsigned char extent : extents)
        file += std::string(3, '\0') + static_cast<char>(extent);
    return file + data;
}

}  // namespace

TEST_CASE("inline lists fill inputs and targets, and batches are gathered") {
    const auto data = load(inline_source(kX, kY),
                           {{"x", DType::f32, {2}, FieldRole::input, {}},
                            {"y", DType::f32, {1}, FieldRole::target, {}}},
                           {});
    REQUIRE(data.ok());
    CHECK(data->rows == 4);
    CHECK(data->split.train.size() == 4);
    const std::int64_t rows[] = {3, 1};
    float batch[4];
    gather(data->fields[0], rows, reinterpret_cast<std::byte*>(batch));
    CHECK(std::vector<float>(batch, batch + 4) == std::vector<float>{1, 1, 0, 1});
    CHECK(find_field(*data, "y") == &data->fields[1]);
    CHECK(find_field(*data, "z") == nullptr);
}

TEST_CASE("what does not fit is refused") {
    const auto message = [](DataSource source, FieldRequest x, FieldRequest y) {
        const auto data = load(source, {std::move(x), std::move(y)}, {});
        return data.ok() ? std::string("loaded") : data.error().message;
    };
    const FieldRequest x{"x", DType::f32, {2}, FieldRole::input, {}};
    const FieldRequest y{"y", DType::i32, {}, FieldRole::target, 2};
    CHECK(message(inline_source(kX, kY), x, y) == "loaded");
    CHECK(message(inline_source(kX, kY), {"x", DType::f32, {3}, FieldRole::input, {}}, y) ==
          "the inline data has 2 numbers per sample (shape [2]), but `x` takes 3 (shape [3])");
    CHECK(message(inline_source(kX, {{3}, {0, 1, 1}, true}), x, y) ==
          "`y` has 3 samples (the inline data), but `x` has 4 (the inline data)");
    CHECK(message(inline_source(kX, {{4}, {0, 1, 1, 2}, true}), x, y) ==
          "`y` in row 3 of the inline data is 2, outside of 0 to 1");
    CHECK(message(inline_source(kX, {{4}, {0, 1, 1, 0.5}, false}), x, y) ==
          "`y` is i32, but the inline data holds f64 numbers");
    // Columns with ranges of their own.
    FieldRequest pairs{"x", DType::i32, {2}, FieldRole::input, {}};
    pairs.ranges = {{0, 3, 0, {{{1, 2, 0, 1}, {}}}}, {0, 9, 0, {{{1, 2, 1, 2}, {}}}}};
    CHECK(message(inline_source({{2, 2}, {2, 8, 0, 3}, true}, {{2}, {0, 1}, true}), pairs, y) ==
          "loaded");
    CHECK(message(inline_source({{2, 2}, {2, 8, 3, 3}, true}, {{2}, {0, 1}, true}), pairs, y) ==
          "`x` in row 1 of the inline data is 3, outside of 0 to 2");
    CHECK(message(inline_source(kX, {{4}, {0, 1, 1, 256}, true}), x,
                  {"y", DType::u8, {}, FieldRole::target, 2}) ==
          "`y` in row 3 of the inline data is 256, which does not fit u8");
    CHECK(message(inline_source({{0, 2}, {}, true}, {{0}, {}, true}), x, y) ==
          "the data hold no samples");
    CHECK(message(inline_source(kX, kY), {"z", DType::f32, {2}, FieldRole::input, {}}, y) ==
          "nothing in `data` supplies `z`");
}

TEST_CASE("a split leaves an empty part: E0612; classes far from even warn") {
    SplitSpec spec;
    spec.valid = 0.01;
    spec.train = 0.99;
    const std::vector<FieldRequest> wanted = {{"x", DType::f32, {2}, FieldRole::input, {}},
                                              {"y", DType::i32, {}, FieldRole::target, 2}};
    CHECK(load(inline_source(kX, kY), wanted, {.split = &spec}).error().message.find("E0612") !=
          std::string::npos);
    const auto data = load(inline_source(kX, {{4}, {0, 0, 0, 0}, true}), wanted, {});
    REQUIRE(data.ok());
    REQUIRE(data->warnings.size() == 1);
    CHECK(data->warnings[0] ==
          "the classes of `y` are far from even: class 0 has 4 training samples, class 1 has 0");
}

TEST_CASE("bytes stay bytes in memory and become floats in a batch") {
    TemporaryDirectory directory;
    directory.write("images",
                    idx_bytes({3, 2, 2}, std::string("\0\1\2\3\4\5\6\7\xff\x09\x0a\x0b", 12)));
    directory.write("labels", idx_bytes({3}, std::string("\1\2\0", 3)));
    DataSource source;
    source.kind = SourceKind::idx;
    source.fields = {{"x", "images", {}, {}, {}}, {"y", "labels", {}, {}, {}}};
    source.scale = 0.5;
    const std::vector<FieldRequest> wanted = {{"x", DType::f32, {1, 2, 2}, FieldRole::input, {}},
                                              {"y", DType::i32, {}, FieldRole::target, 3}};
    auto data = load(source, wanted, {directory.path()});
    REQUIRE(data.ok());
    const Field& x = data->fields[0];
    CHECK(x.stored == DType::u8);
    CHECK(x.values.size() == 12);
    CHECK(x.statistics.scaled);
    CHECK(x.statistics.scale == 0.5);
    CHECK(x.statistics.raw_max == 255);
    CHECK_FALSE(data->fields[1].statistics.scaled);
    float batch[4];
    const std::int64_t rows[] = {2};
    gather(x, rows, reinterpret_cast<std::byte*>(batch));
    CHECK(batch[0] == 255.0f);
    std::int32_t label = 0;
    gather(data->fields[1], std::span(rows), reinterpret_cast<std::byte*>(&label));
    CHECK(label == 0);
    // One channel: one mean and one deviation over scaled pixels, repeated.
    source.standardize = true;
    data = load(source, wanted, {directory.path()});
    REQUIRE(data.ok());
    const FieldStatistics& learned = data->fields[0].statistics;
    REQUIRE(learned.mean.size() == 4);
    CHECK(learned.mean[0] == Approx((1 + 2 + 3 + 4 + 5 + 6 + 7 + 255 + 9 + 10 + 11) / 12.0 / 2));
    CHECK(learned.mean[3] == learned.mean[0]);
    // Held-out data take over what training learned, and say when they are far from it.
    const auto statistics = statistics_from_json(statistics_to_json(statistics_of(*data)));
    REQUIRE(statistics.ok());
    auto trained = *statistics;
    CHECK(trained[0].mean == learned.mean);
    CHECK(trained[1].class_counts == std::vector<std::int64_t>{1, 1, 1});
    trained[0].raw_max = 1;
    data = load(source, wanted, {.root = directory.path(), .trained = &trained});
    REQUIRE(data.ok());
    REQUIRE(data->warnings.size() == 1);
    CHECK(data->warnings[0] == "`x` holds values from 0 to 255, in training they were from 0 to 1");
    // limit takes the first rows.
    source.limit = 2;
    CHECK(load(source, wanted, {directory.path()})->rows == 2);
    // A missing file names the path and the option.
    source.fields[0].path = "nothing";
    const auto missing = load(source, wanted, {directory.path()});
    CHECK(missing.error().message.find("there is no file " + directory.file("nothing")) == 0);
    CHECK(missing.error().help.find("--data") != std::string::npos);
}

TEST_CASE("labels that start at one are recognised in a binary file") {
    TemporaryDirectory directory;
    directory.write("labels", idx_bytes({3}, "\1\2\3"));
    DataSource source;
    source.kind = SourceKind::idx;
    source.fields = {{"y", "labels", {}, {}, {}}};
    const auto data =
        load(source, {{"y", DType::i32, {}, FieldRole::target, 3}}, {directory.path()});
    REQUIRE(!data);
    CHECK(data.error().message ==
          "`y` in row 2 of " + directory.file("labels") + " is 3, outside of 0 to 2");
    CHECK(data.error().help.find("start at 1") != std::string::npos);
}

TEST_CASE("npy converts where nothing is lost") {
    TemporaryDirectory directory;
    const std::string path = directory.file("a.npy");
    const std::int64_t shape[] = {2};
    const std::int64_t wide[] = {1, 300};
    REQUIRE(write_npy(path, DType::i64, shape, std::as_bytes(std::span(wide))).ok());
    DataSource source;
    source.kind = SourceKind::npy;
    source.fields = {{"x", "a.npy", {}, {}, {}}};
    const auto message = [&](DType dtype) {
        const auto data =
            load(source, {{"x", dtype, {}, FieldRole::input, {}}}, {directory.path()});
        return data.ok() ? std::string("loaded") : data.error().message;
    };
    CHECK(message(DType::i32) == "loaded");
    CHECK(message(DType::f32) == "loaded");
    CHECK(message(DType::u8) == "`x` in row 1 of " + path + " is 300, which does not fit u8");
    const float floats[] = {1, NAN};
    REQUIRE(write_npy(path, DType::f32, shape, std::as_bytes(std::span(floats))).ok());
    CHECK(message(DType::i32) == "`x` is i32, but " + path + " holds f32 numbers");
    CHECK(message(DType::f64) == "`x` in row 1 of " + path + " is nan, not a finite number");
    Array array = *read_npy(path);
    CHECK(field_from_array(std::move(array), {"x", DType::f32, {1}, FieldRole::input, {}}, path)
              .ok());
}

TEST_CASE("statistics from a file that lies are refused") {
    DataStatistics one(1);
    one[0].name = "x";
    one[0].standardized = true;
    one[0].mean = {1};
    one[0].deviation = {2};
    const std::string text = statistics_to_json(one);
    CHECK(statistics_from_json(text)->at(0).deviation == std::vector<double>{2});
    for (std::size_t size = 0; size < text.size(); ++size)
        CHECK(!statistics_from_json(text.substr(0, size)));
    for (const char* bad : {"{}", "[1]", "[{}]", "[{\"name\":1,\"min\":0,\"max\":0}]",
                            "[{\"name\":\"x\",\"min\":0,\"max\":0,\"mean\":[1],\"deviation\":[]}]",
                            "[{\"name\":\"x\",\"min\":0,\"max\":0,\"mean\":[\"a\"]}]",
                            "[{\"name\":\"x\",\"min\":0,\"max\":0,\"columns\":[1]}]"}) {
        CHECK(!statistics_from_json(bad));
    }
    CHECK(!statistics_from_json(std::string(100000, '[')));
}
