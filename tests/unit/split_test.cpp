// links: runtime
// Splits and epoch orders: complete, disjoint, balanced, the same every time.
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "runtime/data/split.h"

using namespace netc;

namespace {

using Rows = std::vector<std::int64_t>;

Rows all_of(const Split& split) {
    Rows rows = split.train;
    rows.insert(rows.end(), split.valid.begin(), split.valid.end());
    rows.insert(rows.end(), split.test.begin(), split.test.end());
    std::sort(rows.begin(), rows.end());
    return rows;
}

Rows up_to(std::int64_t count) {
    Rows rows;
    for (std::int64_t i = 0; i < count; ++i) rows.push_back(i);
    return rows;
}

SplitSpec random_spec(double train, double valid, double test = 0) {
    SplitSpec spec;
    spec.train = train;
    spec.valid = valid;
    spec.test = test;
    return spec;
}

}  // namespace

TEST_CASE("a random split is complete, disjoint and depends on its seed alone") {
    SplitSpec spec = random_spec(0.7, 0.2, 0.1);
    const auto split = make_split(spec, 1000, {}, {});
    REQUIRE(split.ok());
    CHECK(split->train.size() == 700);
    CHECK(split->valid.size() == 200);
    CHECK(split->test.size() == 100);
    CHECK(all_of(*split) == up_to(1000));
    CHECK(*make_split(spec, 1000, {}, {}) == *split);
    spec.seed = 1;
    CHECK_FALSE(*make_split(spec, 1000, {}, {}) == *split);
    // Fractions that leave rows out do so.
    CHECK(all_of(*make_split(random_spec(0.5, 0.1), 1000, {}, {})).size() == 600);
}

TEST_CASE("strata keep their shares") {
    Rows strata;
    for (std::int64_t i = 0; i < 1000; ++i) strata.push_back(i % 10 == 0 ? 1 : 0);
    const auto split = make_split(random_spec(0.8, 0.2), 1000, strata, {});
    REQUIRE(split.ok());
    const auto rare = std::count_if(split->valid.begin(), split->valid.end(),
                                    [](auto row) { return row % 10 == 0; });
    CHECK(split->valid.size() == 200);
    CHECK(std::abs(rare - 20) <= 1);
}

TEST_CASE("groups stay together") {
    Rows groups;
    for (std::int64_t i = 0; i < 1000; ++i) groups.push_back(i % 37);
    const auto split = make_split(random_spec(0.8, 0.2), 1000, {}, groups);
    REQUIRE(split.ok());
    CHECK(all_of(*split) == up_to(1000));
    std::set<std::int64_t> train, valid;
    for (const auto row : split->train) train.insert(row % 37);
    for (const auto row : split->valid) valid.insert(row % 37);
    for (const auto group : valid) CHECK(train.count(group) == 0);
    CHECK(std::abs(static_cast<double>(split->valid.size()) - 200) < 40);
}

TEST_CASE("folds cover everything once, last takes the end") {
    SplitSpec spec;
    spec.kind = SplitKind::fold;
    spec.folds = 3;
    Rows held_out;
    for (spec.fold = 0; spec.fold < 3; ++spec.fold) {
        const auto split = make_split(spec, 10, {}, {});
        REQUIRE(split.ok());
        CHECK(all_of(*split) == up_to(10));
        held_out.insert(held_out.end(), split->valid.begin(), split->valid.end());
    }
    std::sort(held_out.begin(), held_out.end());
    CHECK(held_out == up_to(10));
    CHECK(!make_split(spec, 10, {}, {}));  // fold 3 of 3
    spec.kind = SplitKind::last;
    spec.valid = 0.3;
    CHECK(make_split(spec, 10, {}, {})->valid == Rows{7, 8, 9});
}

TEST_CASE("an empty part is E0612") {
    const auto split = make_split(random_spec(0.9, 0.1), 3, {}, {});
    REQUIRE(!split);
    CHECK(split.error().message == "the split leaves no rows for `valid` of 3 rows [E0612]");
    CHECK(!make_split(random_spec(0, 1), 10, {}, {}));
    CHECK(!make_split(random_spec(0.9, 0.5), 10, {}, {}));
    CHECK(!make_split(random_spec(-1, 0.5), 10, {}, {}));
}

TEST_CASE("a split comes back from its text, and only for its data") {
    const Split split = *make_split(random_spec(0.6, 0.3, 0.1), 50, {}, {});
    const std::string text = split_to_text(split, 50);
    CHECK(*split_from_text(text, 50) == split);
    CHECK(split_from_text(text, 51).error().message.find("there were 50 rows, now there are 51") !=
          std::string::npos);
    CHECK(!split_from_text("", 50));
    CHECK(!split_from_text("rows 50\ntrain 1 1\nvalid\ntest\n", 50));
    CHECK(!split_from_text("rows 50\ntrain 60\nvalid\ntest\n", 50));
    CHECK(!split_from_text("rows 50\ntrain 5-x\nvalid\ntest\n", 50));
    CHECK(!split_from_text("rows 50\ntrain 5-2\nvalid\ntest\n", 50));
    for (std::size_t size = 0; size < text.size(); ++size) {
        const auto cut = split_from_text(std::string_view(text).substr(0, size), 50);
        CHECK((!cut || all_of(*cut).size() <= 50));
    }
}

TEST_CASE("an epoch's order is a permutation of its own") {
    const Rows order = epoch_order(1000, 7, 3);
    Rows sorted = order;
    std::sort(sorted.begin(), sorted.end());
    CHECK(sorted == up_to(1000));
    CHECK(order == epoch_order(1000, 7, 3));
    CHECK(order != epoch_order(1000, 7, 4));
    CHECK(order != epoch_order(1000, 8, 3));
    CHECK(epoch_order(0, 1, 1).empty());
    CHECK(epoch_order(1, 1, 1) == Rows{0});
    const Rows rows{5, 9, 2};
    CHECK(epoch_rows(rows, false, 1, 1) == rows);
    CHECK(std::is_permutation(rows.begin(), rows.end(), epoch_rows(rows, true, 1, 1).begin()));
}
