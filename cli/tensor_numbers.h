// The tensors of a weights file as numbers: what they are like, where they are not finite, how two differ.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/files/safetensors.h"

namespace netc {

// In double precision, over the finite ones. The deviation is of the numbers themselves (divided by their
// count, not one less).
struct NumberSummary {
    std::int64_t count = 0, nan = 0, infinite = 0;
    double mean = 0, deviation = 0, min = 0, max = 0;

    std::int64_t finite() const { return count - nan - infinite; }
};
NumberSummary summarize(DType dtype, std::span<const std::byte> bytes);

// Over elements at the same place; of tensors of one shape. Two NaN are the same, a NaN and a number
// differ by NaN.
struct NumberDifference {
    double max_abs = 0, rms = 0;
    bool same_bits = false;
};
NumberDifference difference_of(const Safetensors& a, const Safetensors::Tensor& first,
                               const Safetensors& b, const Safetensors::Tensor& second);

// "3 NaN, 1 infinite"; empty where all numbers are finite.
std::string not_finite_text(const NumberSummary& summary);

// A sentence for each tensor that holds something else than finite numbers.
std::vector<std::string> not_finite_tensors(const Safetensors& weights, const std::string& path);

// "f32[2, 3]"
std::string type_text(const Safetensors::Tensor& tensor);

// A name from a file that others wrote, without what could move a terminal's cursor.
std::string shown_name(std::string_view name);

}  // namespace netc
