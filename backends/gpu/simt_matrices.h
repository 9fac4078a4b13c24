// What instructions of matrices do, on the emulator: how PTX shares matrices out among the threads of a warp or of a
// warpgroup, and how descriptors say where they lie in shared memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace netc {

// ldmatrix.x4: the row of 16 bytes that each of 32 threads names, the four words of each.
void load_matrices(const std::vector<const std::byte*>& rows, bool transposed,
                   const std::vector<std::uint32_t*>& words);

// mma.m16n8k16 of bf16, mma.m16n8k8 of tf32: words 0..3 of one matrix, 4 and 5 of the other, 6..9 the sums of each of
// 32 threads. The sum runs from the first term to the last, in f32.
void multiply_matrices(bool bf16, const std::vector<std::uint32_t*>& words);

// A matrix as a descriptor says it. Its elements lie in the chunks of 16 bytes that `chunks` gets the numbers of.
class DescribedMatrix {
public:
    DescribedMatrix(const std::byte* shared, std::uint64_t descriptor, bool bf16, bool across)
        : shared_(shared), descriptor_(descriptor), bf16_(bf16), across_(across) {}
    std::string wrong() const;  // with the descriptor; empty: nothing
    // Of the matrix whose sum runs over `k`; `point`: a row of a, a column of b.
    std::size_t place(std::size_t point, std::size_t k) const;
    float element(std::size_t point, std::size_t k) const;
    void add_chunks(std::size_t points, std::vector<std::uint32_t>& chunks) const;
    std::size_t depth() const { return bf16_ ? 16 : 8; }

private:
    std::size_t field(unsigned from) const { return (descriptor_ >> from & 0x3fff) << 4; }
    std::size_t row_bytes() const;  // of a row of the swizzled pattern
    std::size_t element_bytes() const { return bf16_ ? 2 : 4; }

    const std::byte* shared_;
    std::uint64_t descriptor_;
    bool bf16_, across_;
};
// wgmma: 64 x k times k x columns, k being 16 for bf16, 8 for tf32; the sums of each of 128 threads.
void multiply_warpgroup(const DescribedMatrix& a, const DescribedMatrix& b, std::size_t columns,
                        const std::vector<float*>& sums);

}  // namespace netc
