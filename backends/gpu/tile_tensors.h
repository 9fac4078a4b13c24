// Operands of a tiled sum whose tiles are boxes of a tensor in memory, which the device copies by itself
// (cp.async.bulk.tensor): the operand is a plain read, its place in memory is a sum of multiples of axes, and
//
//     a[m, k]    m: points of one dimension, or of several whose elements are evenly apart       one dimension
//                k: steps, likewise                                                               one dimension
//                batch, and axes that a tile does not walk                                        one each
//
// Beyond the end of a dimension a copy brings zeros: behind the last step of the sum, and where a guard fails that
// bounds one dimension, as those of a sum's parts and of a window's padding do.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "backends/gpu/gpu_code.h"
#include "backends/gpu/team_schedule.h"
#include "ir/kernel.h"

namespace netc {

struct TileTensor {
    GpuTensor view;
    std::vector<Index>
        at;  // by dim of the view: where the tile begins, at its first point and step
    std::int64_t bytes() const;  // of a copy
};

// One operand of a tile.
struct TiledOperand {
    ScalarId value = kNoScalar;
    const Numbering* points = nullptr;
    const std::vector<Guard>* guards = nullptr;
    std::int64_t block = 0, block_k = 0;  // points and steps of a tile
    bool along_k = false;                 // steps lie side by side, else points
};

// Nothing where tiles are no boxes, or no copy brings them: it wants strides of whole chunks of 16 bytes, each a
// multiple of the one before, and five dimensions at most.
std::optional<TileTensor> tile_tensor(const Kernel& kernel, const TiledOperand& operand,
                                      const Numbering& batch);

}  // namespace netc
