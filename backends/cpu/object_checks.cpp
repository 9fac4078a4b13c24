// What the public functions of an object refuse: regions, weights, batches and indices that do not fit, processors that
// lack what the code uses.
#include <map>
#include <string_view>

#include <llvm/MC/MCSubtargetInfo.h>

#include "backends/cpu/machine.h"
#include "backends/cpu/object_function_emitter.h"
#include "ir/region_hash.h"
#include "ir/slots.h"

namespace netc {

// Leaves with `code` where the condition holds.
void ObjectFunctions::refuse_if(llvm::Value* condition, ObjectStatus code) {
    llvm::BasicBlock* bad = block("refuse");
    llvm::BasicBlock* good = block("go_on");
    b_.CreateCondBr(condition, bad, good);
    b_.SetInsertPoint(bad);
    b_.CreateRet(status(code));
    b_.SetInsertPoint(good);
}

llvm::Value* ObjectFunctions::is_misaligned(llvm::Value* region) {
    llvm::Value* bits = b_.CreatePtrToInt(region, b_.getInt64Ty());
    return b_.CreateICmpNE(b_.CreateAnd(bits, number(kAlignment - 1)), number(0));
}
void ObjectFunctions::check_region(llvm::Value* region) {
    refuse_if(b_.CreateOr(b_.CreateICmpEQ(region, null()), is_misaligned(region)),
              ObjectStatus::align);
}
// A workspace of no bytes may be null.
void ObjectFunctions::check_workspace(llvm::Value* region, const Bytes& size) {
    const bool needed = size.constant + size.per_16 + size.per_sample > 0;
    if (needed) check_region(region);
}
void ObjectFunctions::check_hash(llvm::Value* region, RegionKind kind) {
    llvm::Value* hash = b_.CreateLoad(b_.getInt64Ty(), region);
    refuse_if(b_.CreateICmpNE(hash, b_.getInt64(hash_of(kind))), ObjectStatus::weights);
}
// `forward` does not ask for the processor, so what another one prepared is not for it.
std::uint64_t ObjectFunctions::hash_of(RegionKind kind) const {
    return region_hash(program_, kind, machine_.cpu + machine_.features);
}
void ObjectFunctions::check_batch(llvm::Value* batch) {
    refuse_if(b_.CreateICmpEQ(batch, number(0)), ObjectStatus::batch);
}
// A rate by a schedule in epochs, whose number of steps neither the caller, nor a call before, nor training said.
void ObjectFunctions::check_epoch(llvm::Value* optimizer, llvm::Value* hyper) {
    const VariablePlace* slot = steps_per_epoch_slot(program_);
    if (slot == nullptr) return;
    llvm::Value* rate = b_.CreateLoad(b_.getFloatTy(), hyper_field(hyper, kHyperRate));
    llvm::Value* given = b_.CreateLoad(b_.getInt64Ty(), hyper_field(hyper, kHyperStepsPerEpoch));
    llvm::Value* known = b_.CreateLoad(b_.getInt64Ty(), hyper_field(optimizer, slot->offset));
    llvm::Value* none = b_.CreateICmpEQ(b_.CreateOr(given, known), number(0));
    refuse_if(b_.CreateAnd(b_.CreateFCmpUNO(rate, rate), none), ObjectStatus::epoch);
}
void ObjectFunctions::check_extents(const Entry& entry, llvm::Value* batch) {
    const auto at = [&](const Extent& extent) {
        return b_.CreateAdd(b_.CreateMul(batch, number(extent.per_batch)), number(extent.constant));
    };
    for (const Entry::EqualExtents& each : entry.equal_extents) {
        refuse_if(b_.CreateICmpNE(at(each.found), at(each.wanted)), ObjectStatus::batch);
    }
}

// Labels and other index inputs, before anything is written.
void ObjectFunctions::check_indices(const Entry& entry, const std::vector<llvm::Value*>& inputs,
                                    llvm::Value* batch) {
    for (const Entry::IndexRange& range : entry.index_ranges) {
        const EntryArgument& input = entry.inputs[range.input];
        llvm::Value* count = number(1);
        for (const Extent& dim : input.dims) {
            count = b_.CreateMul(count, b_.CreateAdd(b_.CreateMul(batch, number(dim.per_batch)),
                                                     number(dim.constant)));
        }
        llvm::Type* type = b_.getIntNTy(static_cast<unsigned>(8 * size_of(input.dtype)));
        llvm::BasicBlock* before = b_.GetInsertBlock();
        llvm::BasicBlock* loop = block("check");
        llvm::BasicBlock* bad = block("bad_index");
        llvm::BasicBlock* next = block("next");
        llvm::BasicBlock* done = block("checked");
        b_.CreateCondBr(b_.CreateICmpEQ(count, number(0)), done, loop);
        b_.SetInsertPoint(loop);
        llvm::PHINode* i = b_.CreatePHI(b_.getInt64Ty(), 2);
        i->addIncoming(number(0), before);
        llvm::Value* element =
            b_.CreateAlignedLoad(type, b_.CreateGEP(type, inputs[range.input], i),
                                 llvm::Align(static_cast<std::uint64_t>(size_of(input.dtype))));
        llvm::Value* wide = input.dtype == DType::u8
                                ? b_.CreateZExtOrTrunc(element, b_.getInt64Ty())
                                : b_.CreateSExtOrTrunc(element, b_.getInt64Ty());
        llvm::Value* outside = b_.CreateICmpUGE(wide, number(range.limit));  // negative is large
        if (range.ignored != 0)
            outside = b_.CreateAnd(outside, b_.CreateICmpNE(wide, number(range.ignored)));
        for (const Entry::IndexRange::Part& part : range.parts) {
            if (part == Entry::IndexRange::Part{}) continue;
            llvm::Value* place =
                b_.CreateURem(b_.CreateUDiv(i, number(part.inner)), number(part.extent));
            place = b_.CreateSub(place, number(part.begin));
            outside = b_.CreateAnd(outside, b_.CreateICmpULT(place, number(part.end - part.begin)));
        }
        b_.CreateCondBr(outside, bad, next);
        b_.SetInsertPoint(bad);
        b_.CreateRet(status(ObjectStatus::index));
        b_.SetInsertPoint(next);
        llvm::Value* following = b_.CreateAdd(i, number(1));
        i->addIncoming(following, next);
        b_.CreateCondBr(b_.CreateICmpULT(following, count), loop, done);
        b_.SetInsertPoint(done);
    }
}

// That the system keeps the registers of AVX as well. Tiles are used on purpose only, the rest wherever LLVM likes.
std::vector<X86Feature> ObjectFunctions::needed_features() const {
    if (!machine_.x86) return {};
    std::vector<X86Feature> features{{"osxsave", 1, 0, 2, 27}};
    const auto target = make_target_machine(machine_);
    if (!target) return features;  // then no code is made at all
    for (const X86Feature& feature : asked_features(*(*target)->getMCSubtargetInfo())) {
        if (uses_tiles_ || !std::string_view(feature.name).starts_with("amx-"))
            features.push_back(feature);
    }
    return features;
}
// Whether this processor, or its system, lacks what the object was compiled for.
llvm::Value* ObjectFunctions::cpu_is_missing() {
    auto* registers =
        llvm::StructType::get(b_.getInt32Ty(), b_.getInt32Ty(), b_.getInt32Ty(), b_.getInt32Ty());
    auto* cpuid = llvm::InlineAsm::get(
        llvm::FunctionType::get(registers, {b_.getInt32Ty(), b_.getInt32Ty()}, false), "cpuid",
        "={ax},={bx},={cx},={dx},{ax},{cx},~{dirflag},~{fpsr},~{flags}", true);
    llvm::Value* missing = b_.getFalse();
    std::map<std::pair<std::uint32_t, std::uint32_t>, llvm::Value*> pages;
    for (const X86Feature& feature : needed_features()) {
        llvm::Value*& page = pages[feature.page()];
        if (page == nullptr) {
            page = b_.CreateCall(cpuid, {b_.getInt32(feature.leaf), b_.getInt32(feature.subleaf)});
        }
        llvm::Value* word = b_.CreateExtractValue(page, feature.position);
        llvm::Value* bit = b_.CreateAnd(word, b_.getInt32(1u << feature.bit));
        missing = b_.CreateOr(missing, b_.CreateICmpEQ(bit, b_.getInt32(0)));
    }
    if (uses_tiles_) missing = b_.CreateOr(missing, tiles_are_refused());
    return missing;
}

// Asks Linux for the tiles of AMX, which a process may not use before; asking again costs a call of the system.
// Other systems with AMX are not known.
llvm::Value* ObjectFunctions::tiles_are_refused() {
    auto* type = llvm::FunctionType::get(
        b_.getInt64Ty(), {b_.getInt64Ty(), b_.getInt64Ty(), b_.getInt64Ty()}, false);
    auto* system = llvm::InlineAsm::get(
        type, "syscall", "={ax},{ax},{di},{si},~{rcx},~{r11},~{memory},~{dirflag},~{fpsr},~{flags}",
        true);
    constexpr std::int64_t kArchPrctl = 158;
    llvm::Value* result =
        b_.CreateCall(system, {number(kArchPrctl), number(kRequestPermission), number(kTileData)});
    return b_.CreateICmpNE(result, number(0));
}

}  // namespace netc
