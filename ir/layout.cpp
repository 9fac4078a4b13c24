// Sizes and strides of buffers.
#include "ir/layout.h"

#include <numeric>

#include "ir/kernel.h"

namespace netc {

Layout row_major(std::size_t rank) {
    Layout layout;
    layout.order.resize(rank);
    std::iota(layout.order.begin(), layout.order.end(), 0);
    return layout;
}

Layout batch_lanes(std::size_t rank) {
    Layout layout = row_major(rank);
    layout.lanes = true;
    return layout;
}

std::size_t spaced_position(const Layout& layout) {
    const std::size_t rank = layout.order.size();
    if (rank < 2) return rank;
    return layout.lanes ? 1 : rank - 2;
}

namespace {

// At most one of them depends on the batch: `verify` sees to it.
Extent times(Extent a, Extent b) { return a.is_static() ? b * a.constant : a * b.constant; }

}  // namespace

std::vector<Extent> strides(const Param& param) {
    const std::size_t rank = param.dims.size();
    std::vector<Extent> result(rank);
    const std::int64_t unit = param.layout.lanes ? kLanes : 1;
    Extent stride{0, unit};
    for (std::size_t k = rank; k-- > 0;) {
        const auto dim = static_cast<std::size_t>(param.layout.order[k]);
        if (k == spaced_position(param.layout))
            stride = stride + Extent{0, unit * param.layout.extra};
        result[dim] = stride;
        stride = times(stride, param.dims[dim]);
    }
    return result;
}

std::int64_t element_count(const Param& param, std::int64_t batch) {
    const std::size_t rank = param.dims.size();
    if (rank == 0) return 1;
    const auto outermost = static_cast<std::size_t>(param.layout.order[0]);
    std::int64_t count = param.dims[outermost].at(batch);
    if (param.layout.lanes) count = (count + kLanes - 1) / kLanes;
    return count * strides(param)[outermost].at(batch);
}

std::int64_t element_offset(const Param& param, const std::vector<std::int64_t>& index,
                            std::int64_t batch) {
    const std::vector<Extent> step = strides(param);
    std::int64_t offset = 0;
    for (std::size_t dim = 0; dim < index.size(); ++dim) {
        std::int64_t position = index[dim];
        if (dim == 0 && param.layout.lanes) {
            offset += position % kLanes;
            position /= kLanes;
        }
        offset += position * step[dim].at(batch);
    }
    return offset;
}

}  // namespace netc
