// Products of tiles by the device's matrix units.
#include "backends/gpu/tile_emitter.h"

namespace netc {

// Words of a tile that a product of 16 x 8 takes from this thread, of `rows` rows 8 apart, from this step on.
TileEmitter::Values TileEmitter::matrix_words(const Operand& operand, llvm::Value* buffer,
                                              std::int64_t row, std::int64_t rows,
                                              std::int64_t step) {
    const std::int64_t a_word = how_.unit == MatrixUnit::bf16 ? 2 : 1;  // elements
    Values words;
    for (std::int64_t half = 0; half < 2; ++half) {
        for (std::int64_t k = 0; k < rows; ++k) {
            llvm::Value* at = builder_.CreateNUWAdd(
                builder_.CreateNUWMul(in_group_, number(a_word)), number(step + half * 4 * a_word));
            llvm::Value* point = builder_.CreateNUWAdd(operand.words, number(row + k * 8));
            words.push_back(ops_.load_shared(builder_, builder_.getInt32Ty(),
                                             shared_place(operand, buffer, at, point),
                                             llvm::Align(4)));
        }
    }
    return words;
}

void TileEmitter::multiply_by_matrices(llvm::Value* buffer) {
    const std::int64_t depth = how_.unit == MatrixUnit::bf16 ? 16 : 8;
    const auto rows = static_cast<std::size_t>(how_.warp_m() / 16);
    const auto columns = static_cast<std::size_t>(how_.warp_n() / 8);
    for (std::int64_t step = 0; step < how_.block_k; step += depth) {
        std::vector<Values> a, b;
        for (std::size_t m = 0; m < rows; ++m)
            a.push_back(matrix_words(a_, buffer, static_cast<std::int64_t>(m) * 16, 2, step));
        for (std::size_t n = 0; n < columns; ++n)
            b.push_back(matrix_words(b_, buffer, static_cast<std::int64_t>(n) * 8, 1, step));
        for (std::size_t m = 0; m < rows; ++m) {
            for (std::size_t n = 0; n < columns; ++n) {
                std::array<llvm::AllocaInst*, 4> places{};
                Values before;
                for (std::size_t k = 0; k < 4; ++k) {  // two rows, two columns
                    places[k] = sums_[(2 * m + k / 2) * 2 * columns + 2 * n + k % 2];
                    before.push_back(load_variable(places[k]));
                }
                const auto sums = ops_.multiply_matrices(builder_, how_.unit, a[m], b[n], before);
                for (std::size_t k = 0; k < 4; ++k) builder_.CreateStore(sums[k], places[k]);
            }
        }
    }
}

}  // namespace netc
