// Sums that the members of a team share, and the memory between them.
#include "backends/gpu/team_emitter.h"

#include <algorithm>

#include "backends/scalar_ops.h"

namespace netc {

// Elements from one team's to the next's where members are neighbours: those of two teams in a warp meet other banks.
std::int64_t TeamEmitter::padded(std::int64_t size) const {
    return how_.members_fastest && size >= 32 ? (size + 31) / 32 * 32 + kLanes : size;
}

llvm::Value* TeamEmitter::shared_address(std::int64_t start, std::int64_t size, llvm::Value* offset,
                                         llvm::Type* type) {
    // One team's elements lie together where its members are neighbours, else those of all teams.
    llvm::Value* place =
        how_.members_fastest
            ? builder_.CreateAdd(builder_.CreateMul(slot_, number(padded(size))), offset)
            : builder_.CreateAdd(builder_.CreateMul(offset, number(slots_)), slot_);
    llvm::Value* base = builder_.CreateConstInBoundsGEP1_64(
        builder_.getInt8Ty(), ops_.shared(builder_), static_cast<std::uint64_t>(start));
    return builder_.CreateInBoundsGEP(type, base, place);
}

llvm::Value* TeamEmitter::scratch(const Reduction& reduction, std::size_t state,
                                  llvm::Value* member) {
    const std::int64_t parts =
        reduction.order.kind == OrderKind::lanes ? static_cast<std::int64_t>(kLanes) : how_.team;
    const std::int64_t start =
        scratch_start_ + static_cast<std::int64_t>(state) * parts * slots_ * 8;
    return shared_address(start, parts, member,
                          value_type(context_, reduction.states[state].dtype));
}

void TeamEmitter::reduce_together(const Stage& stage) {
    const Reduction& reduction = *stage.reduction;
    std::vector<llvm::AllocaInst*> sums = variables(identity(reduction), "sum");
    if (reduction.order.kind == OrderKind::lanes) {
        share_lanes(reduction, sums);
    } else {
        share_leaves(reduction, sums);
    }
    if_then(builder_.CreateICmpEQ(member_, number(0)), [&] {
        set_state(values_of(sums));
        store_all(stage, active_);
    });
}

// A lane for each of sixteen members; pairs 8, 4, 2, 1 apart are merged.
void TeamEmitter::share_lanes(const Reduction& reduction, std::vector<llvm::AllocaInst*>& sums) {
    const auto set = [&](const Values& values) {
        for (std::size_t k = 0; k < sums.size(); ++k) builder_.CreateStore(values[k], sums[k]);
    };
    const auto align = [&](std::size_t k) {
        return llvm::Align(static_cast<std::uint64_t>(size_of(reduction.states[k].dtype)));
    };
    if (how_.team < kLanes) {  // too few terms for it to matter
        return if_then(builder_.CreateICmpEQ(member_, number(0)), [&] { set(reduce(reduction)); });
    }
    const auto below = [&](std::int64_t members) -> llvm::Value* {
        if (members >= how_.team) return nullptr;
        return builder_.CreateICmpULT(member_, number(members));
    };
    if_then(below(kLanes), [&] { set(reduce_lane(reduction, member_)); });
    if (lanes_in_warp()) return set(merge_lanes(reduction, values_of(sums), member_));
    for (std::int64_t half = kLanes / 2; half > 0; half /= 2) {
        // The upper half gives, the lower half takes.
        llvm::Value* gives = builder_.CreateAnd(builder_.CreateICmpUGE(member_, number(half)),
                                                builder_.CreateICmpULT(member_, number(2 * half)));
        if_then(gives, [&] {
            const Values values = values_of(sums);
            for (std::size_t k = 0; k < sums.size(); ++k)
                ops_.store_shared(builder_, values[k], scratch(reduction, k, member_), align(k));
        });
        ops_.barrier(builder_);
        if_then(below(half), [&] {
            Values right;
            for (std::size_t k = 0; k < sums.size(); ++k) {
                llvm::Value* other = builder_.CreateAdd(member_, number(half));
                right.push_back(ops_.load_shared(builder_, sums[k]->getAllocatedType(),
                                                 scratch(reduction, k, other), align(k)));
            }
            set(merge(reduction, values_of(sums), right));
        });
    }
    // The next that uses the scratch may come before all have read it.
    ops_.barrier(builder_);
}

// A leaf for each member, as often as needed; the first member merges them from left to right.
void TeamEmitter::share_leaves(const Reduction& reduction, std::vector<llvm::AllocaInst*>& totals) {
    const auto align = [&](std::size_t k) {
        return llvm::Align(static_cast<std::uint64_t>(size_of(reduction.states[k].dtype)));
    };
    llvm::Value* count = leaf_count(reduction);
    loop(number(0), count, number(how_.team), [&](llvm::Value* first) {
        llvm::Value* leaf = builder_.CreateAdd(first, member_);
        if_then(builder_.CreateICmpSLT(leaf, count), [&] {
            const Values part = reduce_leaf(reduction, nullptr, leaf);
            for (std::size_t k = 0; k < part.size(); ++k)
                ops_.store_shared(builder_, part[k], scratch(reduction, k, member_), align(k));
        });
        ops_.barrier(builder_);
        if_then(builder_.CreateICmpEQ(member_, number(0)), [&] {
            llvm::Value* left = builder_.CreateSub(count, first);
            llvm::Value* parts = builder_.CreateSelect(
                builder_.CreateICmpSLT(left, number(how_.team)), left, number(how_.team));
            loop(number(0), parts, number(1), [&](llvm::Value* part) {
                Values right;
                for (std::size_t k = 0; k < totals.size(); ++k)
                    right.push_back(ops_.load_shared(builder_, totals[k]->getAllocatedType(),
                                                     scratch(reduction, k, part), align(k)));
                const Values merged = merge(reduction, values_of(totals), right);
                llvm::Value* starts =
                    builder_.CreateICmpEQ(builder_.CreateAdd(first, part), number(0));
                for (std::size_t k = 0; k < totals.size(); ++k)
                    builder_.CreateStore(builder_.CreateSelect(starts, right[k], merged[k]),
                                         totals[k]);
            });
        });
        ops_.barrier(builder_);
    });
}

llvm::Value* TeamEmitter::own_local(std::uint32_t local, llvm::Value* offset) {
    const auto start = static_cast<std::int64_t>(tile_point_) * local_size(local);
    return builder_.CreateInBoundsGEP(memory_type(context_, kernel_.locals[local].dtype),
                                      own_locals_[local],
                                      builder_.CreateAdd(offset, number(start)));
}

llvm::Value* TeamEmitter::load_local(std::uint32_t local, llvm::Value* offset) {
    const DType dtype = kernel_.locals[local].dtype;
    llvm::Type* type = memory_type(context_, dtype);
    llvm::Value* value = nullptr;
    if (alone()) {
        value = builder_.CreateLoad(type, own_local(local, offset));
    } else {
        value = ops_.load_shared(
            builder_, type, shared_address(local_start_[local], local_size(local), offset, type),
            llvm::Align(static_cast<std::uint64_t>(size_of(dtype))));
    }
    return dtype == DType::b1 ? builder_.CreateTrunc(value, builder_.getInt1Ty()) : value;
}

void TeamEmitter::store_local(std::uint32_t local, llvm::Value* offset, llvm::Value* value) {
    const DType dtype = kernel_.locals[local].dtype;
    llvm::Type* type = memory_type(context_, dtype);
    if (dtype == DType::b1) value = builder_.CreateZExt(value, type);
    if (alone()) {
        builder_.CreateStore(value, own_local(local, offset));
        return;
    }
    ops_.store_shared(builder_, value,
                      shared_address(local_start_[local], local_size(local), offset, type),
                      llvm::Align(static_cast<std::uint64_t>(size_of(dtype))));
}

}  // namespace netc
