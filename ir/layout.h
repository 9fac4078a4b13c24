// Physical layouts of buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace netc {

// The logical vector width: orders and batch layouts are in units of 16 lanes whatever the hardware.
inline constexpr std::int64_t kLanes = 16;

// How logical dims lie in memory. Strides are in elements, for the dims in `order`, outermost first.
// With `lanes`, logical dim 0 (it must be the batch, outermost in order) is split by 16:
//     [ceil(d0 / 16)] [order[1..]] [16]
// The buffer then holds round_up(d0, 16) samples; what lies in the fill lanes is unspecified but
// initialised memory, and no reduction may take it.
// `extra` elements, times 16 with lanes, are added to the stride of one dim, so that what lies that far apart does not
// fall into few sets of the caches: without lanes of rows, order[size - 2]; with lanes of channels, order[1].
struct Layout {
    std::vector<std::int32_t> order;  // a permutation of the dims; row-major: 0, 1, 2, ...
    bool lanes = false;
    std::int64_t extra = 0;
    friend bool operator==(const Layout&, const Layout&) = default;
};

// Where in `order` the dim stands whose stride `extra` is added to. One dim has none: its size.
std::size_t spaced_position(const Layout& layout);

Layout row_major(std::size_t rank);
Layout batch_lanes(std::size_t rank);

}  // namespace netc
