// links: backends ir
// Which launches wait for which.
#include <catch2/catch.hpp>

#include "backends/gpu/launch_order.h"

using namespace netc;

namespace {

TouchedRange reads(std::int64_t begin, std::int64_t end) {
    return {RegionKind::workspace, 0, begin, end, false};
}
TouchedRange writes(std::int64_t begin, std::int64_t end) {
    return {RegionKind::workspace, 0, begin, end, true};
}

using Waits = std::vector<std::vector<std::uint32_t>>;

Waits order(const std::vector<std::vector<TouchedRange>>& launches) {
    std::vector<std::uint32_t> groups;
    for (std::uint32_t k = 0; k < launches.size(); ++k) groups.push_back(k);
    return launch_order(launches, groups);
}

}  // namespace

TEST_CASE("launches wait for those whose memory they share") {
    // A value, two that read it, one that reads both results.
    CHECK(order({{writes(0, 4)},
                 {reads(0, 4), writes(4, 8)},
                 {reads(0, 4), writes(8, 12)},
                 {reads(4, 12), writes(12, 16)}}) == Waits{{}, {0}, {0}, {1, 2}});
    // Readers come before who writes over what they read; who is waited for by another is not named again.
    CHECK(order({{writes(0, 4)}, {reads(0, 4)}, {reads(2, 4)}, {writes(3, 5)}, {reads(4, 8)}}) ==
          Waits{{}, {0}, {0}, {1, 2}, {3}});
    // Neighbours do not touch; another region is another memory; reading together is no conflict.
    CHECK(order({{writes(0, 4)}, {writes(4, 8)}, {reads(8, 9)}, {reads(8, 9)}}) ==
          Waits{{}, {}, {}, {}});
    CHECK(order({{writes(0, 4)}, {{RegionKind::weights, 0, 0, 4, true}}, {reads(0, 0)}}) ==
          Waits{{}, {}, {}});
    CHECK(order({{{RegionKind::input, 0, 0, 4, true}}, {{RegionKind::input, 1, 0, 4, true}}}) ==
          Waits{{}, {}});
}

TEST_CASE("launches of one group wait in order") {
    CHECK(launch_order({{reads(0, 4)}, {reads(0, 4)}, {reads(0, 4)}}, {1, 1, 2}) ==
          Waits{{}, {0}, {}});
}
