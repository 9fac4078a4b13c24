// Tiles in shared memory: a ring of slots, each of which has the tiles of both operands for some steps of the sum,
// and what goes on while those of one slot are multiplied.
//
//     step k     wait for the copies of step k; barrier: all see them, and what was kept, and none reads an older slot
//                begin the copies of step k + ahead, into a slot that nobody reads any more
//                load what has to be computed before it is kept, for step k + 1
//                multiply the tiles of step k
//                keep what was loaded, in the slot of step k + 1
//
// One barrier a step. With nothing to copy two slots do. Products by warpgroups go on until the step behind: they
// want one slot more.
#include "backends/gpu/tile_emitter.h"

#include <algorithm>

#include "backends/scalar_ops.h"

namespace netc {
namespace {

// Bytes a row of a swizzled tile has at most; of the patterns that eight such rows are.
constexpr std::int64_t kRowBytes = 128;
constexpr std::int64_t kPattern = 8 * kRowBytes;
constexpr std::int64_t kChunk = 16;

// As many slots as there is memory for, up to these: small tiles of warpgroups are multiplied before the next ones are
// there.
constexpr std::int64_t kSlots = 4, kPlainSlots = 3, kSlotsOfWarpgroups = 6;
// A block may have so much shared memory on every device from sm_80 on, and on sm_90 (CUDA C++ Programming Guide,
// "Technical Specifications per Compute Capability").
constexpr std::int64_t kShared = 99 * 1024, kSharedOfWarpgroups = 227 * 1024;
constexpr std::int64_t kPhasesOfSlot = 16;  // bytes of its barriers, see tile_producer.cpp

std::int64_t round_to(std::int64_t value, std::int64_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

}  // namespace

void TileEmitter::plan(Operand& operand) {
    const DType dtype = kernel_.scalars.type(operand.value);
    operand.type =
        how_.unit == MatrixUnit::tf32 ? builder_.getInt32Ty() : value_type(context_, dtype);
    operand.bytes = size_of(dtype);
    operand.start = slot_bytes_;
    if (!by_matrices()) {
        operand.pitch = operand.block + kPad;
        slot_bytes_ += round_to(how_.block_k * operand.pitch * operand.bytes, kChunk);
        return;
    }
    // Two halves to a word either way, tf32 only along the sum.
    operand.rows_are_points = operand.along_k || operand.bytes == 4;
    const std::int64_t across = operand.rows_are_points ? how_.block_k : operand.block;
    operand.row_bytes = std::min(across * operand.bytes, kRowBytes);
    slot_bytes_ += round_to(operand.block * how_.block_k * operand.bytes, kPattern);
}

void TileEmitter::plan_ring() {
    const std::int64_t least = how_.warpgroups ? 3 : 2;
    slots_ = least;
    if (how_.tensors.empty() && a_.copy_bytes + b_.copy_bytes == 0) return;
    std::int64_t shared = kShared;
    if (how_.warpgroups) {
        shared = how_.shares_multiprocessor(batch_hint_) ? kSharedOfWarpgroups / 2 - 1024
                                                         : kSharedOfWarpgroups;
    }
    const std::int64_t wanted = how_.warpgroups ? kSlotsOfWarpgroups
                                : by_matrices() ? kSlots
                                                : kPlainSlots;
    if (!how_.tensors.empty()) shared -= wanted * kPhasesOfSlot;
    slots_ = std::clamp(shared / slot_bytes_, least, wanted);
    ahead_ = how_.warpgroups ? slots_ - 2 : slots_ - 1;
}

llvm::Value* TileEmitter::slot_behind(llvm::Value* slot, std::int64_t steps) {
    llvm::Value* next = builder_.CreateNUWAdd(slot, number(steps));
    return builder_.CreateSelect(builder_.CreateICmpUGE(next, number(slots_)),
                                 builder_.CreateSub(next, number(slots_)), next);
}

llvm::Value* TileEmitter::tile_start(const Operand& operand, llvm::Value* slot) {
    llvm::Value* offset = builder_.CreateNUWMul(slot, number(slot_bytes_));
    if (operand.start > 0) offset = builder_.CreateNUWAdd(offset, number(operand.start));
    return builder_.CreateInBoundsGEP(builder_.getInt8Ty(), ops_.shared(builder_),
                                      builder_.CreateZExt(offset, builder_.getInt64Ty()));
}

llvm::Value* TileEmitter::shared_place(const Operand& operand, llvm::Value* slot,
                                       const InTile& at) {
    llvm::Value* offset = nullptr;
    if (by_matrices()) {
        offset = swizzled_place(operand, at);
    } else {
        llvm::Value* row = builder_.CreateNUWMul(at.step, number(operand.pitch));
        offset = builder_.CreateNUWMul(builder_.CreateNUWAdd(row, at.point), number(operand.bytes));
    }
    return builder_.CreateInBoundsGEP(builder_.getInt8Ty(), tile_start(operand, slot),
                                      builder_.CreateZExt(offset, builder_.getInt64Ty()));
}

// Eight rows of up to 128 bytes are a pattern in which the chunks of 16 bytes of a column lie in different banks:
// bits 4 and up of a place are combined with its bits 7 and up by exclusive or, as the swizzled layouts of wgmma have
// it (PTX ISA, "Shared Memory Matrix Layout"). What does not fit a row is another matrix of all rows, behind the
// first.
llvm::Value* TileEmitter::swizzled_place(const Operand& operand, const InTile& at) {
    llvm::Value* row = operand.rows_are_points ? at.point : at.step;
    llvm::Value* column = operand.rows_are_points ? at.step : at.point;
    const std::int64_t more_rows = operand.rows_are_points ? at.more_points : at.more_steps;
    const std::int64_t more =
        (operand.rows_are_points ? at.more_steps : at.more_points) * operand.bytes;
    const std::int64_t rows = operand.rows_are_points ? operand.block : how_.block_k;
    const std::int64_t width = operand.row_bytes;
    row = builder_.CreateNUWMul(row, number(width));
    column = builder_.CreateNUWMul(column, number(operand.bytes));
    llvm::Value* bits =
        builder_.CreateAnd(builder_.CreateShl(builder_.CreateLShr(row, number(7)), number(4)),
                           number((width / kChunk - 1) * kChunk));
    llvm::Value* in_row = builder_.CreateXor(builder_.CreateXor(modulo(column, width, true), bits),
                                             number(more % width));
    llvm::Value* matrix = builder_.CreateNUWMul(divide(column, width, true), number(rows * width));
    return builder_.CreateNUWAdd(builder_.CreateNUWAdd(builder_.CreateNUWAdd(row, in_row), matrix),
                                 number(more_rows * width + more / width * rows * width));
}

// Until this thread's copies of a step are there, but for those of `pending` steps behind it, and all threads know.
void TileEmitter::meet(std::int64_t pending) {
    if (ahead_ > 0) ops_.wait_for_copies(builder_, static_cast<unsigned>(pending));
    if (how_.warpgroups) ops_.fence_shared(builder_);
    ops_.barrier(builder_);
}

// Adds the terms from `from` to `to` to the sums.
void TileEmitter::sum_range(llvm::Value* from, llvm::Value* to) {
    // Matrix units take whole tiles: what is beyond the end is zeros.
    llvm::Value* length = builder_.CreateSub(to, from);
    if (by_matrices()) length = builder_.CreateAdd(length, number(how_.block_k - 1));
    llvm::Value* whole =
        builder_.CreateMul(divide(length, how_.block_k, true), number(how_.block_k));
    llvm::Value* tail = builder_.CreateAdd(from, whole);
    const auto copy_both = [&](llvm::Value* slot, llvm::Value* k) {
        if_then(builder_.CreateICmpSLT(k, to), [&] {
            for (Operand* operand : {&a_, &b_})
                if (operand->copy_bytes > 0) copy(*operand, slot, k, to);
        });
        ops_.commit_copies(builder_);
    };
    const auto bring_both = [&](llvm::Value* k) {
        std::array<Values, 2> values;
        if (a_.copy_bytes == 0) values[0] = bring(a_, k, to);
        if (b_.copy_bytes == 0) values[1] = bring(b_, k, to);
        return values;
    };
    const auto keep_both = [&](const std::array<Values, 2>& values, llvm::Value* slot) {
        if (a_.copy_bytes == 0) keep(a_, values[0], slot);
        if (b_.copy_bytes == 0) keep(b_, values[1], slot);
    };
    for (std::int64_t step = 0; step < ahead_; ++step)
        copy_both(number(step), builder_.CreateAdd(from, number(step * how_.block_k)));
    keep_both(bring_both(from), number(0));
    llvm::AllocaInst* now = variable(builder_.getInt32Ty(), "slot");
    builder_.CreateStore(number(0), now);
    const auto step = [&](llvm::Value* k) {
        meet(ahead_ - 1);
        llvm::Value* slot = load_variable(now);
        if (ahead_ > 0)
            copy_both(slot_behind(slot, ahead_),
                      builder_.CreateAdd(k, number(ahead_ * how_.block_k)));
        // What goes on beside the thread is begun before it waits for memory, what the thread does itself behind.
        if (how_.warpgroups) multiply(slot, nullptr);
        const auto next = bring_both(builder_.CreateAdd(k, number(how_.block_k)));
        if (!how_.warpgroups) multiply(slot, nullptr);
        llvm::Value* behind = slot_behind(slot, 1);
        keep_both(next, behind);
        builder_.CreateStore(behind, now);
    };
    if (how_.warpgroups) {
        // Sums that no product gave must not meet those of products that go on: the assembler would end each before
        // the next.
        if_then(builder_.CreateICmpSLT(from, tail), [&] {
            loop(from, tail, number(how_.block_k), step);
            wait_for_products(0);
        });
        return;
    }
    loop(from, tail, number(how_.block_k), step);
    const auto* fixed = llvm::dyn_cast<llvm::ConstantInt>(builder_.CreateSub(to, tail));
    if (!by_matrices() && (fixed == nullptr || !fixed->isZero())) {
        meet(0);
        multiply(load_variable(now), builder_.CreateSub(to, tail));
    }
    // The first tiles of the next range go into slots that may still be read.
    if (in_leaves()) ops_.barrier(builder_);
}

}  // namespace netc
