// Products of tiles by the device's matrix units: of warps (mma.sync), whose threads load what they multiply, or of
// warpgroups (wgmma), which read shared memory.
#include "backends/gpu/tile_emitter.h"

namespace netc {

// Warps share the tile out in rows of `across` of them. In its part a thread has results of two rows of each 16 and
// two columns of each 8 (PTX ISA, "Matrix Fragments for mma.m16n8k16", and accumulators of wgmma alike).
void TileEmitter::find_matrices() {
    llvm::Value* warp = divide(thread_, 32, true);
    llvm::Value* lane = modulo(thread_, 32, true);
    const std::int64_t across = how_.block_n / how_.warp_n();
    llvm::Value* m = builder_.CreateNUWMul(divide(warp, across, true), number(how_.warp_m()));
    llvm::Value* n = builder_.CreateNUWMul(modulo(warp, across, true), number(how_.warp_n()));
    a_.thread = builder_.CreateNUWAdd(m, divide(lane, 4, true));
    b_.thread = builder_.CreateNUWAdd(n, builder_.CreateNUWMul(modulo(lane, 4, true), number(2)));
    // Of four matrices: points 0..7 and 8..15 of the first half of the steps, then of the second.
    llvm::Value* row = modulo(lane, 8, true);
    llvm::Value* second = modulo(divide(lane, 8, true), 2, true);
    llvm::Value* half = divide(lane, 16, true);
    for (const auto& [operand, from] : {std::pair{&a_, m}, std::pair{&b_, n}}) {
        operand->matrix_point =
            builder_.CreateNUWAdd(from, builder_.CreateNUWMul(second, number(8)));
        operand->matrix_step = builder_.CreateNUWMul(half, number(depth() / 2));
        llvm::Value*& along =
            operand->rows_are_points ? operand->matrix_point : operand->matrix_step;
        along = builder_.CreateNUWAdd(along, row);
    }
}

// What this thread multiplies of 16 points of the operand, at the steps of one product: for points 0..7 and 8..15
// words of the first half of the steps, then of the second.
TileEmitter::Values TileEmitter::matrix_words(const Operand& operand, llvm::Value* slot,
                                              std::int64_t point, std::int64_t step) {
    llvm::Value* row =
        shared_place(operand, slot, {operand.matrix_point, operand.matrix_step, point, step});
    const auto words = ops_.load_matrices(builder_, row, !operand.rows_are_points);
    Values values(words.begin(), words.end());
    // What was brought as a value is rounded already.
    if (how_.unit == MatrixUnit::tf32 && operand.copy_bytes > 0)
        for (llvm::Value*& word : values) word = rounded_to_tf32(word);
    return values;
}

void TileEmitter::multiply_by_matrices(llvm::Value* slot) {
    const auto rows = static_cast<std::size_t>(how_.warp_m() / 16);
    const auto columns = static_cast<std::size_t>(how_.warp_n() / 8);
    for (std::int64_t step = 0; step < how_.block_k; step += depth()) {
        std::vector<Values> a, b;
        for (std::size_t m = 0; m < rows; ++m)
            a.push_back(matrix_words(a_, slot, static_cast<std::int64_t>(m) * 16, step));
        for (std::size_t n = 0; n < columns; n += 2) {
            const Values both = matrix_words(b_, slot, static_cast<std::int64_t>(n) * 8, step);
            b.push_back({both[0], both[2]});
            b.push_back({both[1], both[3]});
        }
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

// Of the matrix that begins at this point and step of the operand's tile. PTX ISA, "Matrix Descriptor Format": bits
// 0..13 are the address, 16..29 the leading dimension byte offset, 32..45 the stride dimension byte offset, each
// without its last four bits; 62 and 63 the swizzle, 1 for rows of 128 bytes, 2 for 64. The base offset is 0: tiles
// begin where patterns do. "Strides": eight rows are one stride dimension byte offset; with rows of steps, points
// that are beyond one row are one leading dimension byte offset behind it, which nothing else asks for.
llvm::Value* TileEmitter::descriptor(const Operand& operand, llvm::Value* slot, llvm::Value* point,
                                     std::int64_t step) {
    const auto encoded = [](std::int64_t bytes) { return static_cast<std::uint64_t>(bytes) >> 4; };
    const std::int64_t width = operand.row_bytes;
    const std::int64_t stride = 8 * width;
    const std::int64_t leading = operand.rows_are_points ? 16 : how_.block_k * width;
    const std::uint64_t swizzle = width == 128 ? 1 : 2;
    const std::uint64_t fixed = encoded(leading) << 16 | encoded(stride) << 32 | swizzle << 62;
    llvm::Value* address = ops_.shared_address(builder_, tile_start(operand, slot));
    // Whole rows, or matrices of them, from the start: but for the step nothing here is swizzled.
    llvm::Value* offset =
        operand.rows_are_points
            ? builder_.CreateNUWMul(point, number(width))
            : builder_.CreateNUWMul(divide(point, width / operand.bytes, true), number(leading));
    address = builder_.CreateNUWAdd(address, offset);
    address = builder_.CreateNUWAdd(
        address, number(step * (operand.rows_are_points ? operand.bytes : width)));
    return builder_.CreateOr(
        builder_.CreateZExt(builder_.CreateLShr(address, number(4)), builder_.getInt64Ty()),
        builder_.getInt64(fixed));
}

void TileEmitter::multiply_by_warpgroups(llvm::Value* slot) {
    llvm::Value* m = builder_.CreateNUWMul(divide(thread_, 128, true), number(64));
    Values a, b;
    for (std::int64_t step = 0; step < how_.block_k; step += depth()) {
        a.push_back(descriptor(a_, slot, m, step));
        b.push_back(descriptor(b_, slot, number(0), step));
    }
    const auto columns = static_cast<unsigned>(how_.block_n);
    const DeviceOps::WarpgroupProduct product{how_.unit, columns, !a_.rows_are_points,
                                              !b_.rows_are_points};
    store_registers(ops_.multiply_warpgroup(builder_, product, a, b, registers()));
    wait_for_products(1);
}

void TileEmitter::wait_for_products(unsigned pending) {
    store_registers(ops_.wait_for_products(builder_, registers(), pending));
}

// The sums in the order of an accumulator: of each 8 columns two of one row, two of the row 8 below.
TileEmitter::Values TileEmitter::registers() {
    Values values;
    for (std::size_t k = 0; k < sums_.size(); ++k)
        values.push_back(load_variable(sums_[number_of_register(k)]));
    return values;
}
void TileEmitter::store_registers(llvm::ArrayRef<llvm::Value*> values) {
    for (std::size_t k = 0; k < sums_.size(); ++k)
        builder_.CreateStore(values[k], sums_[number_of_register(k)]);
}
std::size_t TileEmitter::number_of_register(std::size_t k) const {
    return k / 2 % 2 * static_cast<std::size_t>(how_.thread_n) + k / 4 * 2 + k % 2;
}

}  // namespace netc
