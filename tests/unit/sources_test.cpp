// links: runtime
// Texts, images, series, archives and the batches of CIFAR-10 as fields.
#include <catch2/catch.hpp>

#include <cstring>
#include <filesystem>

#include "runtime/data/dataset.h"
#include "tests/unit/temporary_directory.h"

using namespace netc;

namespace {

SourceField field(std::string name, FieldPart part) {
    SourceField made;
    made.name = std::move(name);
    made.part = part;
    return made;
}

std::vector<double> sample(const Field& field, std::int64_t row) {
    std::vector<double> values;
    for (std::int64_t i = 0; i < field.sample_size(); ++i) values.push_back(element(field, row, i));
    return values;
}

using Numbers = std::vector<double>;

DataSource text_source(std::int64_t context, std::int64_t stride) {
    DataSource source;
    source.kind = SourceKind::text;
    source.path = "a.txt";
    source.window = context;
    source.stride = stride;
    source.fields = {field("x", FieldPart::current), field("y", FieldPart::following)};
    return source;
}
const std::vector<FieldRequest> kTokens = {{"x", DType::i32, {3}, FieldRole::input, {}},
                                           {"y", DType::i32, {3}, FieldRole::target, {}}};

}  // namespace

TEST_CASE("a text: windows, what follows, the vocabulary in byte order") {
    const TemporaryDirectory directory;
    directory.write("a.txt", "b\xc3\xa4"
                             "ca bc");
    const auto data = load(text_source(3, 2), kTokens, {directory.path()});
    REQUIRE(data.ok());
    // Characters: space a b c ae.
    CHECK(data->rows == 2);
    CHECK(sample(data->fields[0], 0) == Numbers{2, 4, 3});
    CHECK(sample(data->fields[1], 0) == Numbers{4, 3, 1});
    CHECK(sample(data->fields[0], 1) == Numbers{3, 1, 0});
    const DataStatistics trained = statistics_of(*data);
    CHECK(trained[0].columns.at(0).categories ==
          std::vector<std::string>{" ", "a", "b", "c", "\xc3\xa4"});
    // Another text in the same code, and one with a character that training never saw.
    directory.write("a.txt", "aaaab");
    const auto other = load(text_source(3, 3), kTokens, {directory.path(), nullptr, &trained});
    REQUIRE(other.ok());
    CHECK(sample(other->fields[0], 0) == Numbers{1, 1, 1});
    directory.write("a.txt", "a b\na-xa");
    const auto unseen = load(text_source(3, 3), kTokens, {directory.path(), nullptr, &trained});
    REQUIRE_FALSE(unseen.ok());
    CHECK(unseen.error().place->line == 1);  // the new line itself is new
    CHECK(unseen.error().place->column == 4);
    directory.write("a.txt", "abc");
    CHECK_FALSE(load(text_source(3, 3), kTokens, {directory.path()}).ok());
    directory.write("a.txt", "ab\xff"
                             "cdef");
    CHECK(load(text_source(3, 3), kTokens, {directory.path()}).error().place->column == 3);
    DataSource bytes = text_source(3, 3);
    bytes.byte_tokens = true;
    const auto raw = load(bytes, kTokens, {directory.path()});
    REQUIRE(raw.ok());
    CHECK(sample(raw->fields[0], 0) == Numbers{97, 98, 255});
}

TEST_CASE("CIFAR-10: a label, then the planes; several batches by pattern") {
    const TemporaryDirectory directory;
    for (int batch = 1; batch <= 2; ++batch) {
        std::string record(3073, static_cast<char>(batch * 10));
        record[0] = static_cast<char>(batch);
        directory.write("data_batch_" + std::to_string(batch) + ".bin", record);
    }
    DataSource source;
    source.kind = SourceKind::cifar;
    source.path = "data_batch_*.bin";
    source.fields = {field("x", FieldPart::image), field("y", FieldPart::label)};
    const std::vector<FieldRequest> wanted = {{"x", DType::f32, {3, 32, 32}, FieldRole::input, {}},
                                              {"y", DType::i32, {}, FieldRole::target, 10}};
    const auto data = load(source, wanted, {directory.path()});
    REQUIRE(data.ok());
    CHECK(data->rows == 2);
    CHECK(sample(data->fields[1], 1) == Numbers{2});
    CHECK(element(data->fields[0], 1, 3071) == 20);
    directory.write("data_batch_2.bin", std::string(3000, 'x'));
    const auto cut = load(source, wanted, {directory.path()});
    REQUIRE_FALSE(cut.ok());
    CHECK(cut.error().message.find("data_batch_2.bin is not a batch") != std::string::npos);
    source.path = "nosuch_*.bin";
    CHECK_FALSE(load(source, wanted, {directory.path()}).ok());
}

TEST_CASE("images: classes by folder, random changes by seed, epoch and row alone") {
    const TemporaryDirectory directory;
    for (const char* folder : {"b", "a"}) {
        std::filesystem::create_directory(directory.file(folder));
        directory.write(std::string(folder) + "/1.pgm", "P2 4 1 255 10 20 30 40");
    }
    DataSource source;
    source.kind = SourceKind::images;
    source.path = ".";
    source.fields = {field("x", FieldPart::image), field("y", FieldPart::folder)};
    source.fields[0].steps = {{ImageStepKind::random_crop, 1, 2, 0, 0.5},
                              {ImageStepKind::random_flip, 0, 0, 0, 0.5}};
    const std::vector<FieldRequest> wanted = {{"x", DType::f32, {1, 1, 2}, FieldRole::input, {}},
                                              {"y", DType::i32, {}, FieldRole::target, 2}};
    const auto data = load(source, wanted, {directory.path()});
    REQUIRE(data.ok());
    CHECK(sample(data->fields[1], 0) == Numbers{0});
    CHECK(data->fields[1].statistics.columns[0].categories == std::vector<std::string>{"a", "b"});
    const auto read = [&](const Drawing* drawing) {
        std::vector<float> values(4);
        const std::int64_t rows[] = {0, 1};
        REQUIRE(read_samples(data->fields[0], rows, drawing,
                             reinterpret_cast<std::byte*>(values.data()))
                    .ok());
        return values;
    };
    CHECK(read(nullptr) == std::vector<float>{20, 30, 20, 30});  // the middle, not turned
    bool differs = false;
    for (std::uint64_t epoch = 0; epoch < 8; ++epoch) {
        const Drawing drawing{7, epoch};
        const std::vector<float> drawn = read(&drawing);
        CHECK(drawn == read(&drawing));
        CHECK(std::abs(drawn[0] - drawn[1]) == 10);
        differs = differs || drawn != read(nullptr);
    }
    CHECK(differs);
    directory.write("a/0.png", "broken");
    CHECK(load(source, wanted, {directory.path()}).error().message.find("0.png") !=
          std::string::npos);
    source.skip_unreadable = true;
    const auto rest = load(source, wanted, {directory.path()});
    REQUIRE(rest.ok());
    CHECK(rest->rows == 2);
    REQUIRE(rest->warnings.size() == 1);
    CHECK(rest->warnings[0].starts_with("1 of 3 images"));
}

TEST_CASE("series: windows never cross a file, channels come first") {
    const TemporaryDirectory directory;
    directory.write("1.csv", "t,v\n0,10\n1,11\n2,12\n3,13\n");
    directory.write("2.csv", "t,v\n5,20\n6,21\n7,22\n");
    DataSource source;
    source.kind = SourceKind::series;
    source.path = "*.csv";
    source.window = 2;
    source.stride = 1;
    source.fields = {field("x", FieldPart::columns), field("y", FieldPart::following)};
    source.fields[0].selector.columns = {ColumnRange{0, 2}};
    const std::vector<FieldRequest> wanted = {{"x", DType::f32, {2, 2}, FieldRole::input, {}},
                                              {"y", DType::f32, {2}, FieldRole::target, {}}};
    const auto data = load(source, wanted, {directory.path()});
    REQUIRE(data.ok());
    CHECK(data->rows == 3);
    CHECK(sample(data->fields[0], 0) == Numbers{0, 1, 10, 11});
    CHECK(sample(data->fields[1], 0) == Numbers{2, 12});
    CHECK(sample(data->fields[0], 2) == Numbers{5, 6, 20, 21});
    SplitSpec split;
    split.kind = SplitKind::last;
    split.valid = 0.3;
    const auto parts = load(source, wanted, {directory.path(), &split});
    REQUIRE(parts.ok());
    CHECK(parts->split.valid == std::vector<std::int64_t>{2});
    source.window = 9;
    CHECK(load(source, {{"x", DType::f32, {2, 9}, FieldRole::input, {}}}, {directory.path()})
              .error()
              .message.find("9 rows") != std::string::npos);
}
