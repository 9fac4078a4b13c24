// weight_below on this machine: by sorting, where the kernel compares every element with every other.
//
// The sum of a kernel has an order, which sorting does not keep; but sums of whole and half numbers are exact in
// any order as long as they stay small. So the result has the kernel's bits, or is left to the kernel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "ir/archive.h"
#include "ir/kernel.h"

namespace netc {

// A kernel that does nothing else: which params it reads and writes, dense vectors of this extent.
struct RankingPlan {
    bool is_one = false;
    std::uint32_t values = 0, weights = 0, result = 0;
    Extent count;
    DType dtype = DType::f32;
};
RankingPlan ranking_of(const Kernel& kernel);

// False, and nothing is written, where the kernel has to run: few elements, or weights that are no whole
// numbers.
bool run_ranking(const RankingPlan& plan, std::span<std::byte* const> params, std::int64_t batch);

template <class Archive>
void archive_fields(Archive& archive, RankingPlan& plan) {
    archive(plan.is_one, plan.values, plan.weights, plan.result, plan.count.per_batch,
            plan.count.constant, plan.dtype);
}

}  // namespace netc
