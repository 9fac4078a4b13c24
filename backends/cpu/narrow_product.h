// Steps of sums that multiply two narrow numbers, widened first: what processors have instructions for.
#pragma once

#include <optional>

#include "ir/scalar.h"

namespace netc {

// state + a b, of bf16 in f32 by one fma, or of bytes in i32.
struct NarrowProduct {
    ScalarId a = kNoScalar, b = kNoScalar;            // narrow
    ScalarId wide_a = kNoScalar, wide_b = kNoScalar;  // the same, widened
    std::int64_t in_word = 2;                         // of them in 32 bits: 2 of bf16, 4 bytes
};

std::optional<NarrowProduct> narrow_product(const ScalarGraph& scalars, ScalarId step);

}  // namespace netc
