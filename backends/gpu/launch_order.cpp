// See the header.
#include "backends/gpu/launch_order.h"

#include <algorithm>

namespace netc {
namespace {

bool conflict(const TouchedRange& a, const TouchedRange& b) {
    return (a.writes || b.writes) && a.region == b.region && a.number == b.number &&
           a.begin < b.end && b.begin < a.end;
}

bool conflict(const std::vector<TouchedRange>& a, const std::vector<TouchedRange>& b) {
    return std::ranges::any_of(a, [&](const TouchedRange& x) {
        return std::ranges::any_of(b, [&](const TouchedRange& y) { return conflict(x, y); });
    });
}

}  // namespace

std::vector<std::vector<std::uint32_t>>
launch_order(const std::vector<std::vector<TouchedRange>>& launches,
             const std::vector<std::uint32_t>& groups) {
    const std::size_t count = launches.size();
    std::vector<std::vector<std::uint32_t>> waits(count);
    std::vector<std::vector<bool>> before(count);  // all that a launch waits for, however far
    for (std::size_t k = 0; k < count; ++k) {
        before[k].assign(k, false);
        for (std::size_t j = k; j-- > 0;) {
            if (before[k][j] || (groups[j] != groups[k] && !conflict(launches[j], launches[k])))
                continue;
            waits[k].push_back(static_cast<std::uint32_t>(j));
            before[k][j] = true;
            for (std::size_t i = 0; i < j; ++i)
                if (before[j][i]) before[k][i] = true;
        }
        std::ranges::reverse(waits[k]);
    }
    return waits;
}

}  // namespace netc
