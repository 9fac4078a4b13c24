// reduction_order: the order of every sum, from logical shape alone.
//
//     einsum bi,io->bo             sequential          sum of x[i] over i = 784      lanes(16, i)
//     mean of loss[b] over b       lanes(16, b)        conv weight gradient (b,y,x), few channels  lanes(16, b), leaves
//     weight gradient of a loop (t,b)  sequential      the same, 32 channels or more       sequential
//     mean of y[b,c,i,j] over (b,i,j)  lanes(16, b)    the same, 32 channels or more       blocked(1)
//     gradient of an embedding table, a dim of 256 or more   sequential      (as it is where rows are added in memory)
//
// Why here and not in a schedule: the order decides the bits, so that no tile, thread or vector width
// can. `lanes` lets sixteen accumulators run beside each other where there are too few outputs to
// fill the vectors, and a sum over a whole batch that is no contraction keep more of its digits.
#pragma once

#include <optional>
#include <vector>

#include "ir/graph.h"
#include "ir/kernel.h"

namespace netc {

struct ReductionShape {
    bool contraction = false;
    bool scatter = false;
    std::vector<AxisId> axes;     // outermost first
    std::vector<Extent> extents;  // of the axes
    std::optional<std::int64_t>
        results;              // elements that remain; nothing where it depends on the batch
    std::int64_t widest = 1;  // greatest static dim of the result
};

// Greatest static dim; 1 where there is none.
std::int64_t widest_dim(const Shape& shape);

// Whether a scatter into this shape is one in memory, where a backend can (scatter_rows.h).
bool is_worth_scattering(const Shape& result);

Order reduction_order(const ReductionShape& shape);

}  // namespace netc
