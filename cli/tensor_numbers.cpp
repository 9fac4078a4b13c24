#include "cli/tensor_numbers.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "runtime/data/convert.h"

namespace netc {
namespace {

template <class Visit>
void visit_numbers(DType dtype, std::span<const std::byte> bytes, Visit&& visit) {
    const auto size = static_cast<std::size_t>(size_of(dtype));
    for (std::size_t at = 0; at + size <= bytes.size(); at += size)
        visit(load_number(dtype, bytes.data() + at));
}

// Every command that loads weights asks: at the speed of memory for what they nearly always are.
bool all_finite(DType dtype, std::span<const std::byte> bytes) {
    bool finite = true;
    if (dtype == DType::f32) {
        for (std::size_t at = 0; at + 4 <= bytes.size(); at += 4) {
            std::uint32_t bits = 0;
            std::memcpy(&bits, bytes.data() + at, 4);
            finite &= (bits & 0x7f800000u) != 0x7f800000u;
        }
    } else {
        visit_numbers(dtype, bytes, [&](double value) { finite &= std::isfinite(value); });
    }
    return finite;
}

}  // namespace

// Two passes, so that a large mean does not eat a small deviation.
NumberSummary summarize(DType dtype, std::span<const std::byte> bytes) {
    NumberSummary s;
    double sum = 0;
    double low = std::numeric_limits<double>::infinity(), high = -low;
    visit_numbers(dtype, bytes, [&](double value) {
        ++s.count;
        if (std::isnan(value)) {
            ++s.nan;
        } else if (std::isinf(value)) {
            ++s.infinite;
        } else {
            sum += value;
            low = std::min(low, value);
            high = std::max(high, value);
        }
    });
    if (s.finite() == 0) return s;
    s.min = low;
    s.max = high;
    const auto count = static_cast<double>(s.finite());
    s.mean = sum / count;
    double squares = 0;
    visit_numbers(dtype, bytes, [&](double value) {
        if (std::isfinite(value)) squares += (value - s.mean) * (value - s.mean);
    });
    s.deviation = std::sqrt(squares / count);
    return s;
}

NumberDifference difference_of(const Safetensors& a, const Safetensors::Tensor& first,
                               const Safetensors& b, const Safetensors::Tensor& second) {
    const std::span<const std::byte> x = a.data(first), y = b.data(second);
    NumberDifference result;
    result.same_bits = first.dtype == second.dtype && std::ranges::equal(x, y);
    if (result.same_bits) return result;
    const auto step_x = static_cast<std::size_t>(size_of(first.dtype));
    const auto step_y = static_cast<std::size_t>(size_of(second.dtype));
    const std::size_t count = x.size() / step_x;
    double squares = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const double p = load_number(first.dtype, x.data() + i * step_x);
        const double q = load_number(second.dtype, y.data() + i * step_y);
        if (p == q || (std::isnan(p) && std::isnan(q))) continue;
        const double distance = std::abs(p - q);
        // max() would drop a NaN.
        if (!(distance <= result.max_abs)) result.max_abs = distance;
        squares += distance * distance;
        if (std::isnan(distance)) break;
    }
    result.rms = std::sqrt(squares / static_cast<double>(std::max<std::size_t>(count, 1)));
    return result;
}

std::string not_finite_text(const NumberSummary& summary) {
    std::string text;
    if (summary.nan > 0) text = fmt::format("{} NaN", summary.nan);
    if (summary.infinite > 0)
        text += fmt::format("{}{} infinite", text.empty() ? "" : ", ", summary.infinite);
    return text;
}

std::vector<std::string> not_finite_tensors(const Safetensors& weights, const std::string& path) {
    std::vector<std::string> sentences;
    for (const Safetensors::Tensor& tensor : weights.tensors) {
        if (!is_float(tensor.dtype) || all_finite(tensor.dtype, weights.data(tensor))) continue;
        const NumberSummary summary = summarize(tensor.dtype, weights.data(tensor));
        const std::string text = not_finite_text(summary);
        if (text.empty()) continue;
        sentences.push_back(fmt::format("{}: `{}` holds numbers that are not finite: {} of {}",
                                        path, shown_name(tensor.name), text, summary.count));
    }
    return sentences;
}

std::string type_text(const Safetensors::Tensor& tensor) {
    return fmt::format("{}[{}]", name_of(tensor.dtype), fmt::join(tensor.shape, ", "));
}

std::string shown_name(std::string_view name) {
    std::string text(name);
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    }
    return text;
}

}  // namespace netc
