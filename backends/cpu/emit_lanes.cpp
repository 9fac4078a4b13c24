// Vectors from and to places that lie apart, and vectors of which some lanes are not there: one instruction where the processor
// has it, else element by element. LLVM would make a branch for each lane that a mask may leave out; here such a lane reads a
// zero, or writes to a place that nobody reads, and nothing branches.
#include <cstdlib>

#include "backends/cpu/kernel_emitter.h"
#include "backends/scalar_ops.h"

namespace netc {
namespace {

std::int64_t bytes_of(llvm::Type* vector) {
    return static_cast<std::int64_t>(vector->getScalarSizeInBits() / 8);
}

llvm::Align aligned(llvm::Type* vector) {
    return llvm::Align(static_cast<std::uint64_t>(bytes_of(vector)));
}

bool is_constant(const llvm::Value* condition, bool value) {
    const auto* constant = llvm::dyn_cast<llvm::ConstantInt>(condition);
    return constant != nullptr && constant->isOne() == value;
}

}  // namespace

// vgatherdps, vscatterdps and their like. (AVX2 has gathers that are no faster than loads one by one.)
bool KernelEmitter::has_gathers(std::int64_t size) const { return machine_.avx512 && size >= 4; }

bool KernelEmitter::has_masks(std::int64_t size) const {
    return machine_.avx512 || (machine_.avx2 && size >= 4);
}

// A vector of zeros for what is not there to be read from.
llvm::Value* KernelEmitter::zeros() {
    if (zeros_ == nullptr) {
        auto* longest = llvm::FixedVectorType::get(builder_.getInt64Ty(), kLanes);
        zeros_ = allocate(kLanes * 8, "zeros");
        llvm::IRBuilderBase::InsertPointGuard guard(builder_);
        builder_.SetInsertPoint(entry_, std::next(entry_->begin()));
        builder_.CreateAlignedStore(llvm::Constant::getNullValue(longest), zeros_, llvm::Align(64));
    }
    return zeros_;
}

// Where lanes write that are not there.
llvm::Value* KernelEmitter::unread() {
    if (unread_ == nullptr) unread_ = allocate(kLanes * 8, "unread");
    return unread_;
}

llvm::Value* KernelEmitter::lane_address(llvm::Value* base, const Linear& bytes,
                                         std::int64_t lane) {
    Linear here = bytes;
    here.constant += lane * bytes.lane;
    here.lane = 0;
    here.vector = nullptr;
    llvm::Value* address = arithmetic_.address(base, here);
    if (bytes.vector == nullptr) return address;
    return builder_.CreatePtrAdd(
        address, builder_.CreateExtractElement(bytes.vector, static_cast<std::uint64_t>(lane)));
}

// The place of each lane that may be there: its own, or `idle` where the mask leaves the lane out.
void KernelEmitter::for_each_lane(
    llvm::Value* base, const Linear& bytes, llvm::Value* mask,
    llvm::function_ref<llvm::Value*()> idle,
    llvm::function_ref<void(std::uint64_t lane, llvm::Value* place)> body) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
        llvm::Value* there = mask == nullptr ? nullptr : arithmetic_.lane_of(mask, lane);
        if (there != nullptr && is_constant(there, false)) continue;
        llvm::Value* place = lane_address(base, bytes, lane);
        if (there != nullptr && !is_constant(there, true))
            place = builder_.CreateSelect(there, place, idle());
        body(static_cast<std::uint64_t>(lane), place);
    }
}

llvm::Value* KernelEmitter::lane_addresses(llvm::Value* base, const Linear& bytes) {
    Linear varying;
    varying.lane = bytes.lane;
    varying.vector = bytes.vector;
    llvm::Value* lanes = nullptr;
    if (bytes.vector == nullptr && std::abs(bytes.lane) < (std::int64_t{1} << 26)) {
        llvm::SmallVector<llvm::Constant*, 16> offsets;
        for (std::int64_t i = 0; i < kLanes; ++i)
            offsets.push_back(builder_.getInt32(static_cast<std::uint32_t>(i * bytes.lane)));
        lanes = llvm::ConstantVector::get(offsets);
    } else {
        lanes = arithmetic_.vector(varying);
    }
    return builder_.CreateGEP(builder_.getInt8Ty(), arithmetic_.address(base, bytes), lanes);
}

// Sixteen elements anywhere; zeros in lanes for which the mask does not hold.
llvm::Value* KernelEmitter::gather(llvm::Value* base, const Linear& bytes,
                                   llvm::FixedVectorType* vector, llvm::Value* mask) {
    llvm::Value* values = llvm::Constant::getNullValue(vector);
    if (has_gathers(bytes_of(vector)))
        return builder_.CreateMaskedGather(vector, lane_addresses(base, bytes), aligned(vector),
                                           mask, values);
    if (mask == nullptr) values = llvm::PoisonValue::get(vector);
    for_each_lane(
        base, bytes, mask, [&] { return zeros(); },
        [&](std::uint64_t lane, llvm::Value* place) {
            llvm::Value* value =
                builder_.CreateAlignedLoad(vector->getElementType(), place, aligned(vector));
            values = builder_.CreateInsertElement(values, value, lane);
        });
    return values;
}

void KernelEmitter::scatter(llvm::Value* base, const Linear& bytes, llvm::Value* values,
                            llvm::Value* mask) {
    llvm::Type* vector = values->getType();
    if (has_gathers(bytes_of(vector))) {
        builder_.CreateMaskedScatter(values, lane_addresses(base, bytes), aligned(vector), mask);
        return;
    }
    for_each_lane(
        base, bytes, mask, [&] { return unread(); },
        [&](std::uint64_t lane, llvm::Value* place) {
            builder_.CreateAlignedStore(builder_.CreateExtractElement(values, lane), place,
                                        aligned(vector));
        });
}

// Sixteen elements side by side, or those for which the mask holds.
llvm::Value* KernelEmitter::load_side_by_side(llvm::Value* base, const Linear& bytes,
                                              llvm::FixedVectorType* vector, llvm::Value* mask) {
    if (mask != nullptr && !llvm::isa<llvm::Constant>(mask) && !has_masks(bytes_of(vector)))
        return gather(base, bytes, vector, mask);
    llvm::Value* place = arithmetic_.address(base, bytes);
    if (mask == nullptr) return builder_.CreateAlignedLoad(vector, place, aligned(vector));
    return builder_.CreateMaskedLoad(vector, place, aligned(vector), mask,
                                     llvm::Constant::getNullValue(vector));
}

void KernelEmitter::store_side_by_side(llvm::Value* base, const Linear& bytes, llvm::Value* values,
                                       llvm::Value* mask) {
    llvm::Type* vector = values->getType();
    if (mask != nullptr && !llvm::isa<llvm::Constant>(mask) && !has_masks(bytes_of(vector)))
        return scatter(base, bytes, values, mask);
    llvm::Value* place = arithmetic_.address(base, bytes);
    if (mask == nullptr) {
        builder_.CreateAlignedStore(values, place, aligned(vector));
    } else {
        builder_.CreateMaskedStore(values, place, aligned(vector), mask);
    }
}

}  // namespace netc
