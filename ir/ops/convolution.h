// What convolutions over any number of spatial axes share, x [N, C, y...]: their geometry, and the samples of the
// tests. The three of them are each other's gradients. Padding and the steps that a stride skips are guards of the
// sum: no term, rather than a product with zero.
#pragma once

#include "ir/ops/common.h"

namespace netc::ops {

constexpr AttributeSpec kStrideAttribute{"stride", AttributeKind::integers,
                                         "step per spatial axis"};
constexpr AttributeSpec kPadAttribute{"pad", AttributeKind::integers,
                                      "padding on both sides, per axis"};
constexpr AttributeSpec kDilationAttribute{"dilation", AttributeKind::integers,
                                           "distance of the kernel's taps, per axis"};
constexpr AttributeSpec kGroupsAttribute{"groups", AttributeKind::integer,
                                         "channels fall into this many groups that do not mix"};

struct Geometry {
    Integers stride, pad, dilation;
    std::int64_t groups = 1;
};

Geometry geometry_of(const Attributes& attributes);
Attributes attributes_of(const Geometry& geometry);

Status check_geometry(const Geometry& geometry, std::size_t spatial);
// x [N, C, y...] and w [O, I, k...]: equal rank of at least 3, dtypes that are multiplied.
Status check_operands(const Type& x, const Type& w);
Status check_divides(const Dim& channels, std::int64_t groups);

// Positions of a kernel over an axis: (x + 2 pad - dilation (k - 1) - 1) // stride + 1.
Result<Dim> positions(const Dim& x, const Dim& size, const Geometry& geometry, std::size_t axis);
// What that many positions of a kernel cover, without the padding.
Dim reached(const Dim& count, const Dim& size, const Geometry& geometry, std::size_t axis);
// What conv_transpose_nd must add to reach `whole` again from the `part` that a stride left.
Integers missing(const Shape& whole, const Shape& part, const Shape& w, const Geometry& geometry);
Integers size_of_kernel(const Shape& w);

// The gradient of conv_nd(x, w) -> y towards x, given something of y's shape.
Value towards_input(GraphBuilder& graph, Value y, Value w, const Shape& x,
                    const Geometry& geometry);
// And towards w.
Value towards_weights(GraphBuilder& graph, Value x, Value y, const Shape& w,
                      const Geometry& geometry);

// First channel, on the other side, of the group that `channel` belongs to.
Index first_of_group(const Index& channel, const Dim& own, const Dim& other, std::int64_t groups);
// Where a tap lies in the input. The terms in the padding are guarded away.
Index tap_position(Lowering& lowering, const Geometry& geometry, std::size_t axis,
                   const Index& position, const Index& tap, const Dim& extent);

struct SampleShape {
    Shape x, w;
    Integers stride, pad, dilation;
    std::int64_t groups;
};
// Odd sizes, every attribute by itself and all together, one to three spatial axes.
std::vector<SampleShape> sample_shapes();
// Of conv_nd.
Shape result_shape(const SampleShape& s);

}  // namespace netc::ops
