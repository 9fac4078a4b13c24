// links: runtime
// CSV: what is read, what is selected, and what is refused at which line and column.
#include <catch2/catch.hpp>

#include "runtime/data/csv_table.h"
#include "runtime/data/dataset.h"
#include "tests/unit/temporary_directory.h"

using namespace netc;

namespace {

FieldSelector col(ColumnReference column) { return {SelectorKind::columns, {column}, "", {}, {}}; }
FieldSelector cols(std::int64_t from, std::int64_t to) { return col(ColumnRange{from, to}); }
FieldSelector wrap(SelectorKind kind, std::vector<FieldSelector> parts, std::string text = "") {
    return {kind, {}, std::move(text), std::move(parts), {}};
}

struct Loaded {
    std::vector<double> x, y;
};

// A table with x of `width` floats and y an int of 3 classes.
struct Table {
    std::string text;
    FieldSelector x = cols(0, 2), y = col(2);
    std::int64_t width = 2;
    DataSource source{};
    std::optional<SplitSpec> split{};
    const DataStatistics* trained = nullptr;

    Result<Dataset> load() {
        TemporaryDirectory directory;
        directory.write("t.csv", text);
        source.kind = SourceKind::csv;
        source.path = "t.csv";
        source.fields = {{"x", "", x, {}, {}}, {"y", "", y, {}, {}}};
        const std::vector<FieldRequest> wanted = {{"x", DType::f32, {width}, FieldRole::input, {}},
                                                  {"y", DType::i32, {}, FieldRole::target, 3}};
        return netc::load(source, wanted,
                          {directory.path(), split ? &*split : nullptr, trained, false});
    }
};

std::vector<double> values(const Dataset& data, std::size_t field) {
    std::vector<double> result;
    const Field& f = data.fields[field];
    for (std::int64_t row = 0; row < data.rows; ++row) {
        for (std::int64_t i = 0; i < f.sample_size(); ++i) result.push_back(element(f, row, i));
    }
    return result;
}

using Numbers = std::vector<double>;

}  // namespace

TEST_CASE("numbers are read as a whole or not at all") {
    for (const char* good : {"1", "-1.5", "+2", "1e3", ".5", "1.", "0x"}) {
        CHECK(parse_number(good).has_value() == (std::string(good) != "0x"));
    }
    for (const char* bad : {"", "abc", "1 2", "1,5", "--1", "+-1", "1e", "1e999", "12abc"})
        CHECK(!parse_number(bad));
    CHECK(*parse_number("1e-999") == 0.0);
}

TEST_CASE("the ways in which people write tables give the same rows") {
    const char* texts[] = {
        "1,2,0\n3,4,1\n",
        "1,2,0\r\n3,4,1\r\n",
        "\xef\xbb\xbf"
        "1,2,0\n3,4,1",
        "1,2,0\n3,4,1\n\n  \n",
        "a,b,label\n1,2,0\n3,4,1\n",
        "1;2;0\n3;4;1\n",
        "1\t2\t0\n3\t4\t1\n",
        "1 2 0\n3  4   1 \n",
        " 1 , 2 , 0 \n 3 , 4 , 1 \n",
        "\"1\",\"2\",\"0\"\n\"3\",\"4\",\"1\"\n",
        "\"a\"\"b\",\"c,d\",\"e\nf\"\n1,2,0\n3,4,1\n",
        "1.0e0,2,0.0\n3,4,1.000\n",
    };
    for (const char* text : texts) {
        INFO(text);
        const auto data = Table{text}.load();
        if (!data) FAIL(to_string(data.error()));
        CHECK(values(*data, 0) == Numbers{1, 2, 3, 4});
        CHECK(values(*data, 1) == Numbers{0, 1});
    }
}

TEST_CASE("columns by name, from the end, side by side, and by category") {
    Table table{"a,b,kind\n1,2,pear\n3,4,apple\n5,6,fig\n"};
    table.x = wrap(SelectorKind::concat, {col(std::string("b")), col(std::string("a"))});
    table.y = wrap(SelectorKind::category, {col(std::int64_t{-1})});
    auto data = table.load();
    REQUIRE(data.ok());
    CHECK(values(*data, 0) == Numbers{2, 1, 4, 3, 6, 5});
    CHECK(values(*data, 1) == Numbers{2, 0, 1});
    CHECK(data->fields[1].statistics.columns[0].categories ==
          std::vector<std::string>{"apple", "fig", "pear"});
    CHECK(data->fields[1].statistics.class_counts == std::vector<std::int64_t>{1, 1, 1});

    table.x = wrap(SelectorKind::one_hot, {table.y});
    table.y = wrap(SelectorKind::equals, {col(std::string("kind"))}, "fig");
    table.width = 3;
    data = table.load();
    REQUIRE(data.ok());
    CHECK(values(*data, 0) == Numbers{0, 0, 1, 1, 0, 0, 0, 1, 0});
    CHECK(values(*data, 1) == Numbers{0, 0, 1});
    // Codes of numbers are sorted by value.
    Table numeric{"1,2,10\n1,2,9\n1,2,100\n"};
    numeric.y = wrap(SelectorKind::category, {col(std::int64_t{2})});
    CHECK(values(*numeric.load(), 1) == Numbers{1, 0, 2});
}

TEST_CASE("missing values: refused, dropped, filled") {
    Table table{"1,,0\n3,4,1\n5,8,2\n"};
    auto data = table.load();
    REQUIRE(!data);
    CHECK(data.error().place->line == 1);
    CHECK(data.error().place->column == 3);
    CHECK(data.error().message == "column 1 has no value here");
    table.source.missing = MissingPolicy::drop;
    CHECK(values(*table.load(), 0) == Numbers{3, 4, 5, 8});
    table.source.missing = MissingPolicy::mean;
    CHECK(values(*table.load(), 0) == Numbers{1, 6, 3, 4, 5, 8});
    table.source.missing = MissingPolicy::value;
    table.source.missing_value = -1;
    CHECK(values(*table.load(), 0) == Numbers{1, -1, 3, 4, 5, 8});
    // A gap is no value that some text could equal; asked for, it is.
    Table gap{"1,2,a\n3,4,\n5,6,b\n"};
    gap.y = wrap(SelectorKind::equals, {col(std::int64_t{2})}, "a");
    data = gap.load();
    REQUIRE(!data);
    CHECK(data.error().message == "column 2 has no value here");
    CHECK(data.error().place->line == 2);
    gap.y = wrap(SelectorKind::equals, {col(std::int64_t{2})}, "");
    CHECK(values(*gap.load(), 1) == Numbers{0, 1, 0});
    gap.y = wrap(SelectorKind::equals, {col(std::int64_t{2})}, "a");
    gap.source.missing = MissingPolicy::drop;
    CHECK(values(*gap.load(), 1) == Numbers{1, 0});
    // The mean is that of the training rows alone, and later files take it over.
    table.source.missing = MissingPolicy::mean;
    table.split = SplitSpec{};
    table.split->kind = SplitKind::last;
    table.split->valid = 0.34;
    data = table.load();
    REQUIRE(data.ok());
    CHECK(values(*data, 0) == Numbers{1, 4, 3, 4, 5, 8});
    const auto statistics = statistics_from_json(statistics_to_json(statistics_of(*data)));
    REQUIRE(statistics.ok());
    Table later{"1,NA,0\n"};
    later.source.missing = MissingPolicy::mean;
    later.trained = &*statistics;
    CHECK(values(*later.load(), 0) == Numbers{1, 4});
}

TEST_CASE("categories come from the training rows") {
    Table table{"1,2,a\n3,4,b\n5,6,a\n7,8,c\n"};
    table.y = wrap(SelectorKind::category, {col(std::int64_t{2})});
    table.split = SplitSpec{};
    table.split->kind = SplitKind::last;
    table.split->valid = 0.25;
    const auto data = table.load();
    REQUIRE(!data);
    CHECK(data.error().message ==
          "the category \"c\" of column 2 does not occur in the training rows");
    CHECK(data.error().place->line == 4);
    CHECK(data.error().place->column == 5);
}

TEST_CASE("standardizing takes the training rows and leaves the values raw") {
    Table table{"1,10,0\n3,10,1\n100,10,1\n"};
    table.x = wrap(SelectorKind::standardize, {cols(0, 2)});
    table.split = SplitSpec{};
    table.split->kind = SplitKind::last;
    table.split->valid = 0.34;
    const auto data = table.load();
    REQUIRE(data.ok());
    CHECK(values(*data, 0) == Numbers{1, 10, 3, 10, 100, 10});
    const FieldStatistics& x = data->fields[0].statistics;
    CHECK(x.standardized);
    CHECK(x.mean == Numbers{2, 10});
    CHECK(x.deviation == Numbers{1, 1});  // a deviation of 0 counts as 1
    CHECK(x.raw_max == 10);
    CHECK_FALSE(data->fields[1].statistics.standardized);
}

TEST_CASE("bad tables are refused with line and column") {
    struct Case {
        std::string text, message;
        int line, column;
    };
    const Case cases[] = {
        {"", "t.csv has no rows", 0, 0},
        {"\n\n\n", "t.csv has no rows", 0, 0},
        {"a,b,c\n", "has a header and no rows", 0, 0},
        {"1,2,0\n3,x,1\n", "\"x\" is not a number, but column 1 of x must be", 2, 3},
        {"1,2,0\n3,4\n", "this line has 2 columns, but line 1 has 3", 2, 0},
        {"1,2,0\n3,4,1,5\n", "this line has 4 columns, but line 1 has 3", 2, 0},
        {"1,2,0\n3,inf,1\n", "\"inf\" is not a number", 2, 3},
        {"1e400,2,0\n3,4,1\n", "\"1e400\" is too large for a number", 1, 1},
        {"1,2,0\n3,-1e400,1\n", "\"-1e400\" is too large for a number", 2, 3},
        {"1,2,0\n3,4,1.5\n", "1.5 does not fit `y`, which is i32", 2, 5},
        {"1,2,0\n3,4,3\n", "`y` in row 1 is 3, outside of 0 to 2", 2, 0},
        {"1,2,0\n3,4,-1\n", "`y` in row 1 is -1, outside of 0 to 2", 2, 0},
        {"1,2,0\n3,\"4,1\n5,6,2\n", "this quote is never closed", 2, 3},
        {std::string("1,2,0\n3,4\0,1\n", 13), "it holds a zero byte", 2, 4},
        {"1,2\n3,4\n", "has 2 columns, but col(2) asks for column 2", 0, 0},
        {"1,2,0\n3,\"4\"x,1\n", "is not a number", 2, 3},
        {"1,2,0\n3,\"4\"5,1\n", "is not a number", 2, 3},
        {"\xc3\xa4,b,c\n1,2,0\n\xc3\xa4,4,1\n", "is not a number", 3, 1},
        {"1,2,0\n" + std::string(10'000'000, '7') + "x,4,1\n", "is not a number", 2, 1},
        {"1,2,0\n" + std::string(3'000'000, ',') + "\n", "this line has 3000001 columns", 2, 0},
    };
    for (const Case& c : cases) {
        INFO(excerpt(c.text));
        const auto data = Table{c.text}.load();
        REQUIRE(!data);
        INFO(to_string(data.error()));
        CHECK(data.error().status == 3);
        CHECK(to_string(data.error()).size() < 400);
        CHECK(data.error().message.find(c.message) != std::string::npos);
        if (c.line > 0) {
            REQUIRE(data.error().place.has_value());
            CHECK(data.error().place->file.ends_with("t.csv"));
            CHECK(data.error().place->line == c.line);
            CHECK(data.error().place->column == c.column);
        }
    }
}

TEST_CASE("lines may end in LF, CR LF or CR") {
    for (const std::string end : {"\n", "\r\n", "\r"}) {
        const auto data = Table{"a,b,c" + end + "1,2,0" + end + "3,4,1" + end}.load();
        REQUIRE(data.ok());
        CHECK(values(*data, 0) == Numbers{1, 2, 3, 4});
        const auto wrong = Table{"a,b,c" + end + "1,2,0" + end + "3,x,1" + end}.load();
        REQUIRE(!wrong);
        CHECK(wrong.error().place->line == 3);
        CHECK(wrong.error().place->column == 3);
    }
}

TEST_CASE("labels that start at one are recognised") {
    const auto data = Table{"1,2,1\n3,4,2\n5,6,3\n"}.load();
    REQUIRE(!data);
    CHECK(data.error().help ==
          "the labels of this data start at 1 (they run from 1 to 3); classes count from 0");
    const auto with_zero = Table{"1,2,0\n3,4,2\n5,6,3\n"}.load();
    REQUIRE(!with_zero);
    CHECK(with_zero.error().help.find("start at 1") == std::string::npos);
}

TEST_CASE("wrong widths and names are explained") {
    Table table{"a,b,c\n1,2,0\n"};
    table.width = 5;
    CHECK(table.load().error().message.find("`x` takes 5 numbers per sample, but cols(0..2) of ") ==
          0);
    table.width = 2;
    table.x = cols(0, 7);
    CHECK(table.load().error().message.find("has 3 columns, but cols(0..7) asks for column 3") !=
          std::string::npos);
    table.x = wrap(SelectorKind::concat, {col(std::string("a")), col(std::string("age"))});
    const auto named = table.load();
    CHECK(named.error().message.find("has no column \"age\"") != std::string::npos);
    CHECK(named.error().help == "its columns are: a, b, c");
    Table twice{"a,b,a\n1,2,0\n"};
    twice.x = wrap(SelectorKind::concat, {col(std::string("b")), col(std::string("a"))});
    CHECK(twice.load().error().message.find("columns 0 and 2 of ") == 0);
}

TEST_CASE("skip, limit and shuffle choose rows") {
    Table table{"# made by hand\nx y z\n1,2,0\n3,4,1\n5,6,2\n"};
    table.source.skip = 2;
    CHECK(values(*table.load(), 1) == Numbers{0, 1, 2});
    table.source.limit = 2;
    CHECK(values(*table.load(), 1) == Numbers{0, 1});
    table.source.limit = 0;
    CHECK(table.load().error().message == "`limit` must be at least 1, not 0");
}

TEST_CASE("binary noise and cut files never crash") {
    std::string noise;
    std::uint32_t state = 1;
    for (int i = 0; i < 4000; ++i) {
        state = state * 1664525u + 1013904223u;
        noise += "0123456789,,;\"\n\n .eE+-x\r\t\xff"[(state >> 24) % 26];
    }
    for (std::size_t size = 0; size < noise.size(); size += 7) {
        auto data = Table{noise.substr(0, size)}.load();
        if (!data) CHECK(!data.error().message.empty());
    }
}
