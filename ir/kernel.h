// Kernel IR: the unit of code generation, the same for every backend.
//
// A kernel is a set of shared outer axes and an ordered list of stages. For every point of the outer
// axes the stages run in order; a stage runs over its own parallel axes, for each point reduces over
// its reduced axes where it has a reduction, and stores values to params or locals. Locals live for
// one point of the outer axes. The order of every sum is part of the kernel; tiles, vectors, threads
// and loop order are the schedule's (backends/) and change no bit.
//
// Example: y = tanh(x @ w + b), 2x2 mean pooling, softmax: see tests/data/kernels.
//
// Identity: to_text(kernel) holds no names of the user's, no spans and no addresses; equal text is the
// same kernel and is compiled once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/dim.h"
#include "ir/dtype.h"
#include "ir/index.h"
#include "ir/layout.h"
#include "ir/result.h"
#include "ir/scalar.h"

namespace netc {

enum class AxisKind : std::uint8_t { outer, parallel, reduced };
struct Axis {
    AxisKind kind = AxisKind::outer;
    Extent extent;
};

enum class Direction : std::uint8_t { in, out, inout };

// A buffer given by the caller. `out` is written wherever a store covers it and not read.
struct Param {
    Direction direction = Direction::in;
    DType dtype = DType::f32;
    std::vector<Extent> dims;
    Layout layout;
    friend bool operator==(const Param&, const Param&) = default;
};

struct Local {
    DType dtype = DType::f32;
    std::vector<std::int64_t> dims;  // rank 0: a value
};

struct Buffer {  // a param or a local of the kernel
    enum class Kind : std::uint8_t { param, local };
    Kind kind = Kind::param;
    std::uint32_t index = 0;
    friend auto operator<=>(const Buffer&, const Buffer&) = default;
};

// outside: what a read gives where an index is outside of its dim. `never`: the maker promises that
// it is inside. `zero`: checked for every dim, memory is not touched. `any`: as zero, but nobody uses the
// value; only passes ask so.
enum class Outside : std::uint8_t { never, any, zero };

struct Read {
    Buffer source;
    std::vector<Index> index;  // one per logical dim
    Outside outside = Outside::never;
    // Dim whose index is data: index[indirect] is ignored and the scalar `position` (an integer) is
    // used. Out of range reads NaN (0 for integers) and raises the fault flag.
    std::int32_t indirect = -1;
    ScalarId position = kNoScalar;
    friend bool operator==(const Read&, const Read&) = default;
};

// A term of a reduction exists only where all guards hold:
//     index mod divisor == 0  and  0 <= index / divisor < limit
// A term that does not exist is no term: not a product with zero.
struct Guard {
    Index index;
    std::int64_t divisor = 1;
    Extent limit;
};

// sequential: one accumulator, axes in order, the last fastest, ascending.
// lanes: 16 accumulators, number (value of lane_axis) mod 16, each sequential over the rest in the
//   order of `axes` (lane_axis counts there by its quotient), merged in pairs i, i+8; i, i+4; i, i+2; i, i+1.
//   With a leaf, lane_axis is the first, and each of the sixteen is blocked: its quotients are cut into leaves.
// blocked: the first axis is cut into leaves of `leaf` iterations, each sequential from the identity,
//   leaves merged left to right.
enum class OrderKind : std::uint8_t { sequential, lanes, blocked };
struct Order {
    OrderKind kind = OrderKind::sequential;
    AxisId lane_axis = 0;
    std::int64_t leaf = 0;
    friend bool operator==(const Order&, const Order&) = default;
};

struct StateVariable {
    DType dtype = DType::f32;
    double identity = 0;  // exact in dtype; infinities allowed
};

struct Reduction {
    std::vector<AxisId> axes;  // reduced axes of the kernel, outermost first
    std::vector<StateVariable> states;
    std::vector<ScalarId> step;  // new states, from `state` and reads
    std::vector<ScalarId>
        merge;  // from `state` (left) and `other` (right); needed unless sequential
    Order order;
    std::vector<Guard> guards;
};

struct Store {
    Buffer target;
    std::vector<Index> index;    // injective over outer and own axes, unless indirect
    ScalarId value = kNoScalar;  // from `state` (finished), reads, indices
    bool clipped = false;        // where an index is outside of its dim, nothing is stored
    // Scatter: index[indirect] is ignored, the scalar `position` is used, the value is added to the
    // target in the order of the axes. Such a stage is sequential. Out of range: dropped, fault flag.
    std::int32_t indirect = -1;
    ScalarId position = kNoScalar;
};

struct Stage {
    std::vector<AxisId> axes;  // own parallel axes, outermost first
    std::optional<Reduction> reduction;
    std::vector<Store> stores;
};

struct Kernel {
    std::vector<Axis> axes;
    std::vector<AxisId> outer;  // outermost first
    std::vector<Param> params;
    std::vector<Local> locals;
    std::vector<Read> reads;                  // what ScalarOp::read refers to
    std::vector<Index> indices;               // what ScalarOp::index refers to
    std::vector<std::vector<double>> tables;  // 32 constants each
    ScalarGraph scalars;
    std::vector<Stage> stages;
};

// The canonical text (ir/kernel_text.cpp); parse_kernel reads it back, print again gives the same text.
std::string to_text(const Kernel& kernel);
Result<Kernel> parse_kernel(std::string_view text);

// Everything a maker of kernels must keep: types, indices in range where extents are static, axes
// used where they live, stores injective, locals written before they are read. An Error has status 70.
Status verify(const Kernel& kernel);

// Elements of the buffer for this batch, padding and fill lanes included.
std::int64_t element_count(const Param& param, std::int64_t batch);

// Elements from one index of a dim to the next, per logical dim. With batch lanes, that of dim 0 is
// from one group of 16 samples to the next; within the group, samples are 1 apart.
std::vector<Extent> strides(const Param& param);

// Elements from the start of the buffer.
std::int64_t element_offset(const Param& param, const std::vector<std::int64_t>& index,
                            std::int64_t batch);

}  // namespace netc
