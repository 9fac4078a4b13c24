// Tiles that the device copies by itself, by warpgroups that share the work out by its kind. Each slot of the ring has two
// barriers in shared memory:
//
//     producer    step k     wait until the slot is empty; expect the bytes of both tiles in `full`; begin their copies
//     consumers   step k     wait until the slot is full; begin the products of step k
//                            wait for the products of step k - 1; arrive at `empty` of their slot
//
// One thread produces: copies need neither its registers nor its arithmetic. No barrier of the block is passed behind
// the start, so consumers are as far apart as the slots allow.
#include "backends/gpu/tile_emitter.h"

namespace netc {
namespace {

constexpr std::int64_t kPhaseBytes = 8;
constexpr int kWarp = 32;

}  // namespace

// The slot's barrier: behind all tiles there are two of each.
llvm::Value* TileEmitter::phase_of(llvm::Value* slot, Phase which) {
    llvm::Value* offset = builder_.CreateNUWAdd(
        builder_.CreateNUWMul(slot, number(2 * kPhaseBytes)),
        number(slots_ * slot_bytes_ + (which == Phase::full ? 0 : kPhaseBytes)));
    return builder_.CreateInBoundsGEP(builder_.getInt8Ty(), ops_.shared(builder_),
                                      builder_.CreateZExt(offset, builder_.getInt64Ty()));
}

void TileEmitter::init_phases() {
    phase_bytes_ = slots_ * 2 * kPhaseBytes;
    if_then(builder_.CreateICmpEQ(thread_, number(0)), [&] {
        for (std::int64_t slot = 0; slot < slots_; ++slot) {
            ops_.init_phases(builder_, phase_of(number(slot), Phase::full), 1);
            // A thread of each warp: its wait for products is its warp's.
            ops_.init_phases(builder_, phase_of(number(slot), Phase::empty),
                             static_cast<unsigned>(how_.multiplying() / kWarp));
        }
        ops_.fence_shared(builder_);
    });
    ops_.barrier(builder_);
}

TileEmitter::Turn TileEmitter::first_turn(std::int64_t parity) {
    const Turn turn{variable(builder_.getInt32Ty(), "slot"),
                    variable(builder_.getInt32Ty(), "parity")};
    builder_.CreateStore(number(0), turn.slot);
    builder_.CreateStore(number(parity), turn.parity);
    return turn;
}
void TileEmitter::next_turn(const Turn& turn) {
    llvm::Value* next = slot_behind(load_variable(turn.slot), 1);
    llvm::Value* parity = load_variable(turn.parity);
    llvm::Value* around = builder_.CreateICmpEQ(next, number(0));
    builder_.CreateStore(next, turn.slot);
    builder_.CreateStore(
        builder_.CreateSelect(around, builder_.CreateXor(parity, number(1)), parity), turn.parity);
}

// Adds the terms from `from` to `to` to the sums and stores the results, where this thread has any.
void TileEmitter::sum_by_producer(llvm::Value* from, llvm::Value* to) {
    init_phases();
    if_then_else(
        builder_.CreateICmpUGE(thread_, number(how_.multiplying())), [&] { produce(from, to); },
        [&] {
            consume(from, to);
            store_results();
        });
}

void TileEmitter::produce(llvm::Value* from, llvm::Value* to) {
    std::int64_t bytes = 0;
    for (const Operand* operand : {&a_, &b_})
        bytes += operand->block * how_.block_k * operand->bytes;
    if_then(builder_.CreateICmpEQ(thread_, number(how_.multiplying())), [&] {
        const Turn turn = first_turn(1);  // slots are empty at the start
        loop(from, to, number(how_.block_k), [&](llvm::Value* k) {
            llvm::Value* slot = load_variable(turn.slot);
            llvm::Value* full = phase_of(slot, Phase::full);
            ops_.wait_for_phase(builder_, phase_of(slot, Phase::empty), load_variable(turn.parity));
            ops_.arrive_and_expect(builder_, full, bytes);
            for (const Operand* operand : {&a_, &b_}) copy_tile(*operand, slot, k, to);
            next_turn(turn);
        });
    });
}

// Begins copies of the operand's tile that begins with the k-th term. Rows that are longer than those of the swizzle are
// several boxes, one behind the other.
void TileEmitter::copy_tile(const Operand& operand, llvm::Value* slot, llvm::Value* k,
                            llvm::Value* limit) {
    const std::size_t which = &operand == &a_ ? 0 : 1;
    const TileTensor& tensor = how_.tensors[which];
    const Values before = coordinate_;
    set_point(*operand.numbering, operand.first);
    set_step(k, limit, 1);
    Values at;
    for (const Index& index : tensor.at) at.push_back(index_value(index));
    coordinate_ = before;
    const std::int64_t bytes = operand.block * how_.block_k * operand.bytes;
    llvm::Value* const along = at[0];
    for (std::int64_t copied = 0; copied < bytes; copied += tensor.bytes()) {
        at[0] =
            builder_.CreateAdd(along, number(copied / tensor.bytes() * tensor.view.dims[0].box));
        llvm::Value* place = builder_.CreateInBoundsGEP(builder_.getInt8Ty(),
                                                        tile_start(operand, slot), number(copied));
        ops_.copy_box(builder_, place, tensor_map(which), at, phase_of(slot, Phase::full));
    }
}

void TileEmitter::consume(llvm::Value* from, llvm::Value* to) {
    // As in sum_range(): sums that no product gave must not meet those of products that go on.
    if_then(builder_.CreateICmpSLT(from, to), [&] {
        const Turn turn = first_turn(0);
        llvm::AllocaInst* last = variable(builder_.getInt32Ty(), "last");
        builder_.CreateStore(number(0), last);
        loop(from, to, number(how_.block_k), [&](llvm::Value* k) {
            llvm::Value* slot = load_variable(turn.slot);
            ops_.wait_for_phase(builder_, phase_of(slot, Phase::full), load_variable(turn.parity));
            multiply(slot, nullptr);
            llvm::Value* leads = builder_.CreateICmpEQ(modulo(thread_, kWarp, true), number(0));
            if_then(both(leads, builder_.CreateICmpNE(k, from)),
                    [&] { ops_.arrive(builder_, phase_of(load_variable(last), Phase::empty)); });
            builder_.CreateStore(slot, last);
            next_turn(turn);
        });
        wait_for_products(0);
    });
}

}  // namespace netc
