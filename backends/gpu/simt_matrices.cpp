// See the header. Sections are those of the PTX ISA, by their titles: numbers move from version to version.
#include "backends/gpu/simt_matrices.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

namespace netc {
namespace {

float number_of(std::uint32_t bits) {
    float number;
    std::memcpy(&number, &bits, sizeof number);
    return number;
}

// The bits of f32 that tf32 has not are ignored: "Alternate Floating-Point Data Formats".
float tf32_of(std::uint32_t bits) { return number_of(bits & 0xffffe000); }

}  // namespace

// "Warp-level matrix load instruction: ldmatrix": thread t names row t % 8 of matrix t / 8; it gets elements 2 (t %
// 4) and the next one of row t / 4, or of column t / 4 with .trans.
void load_matrices(const std::vector<const std::byte*>& rows, bool transposed,
                   const std::vector<std::uint32_t*>& words) {
    for (std::size_t matrix = 0; matrix < 4; ++matrix) {
        for (std::size_t t = 0; t < words.size(); ++t) {
            std::uint16_t halves[2];
            for (std::size_t k = 0; k < 2; ++k) {
                const std::size_t along = t % 4 * 2 + k, other = t / 4;
                const std::size_t row = transposed ? along : other;
                const std::size_t column = transposed ? other : along;
                std::memcpy(&halves[k], rows[matrix * 8 + row] + column * sizeof halves[k],
                            sizeof halves[k]);
            }
            words[t][matrix] = halves[0] | static_cast<std::uint32_t>(halves[1]) << 16;
        }
    }
}

// "Matrix Fragments for mma.m16n8k8" and "mma.m16n8k16 with floating point type".
void multiply_matrices(bool bf16, const std::vector<std::uint32_t*>& words) {
    const std::size_t depth = bf16 ? 16 : 8;
    const auto element = [&](std::size_t group, std::size_t k, bool upper, std::size_t from) {
        // `group`: row of the first matrix, column of the second, modulo 8.
        const std::size_t half = depth / 2;
        const std::size_t thread = group * 4 + (bf16 ? k % half / 2 : k % half);
        const std::size_t word = from + (from == 0 ? 2 : 1) * (k / half) + (upper ? 1 : 0);
        const std::uint32_t bits = words[thread][word];
        if (!bf16) return tf32_of(bits);
        return number_of(k % 2 == 0 ? bits << 16 : bits & 0xffff0000);
    };
    for (std::size_t row = 0; row < 16; ++row) {
        for (std::size_t column = 0; column < 8; ++column) {
            std::uint32_t& place = words[row % 8 * 4 + column / 2][6 + row / 8 * 2 + column % 2];
            float sum = number_of(place);
            for (std::size_t k = 0; k < depth; ++k)
                sum = std::fma(element(row % 8, k, row >= 8, 0), element(column, k, false, 4), sum);
            std::memcpy(&place, &sum, sizeof sum);
        }
    }
}

// "Matrix Descriptor Format": bits 62 and 63 are 1 for a swizzle of 128 bytes, 2 for 64, 3 for 32.
std::size_t DescribedMatrix::row_bytes() const {
    const auto mode = static_cast<unsigned>(descriptor_ >> 62);
    return mode == 0 ? 16 : std::size_t{256} >> mode;
}

std::string DescribedMatrix::wrong() const {
    if (descriptor_ >> 62 == 0) return "a descriptor without a swizzle, which nobody makes here";
    // "Matrix base offset": 0 where patterns begin at multiples of 1024, 512 or 256 bytes.
    if ((descriptor_ >> 49 & 7) != 0) return "a descriptor with a base offset";
    if ((descriptor_ & (std::uint64_t{3} << 14 | std::uint64_t{3} << 30 | std::uint64_t{7} << 46 |
                        std::uint64_t{0x3ff} << 52)) != 0)
        return "a descriptor with bits in fields that are none";
    // "wgmma.mma_async": imm-trans-a and imm-trans-b are for .f16 and .bf16.
    if (across_ && !bf16_) return "a product of tf32 whose sum does not run along memory";
    return {};
}

// "Shared Memory Matrix Layout" and "Major-ness supported by Strides": 8 rows make a pattern, in which bits 4 and up
// of an address, which name a chunk of 16 bytes, are combined with bits 7 and up by exclusive or.
//   along the sum   rows are points; patterns of 8 points are the stride dimension byte offset apart
//   across          rows are steps; patterns of 8 steps are the stride dimension byte offset apart, points
//                   beyond one row of a pattern the leading dimension byte offset
std::size_t DescribedMatrix::place(std::size_t point, std::size_t k) const {
    const std::size_t start = field(0), leading = field(16), stride = field(32);
    const std::size_t in_row = (across_ ? point : k) * element_bytes();
    const std::size_t row = across_ ? k : point;
    std::size_t at = start + row / 8 * stride + row % 8 * row_bytes();
    at += across_ ? in_row / row_bytes() * leading + in_row % row_bytes() : in_row;
    return at ^ ((at >> 7 & (row_bytes() / 16 - 1)) << 4);
}

float DescribedMatrix::element(std::size_t point, std::size_t k) const {
    const std::byte* at = shared_ + place(point, k);
    if (!bf16_) {
        std::uint32_t bits;
        std::memcpy(&bits, at, sizeof bits);
        return tf32_of(bits);
    }
    std::uint16_t bits;
    std::memcpy(&bits, at, sizeof bits);
    return number_of(static_cast<std::uint32_t>(bits) << 16);
}

void DescribedMatrix::add_chunks(std::size_t points, std::vector<std::uint32_t>& chunks) const {
    for (std::size_t point = 0; point < points; ++point)
        for (std::size_t k = 0; k < depth(); ++k)
            chunks.push_back(static_cast<std::uint32_t>(place(point, k) / 16));
    std::ranges::sort(chunks);
    chunks.erase(std::ranges::unique(chunks).begin(), chunks.end());
}

// "Register Fragments and Shared Memory Matrix Layouts": accumulator D of wgmma.m64nNk16 and m64nNk8.
void multiply_warpgroup(const DescribedMatrix& a, const DescribedMatrix& b, std::size_t columns,
                        const std::vector<float*>& sums) {
    std::vector<float> row(a.depth());
    std::vector<float> other(columns * b.depth());
    for (std::size_t column = 0; column < columns; ++column)
        for (std::size_t k = 0; k < b.depth(); ++k)
            other[column * b.depth() + k] = b.element(column, k);
    for (std::size_t m = 0; m < 64; ++m) {
        for (std::size_t k = 0; k < a.depth(); ++k) row[k] = a.element(m, k);
        for (std::size_t n = 0; n < columns; ++n) {
            float& sum =
                sums[m / 16 * 32 + m % 8 * 4 + n % 8 / 2][n / 8 * 4 + m % 16 / 8 * 2 + n % 2];
            for (std::size_t k = 0; k < row.size(); ++k)
                sum = std::fma(row[k], other[n * row.size() + k], sum);
        }
    }
}

}  // namespace netc
