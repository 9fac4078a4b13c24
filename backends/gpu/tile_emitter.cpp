// See the header. Points beyond the edge are brought as copies of the last one and not stored. The last steps of a
// sum that is no multiple of the tile are counted out, or are zeros where a matrix unit takes whole tiles; a term
// that a guard forbids is a product with zero.
#include "backends/gpu/tile_emitter.h"

#include <algorithm>

#include "backends/scalar_ops.h"

namespace netc {

Result<GpuLaunch> TileEmitter::emit(const std::string& name) {
    a_ = {.value = how_.a,
          .numbering = &how_.m,
          .guards = &how_.guards_a,
          .block = how_.block_m,
          .per_thread = how_.thread_m,
          .along_k = how_.a_along_k};
    b_ = {.value = how_.b,
          .numbering = &how_.n,
          .guards = &how_.guards_b,
          .block = how_.block_n,
          .per_thread = how_.thread_n,
          .along_k = how_.b_along_k};
    // Two blocks of 256 threads hide more of each other than registers for one would, if both have enough: 64 sums and
    // the places of two plain matrices fit 128, not more.
    bool plain = reduction_.order.kind == OrderKind::sequential && how_.batch.inner.empty() &&
                 how_.batch.outer.empty();
    for (Operand* operand : {&a_, &b_}) {
        find_runs(*operand);
        // Copies of four bytes have an address each, many if both operands are brought by them.
        const bool rows = operand->numbering->inner.size() + operand->numbering->outer.size() == 1;
        const bool other = operand == &b_ && a_.copy_bytes == 4;
        plain = plain && operand->guards->empty() && !operand->wide.empty() &&
                (operand->copy_bytes != 4 || (rows && !other));
    }
    begin(name, how_.threads(),
          !plain || how_.warpgroups || (by_matrices() && how_.threads() <= 128),
          how_.tensors.size());
    thread_ = ops_.thread(builder_);
    plan(a_);
    plan(b_);
    plan_ring();
    find_thread();
    find_block();
    if (how_.tensors.empty()) {
        find_elements(a_);
        find_elements(b_);
    }
    for (std::size_t k = 1; k < reduction_.axes.size(); ++k)
        rest_ *= *static_extent(reduction_.axes[k]);

    const Values start = identity(reduction_);
    const auto count = static_cast<std::size_t>(how_.thread_m * how_.thread_n);
    for (std::size_t k = 0; k < count; ++k) {
        sums_.push_back(variable(start[0]->getType(), "sum"));
        builder_.CreateStore(start[0], sums_.back());
    }
    llvm::Value* extent = extent_value(extent_of(reduction_.axes[0]));
    if (!how_.tensors.empty()) {
        sum_by_producer(number(0), builder_.CreateMul(extent, number(rest_)));
        return finish_launch(name);
    }
    if (!in_leaves()) {
        sum_range(number(0), builder_.CreateMul(extent, number(rest_)));
    } else {
        const std::vector<llvm::AllocaInst*> parts = sums_;
        std::vector<llvm::AllocaInst*> totals;
        for (std::size_t k = 0; k < count; ++k) {
            totals.push_back(variable(start[0]->getType(), "total"));
            builder_.CreateStore(start[0], totals.back());
        }
        loop(number(0), leaf_count(reduction_), number(1), [&](llvm::Value* leaf) {
            for (llvm::AllocaInst* part : parts) builder_.CreateStore(start[0], part);
            llvm::Value* from = builder_.CreateMul(leaf, number(reduction_.order.leaf));
            llvm::Value* end = builder_.CreateAdd(from, number(reduction_.order.leaf));
            end = builder_.CreateSelect(builder_.CreateICmpSLT(end, extent), end, extent);
            sum_range(builder_.CreateMul(from, number(rest_)),
                      builder_.CreateMul(end, number(rest_)));
            llvm::Value* first = builder_.CreateICmpEQ(leaf, number(0));
            for (std::size_t k = 0; k < count; ++k) {
                llvm::Value* part = load_variable(parts[k]);
                const Values merged = merge(reduction_, {load_variable(totals[k])}, {part});
                builder_.CreateStore(builder_.CreateSelect(first, part, merged[0]), totals[k]);
            }
        });
        sums_ = totals;
    }
    store_results();
    return finish_launch(name);
}

Result<GpuLaunch> TileEmitter::finish_launch(const std::string& name) {
    if (Status status = finish(); !status) return status.error();
    GpuLaunch launch{name, how_.threads(), slots_ * slot_bytes_ + phase_bytes_, how_.grid()};
    for (const TileTensor& tensor : how_.tensors) launch.tensors.push_back(tensor.view);
    return launch;
}

// Where the results of this thread begin in the tile.
void TileEmitter::find_thread() {
    if (by_matrices()) return find_matrices();
    const std::int64_t across = how_.block_n / how_.thread_n;
    a_.thread = builder_.CreateNUWMul(divide(thread_, across, true),
                                      number(std::min(how_.thread_m, kFragment)));
    b_.thread = builder_.CreateNUWMul(modulo(thread_, across, true),
                                      number(std::min(how_.thread_n, kFragment)));
}

// Which tile this block has, and the coordinates of the axes that both operands have.
void TileEmitter::find_block() {
    llvm::Value* block = ops_.block(builder_);
    const auto split_off = [&](llvm::Value* count) {
        llvm::Value* value = builder_.CreateURem(block, count);
        block = builder_.CreateUDiv(block, count);
        return value;
    };
    for (Operand* operand : {&b_, &a_}) {
        const Numbering& numbering = *operand->numbering;
        llvm::Value* points = number(numbering.inner_points);
        if (!numbering.outer.empty()) {
            const Digit& digit = numbering.outer[0];
            llvm::Value* units =
                divide(builder_.CreateAdd(extent_value(digit.extent), number(digit.scale - 1)),
                       digit.scale, true);
            points = builder_.CreateMul(units, points);
        }
        operand->count = points;
        llvm::Value* blocks =
            divide(builder_.CreateAdd(points, number(operand->block - 1)), operand->block, true);
        operand->first = builder_.CreateMul(split_off(blocks), number(operand->block));
    }
    for (std::size_t k = how_.batch.inner.size(); k-- > 0;) {
        const Digit& digit = how_.batch.inner[k];
        coordinate_[digit.axis] = split_off(number(digit.count));
    }
    for (std::size_t k = how_.batch.outer.size(); k-- > 0;) {
        const Digit& digit = how_.batch.outer[k];
        llvm::Value* extent = extent_value(digit.extent);
        llvm::Value* value = split_off(
            divide(builder_.CreateAdd(extent, number(digit.scale - 1)), digit.scale, true));
        if (digit.scale > 1) {
            value = builder_.CreateAdd(builder_.CreateMul(value, number(digit.scale)),
                                       coordinate_[digit.axis]);
            llvm::Value* exists = builder_.CreateICmpULT(value, extent);
            active_ = both(active_, exists);
            value = builder_.CreateSelect(exists, value, builder_.CreateSub(extent, number(1)));
        }
        coordinate_[digit.axis] = value;
    }
}

// Coordinates of a point by its number, which exists up to the rounding to sixteen samples.
void TileEmitter::set_point(const Numbering& numbering, llvm::Value* point) {
    for (std::size_t k = numbering.inner.size(); k-- > 0;) {
        const Digit& digit = numbering.inner[k];
        if (k == 0 && numbering.outer.empty()) {
            coordinate_[digit.axis] = point;
            return;
        }
        coordinate_[digit.axis] = modulo(point, digit.count, true);
        point = divide(point, digit.count, true);
    }
    if (numbering.outer.empty()) return;
    const Digit& digit = numbering.outer[0];
    if (digit.scale == 1) {
        coordinate_[digit.axis] = point;
        return;
    }
    llvm::Value* value = builder_.CreateNSWAdd(builder_.CreateNSWMul(point, number(digit.scale)),
                                               coordinate_[digit.axis]);
    llvm::Value* last = builder_.CreateSub(extent_value(digit.extent), number(1));
    coordinate_[digit.axis] =
        builder_.CreateSelect(builder_.CreateICmpSLT(value, last), value, last);
}

// Of the results of a thread along one operand: the number's place in the tile, less that of the thread. Runs of
// neighbours are apart by what all threads together cover, so that a warp's loads lie side by side.
std::int64_t TileEmitter::point_of(const Operand& operand, std::int64_t which) const {
    if (by_matrices())
        return &operand == &a_ ? which / 2 * 16 + which % 2 * 8 : which / 2 * 8 + which % 2;
    const std::int64_t run = std::min(operand.per_thread, kFragment);
    return which / run * (operand.block / operand.per_thread * run) + which % run;
}

TileEmitter::Values TileEmitter::fragment(const Operand& operand, llvm::Value* slot,
                                          llvm::Value* step) {
    const std::int64_t run = std::min(operand.per_thread, kFragment);
    const auto bytes = static_cast<std::uint64_t>(operand.bytes);
    Values values;
    for (std::int64_t from = 0; from < operand.per_thread; from += run) {
        llvm::Value* point = builder_.CreateNUWAdd(operand.thread, number(point_of(operand, from)));
        llvm::Value* place = shared_place(operand, slot, {point, step});
        if (run == 1) {
            values.push_back(ops_.load_shared(builder_, operand.type, place, llvm::Align(bytes)));
            continue;
        }
        auto* type = llvm::FixedVectorType::get(operand.type, static_cast<unsigned>(run));
        llvm::Value* vector = ops_.load_shared(
            builder_, type, place,
            llvm::Align(std::min<std::uint64_t>(bytes * static_cast<std::uint64_t>(run), 16)));
        for (std::int64_t k = 0; k < run; ++k)
            values.push_back(builder_.CreateExtractElement(vector, static_cast<std::uint64_t>(k)));
    }
    return values;
}

void TileEmitter::multiply_step(llvm::Value* slot, llvm::Value* step) {
    const Values a = fragment(a_, slot, step);
    const Values b = fragment(b_, slot, step);
    for (std::size_t m = 0; m < a.size(); ++m) {
        for (std::size_t n = 0; n < b.size(); ++n) {
            llvm::AllocaInst* sum = sums_[m * b.size() + n];
            llvm::Value* product = builder_.CreateIntrinsic(
                llvm::Intrinsic::fma, {sum->getAllocatedType()}, {a[m], b[n], load_variable(sum)});
            builder_.CreateStore(product, sum);
        }
    }
}

// `steps` of the tiles in this slot; null: all of them.
void TileEmitter::multiply(llvm::Value* slot, llvm::Value* steps) {
    if (how_.warpgroups) return multiply_by_warpgroups(slot);
    if (by_matrices()) return multiply_by_matrices(slot);
    if (steps != nullptr) {
        return loop(number(0), steps, number(1),
                    [&](llvm::Value* step) { multiply_step(slot, step); });
    }
    for (std::int64_t step = 0; step < how_.block_k; ++step) multiply_step(slot, number(step));
}

void TileEmitter::store_results() {
    const Values before = coordinate_;
    std::vector<Values> places_n;
    Values exist_n;
    const auto points = [&](const Operand& operand, std::vector<Values>& places, Values& exist) {
        for (std::int64_t k = 0; k < operand.per_thread; ++k) {
            llvm::Value* point = builder_.CreateNSWAdd(
                builder_.CreateNSWAdd(operand.first, operand.thread), number(point_of(operand, k)));
            exist.push_back(exists(operand, point));
            coordinate_ = before;
            set_point(*operand.numbering, point);
            places.push_back(coordinate_);
        }
    };
    std::vector<Values> places_m;
    Values exist_m;
    points(a_, places_m, exist_m);
    points(b_, places_n, exist_n);
    const Stage& stage = kernel_.stages[0];
    llvm::Value* const active = active_;
    for (std::size_t m = 0; m < places_m.size(); ++m) {
        // What is read for a row that does not exist might lie outside.
        if_then(both(active, exist_m[m]), [&] {
            for (std::size_t n = 0; n < places_n.size(); ++n) {
                if_then(exist_n[n], [&] {
                    coordinate_ = before;
                    for (const auto& [places, numbering] :
                         {std::pair{&places_m[m], &how_.m}, std::pair{&places_n[n], &how_.n}}) {
                        for (const auto* digits : {&numbering->outer, &numbering->inner})
                            for (const Digit& digit : *digits)
                                coordinate_[digit.axis] = (*places)[digit.axis];
                    }
                    set_state({load_variable(sums_[m * places_n.size() + n])});
                    store_all(stage, nullptr);
                });
            }
        });
    }
    coordinate_ = before;
}

// Whether the point with this number is one of the kernel's.
llvm::Value* TileEmitter::exists(const Operand& operand, llvm::Value* point) {
    const Numbering& numbering = *operand.numbering;
    if (!numbering.outer.empty() && numbering.outer[0].scale > 1) {
        // Sixteen samples side by side: the last group may not be full.
        const Digit& digit = numbering.outer[0];
        llvm::Value* sample = builder_.CreateAdd(
            builder_.CreateMul(divide(point, numbering.inner_points, true), number(digit.scale)),
            modulo(point, digit.scale, true));
        return builder_.CreateICmpULT(sample, extent_value(digit.extent));
    }
    if (numbering.outer.empty() && numbering.inner_points % operand.block == 0) return nullptr;
    return builder_.CreateICmpULT(point, operand.count);
}

llvm::Value* TileEmitter::load_local(std::uint32_t, llvm::Value*) {
    fail("a local of a contraction");
    return number(0);
}
void TileEmitter::store_local(std::uint32_t, llvm::Value*, llvm::Value*) {
    fail("a local of a contraction");
}

}  // namespace netc
