// Places: which elements of a value a stage computes for one point of the outer axes.
//
//     outer b, c, py, px; value t[b, c, 2 py + dy, 2 px + dx]
//     place: base [b, c, 2 py, 2 px], own axes (dim 2: 2), (dim 3: 2)
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "ir/kernel.h"

namespace netc {

struct Place {
    struct Own {
        std::size_t dim = 0;
        Extent extent;
        friend bool operator==(const Own&, const Own&) = default;
    };
    std::vector<Index> base;  // one per dim, over outer axes
    std::vector<Own> own;     // ascending dims
};

// What the axes of a kernel are, as places ask.
struct AxisView {
    const std::vector<Axis>& axes;
    bool is_outer(AxisId axis) const { return axes[axis].kind == AxisKind::outer; }
    std::function<std::optional<std::int64_t>(AxisId)> static_extents() const;
};

// The elements that an index reaches, with every axis that is not outer running through its range.
// Nothing where that is not a box.
std::optional<Place> place_of(const std::vector<Index>& index, const AxisView& axes);

// base plus the own axes: the index of one element.
std::vector<Index> index_at(const Place& place, const std::vector<AxisId>& axes);

// Where an index lies within a place: one Index per own axis. Nothing where it may lie outside.
std::optional<std::vector<Index>> index_within(const Place& place, const std::vector<Index>& index,
                                               const AxisView& axes);

// True when the outer axes and the own ones together reach every element of the shape exactly once.
bool covers_exactly(const Place& place, const std::vector<Extent>& shape,
                    const std::vector<AxisId>& outer, const AxisView& axes);

// Every outer axis occurs: nothing is computed twice.
bool uses_all(const Place& place, const std::vector<AxisId>& outer);

}  // namespace netc
