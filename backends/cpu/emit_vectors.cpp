// Vectors from memory: loads of sixteen elements that lie side by side, two apart or across; transposing.
#include <algorithm>
#include <bit>
#include <cmath>

#include "backends/cpu/kernel_emitter.h"
#include "backends/scalar_ops.h"

namespace netc {
// Exchanges blocks of `distance` elements between vectors so far apart.
static void exchange(llvm::IRBuilder<>& builder, std::vector<llvm::Value*>& rows,
                     std::size_t distance) {
    llvm::SmallVector<int, 16> upper;
    llvm::SmallVector<int, 16> lower;
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
        const bool first = (lane & distance) == 0;
        upper.push_back(static_cast<int>(first ? lane : kLanes + lane - distance));
        lower.push_back(static_cast<int>(first ? lane + distance : kLanes + lane));
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if ((i & distance) != 0) continue;
        llvm::Value* x = rows[i];
        llvm::Value* y = rows[i + distance];
        rows[i] = builder.CreateShuffleVector(x, y, upper);
        rows[i + distance] = builder.CreateShuffleVector(x, y, lower);
    }
}

void transpose(llvm::IRBuilder<>& builder, std::vector<llvm::Value*>& rows) {
    for (std::size_t distance = kLanes / 2; distance > 0; distance /= 2)
        exchange(builder, rows, distance);
}

// Blocks no longer than the rows are exchanged: each vector then holds several rows side by side.
std::vector<llvm::Value*> rows_of_columns(llvm::IRBuilder<>& builder,
                                          const std::vector<llvm::Value*>& columns) {
    const std::size_t size = std::bit_ceil(columns.size());
    std::vector<llvm::Value*> blocks = columns;
    blocks.resize(size, llvm::PoisonValue::get(columns[0]->getType()));
    for (std::size_t distance = 1; distance < size; distance *= 2)
        exchange(builder, blocks, distance);
    std::vector<llvm::Value*> rows;
    for (std::size_t row = 0; row < kLanes; ++row) {
        llvm::SmallVector<int, 16> elements;
        for (std::size_t i = 0; i < columns.size(); ++i)
            elements.push_back(static_cast<int>(row / size * size + i));
        rows.push_back(builder.CreateShuffleVector(blocks[row % size], elements));
    }
    return rows;
}

// Sixteen elements two apart: of two vectors, the second of which begins with element 15, so that nothing behind the
// last one is read.
llvm::Value* KernelEmitter::load_every_other(llvm::Value* pointer, llvm::FixedVectorType* vector,
                                             llvm::Value* mask) {
    const llvm::Align align(4);
    llvm::Value* upper_pointer = builder_.CreateConstGEP1_64(vector->getElementType(), pointer, 15);
    llvm::SmallVector<int, 16> picked;
    llvm::SmallVector<int, 16> lower_mask;
    llvm::SmallVector<int, 16> upper_mask;
    for (int i = 0; i < 16; ++i) {
        picked.push_back(i < 8 ? 2 * i : 2 * i + 1);
        lower_mask.push_back(i % 2 == 0 ? i / 2 : 16);
        upper_mask.push_back(i % 2 == 1 ? 8 + i / 2 : 16);
    }
    const auto part = [&](llvm::Value* from, const llvm::SmallVector<int, 16>& lanes) {
        if (mask == nullptr)
            return static_cast<llvm::Value*>(builder_.CreateAlignedLoad(vector, from, align));
        llvm::Value* none = llvm::Constant::getNullValue(mask->getType());
        llvm::Value* there = builder_.CreateShuffleVector(mask, none, lanes);
        return static_cast<llvm::Value*>(builder_.CreateMaskedLoad(
            vector, from, align, there, llvm::Constant::getNullValue(vector)));
    };
    llvm::Value* lower = part(pointer, lower_mask);
    llvm::Value* upper = part(upper_pointer, upper_mask);
    return builder_.CreateShuffleVector(lower, upper, picked);
}

Element KernelEmitter::load(llvm::Value* base, const Linear& bytes, DType type, bool all_lanes,
                            llvm::Value* also) {
    llvm::Type* element = memory_type(context_, type);
    const std::int64_t size = size_of(type);
    llvm::Value* value = nullptr;
    if (bytes.is_scalar()) {
        value = builder_.CreateAlignedLoad(element, arithmetic_.address(base, bytes),
                                           llvm::Align(static_cast<std::uint64_t>(size)));
    } else {
        auto* vector = llvm::FixedVectorType::get(element, kLanes);
        llvm::Value* mask = all_lanes ? guard_mask_ : mask_here();
        if (also != nullptr) mask = mask == nullptr ? also : builder_.CreateAnd(mask, also);
        const bool affine = bytes.vector == nullptr;
        if (affine && bytes.lane == size) {
            value = load_side_by_side(base, bytes, vector, mask);
        } else if (mask == nullptr && is_part_of_word(type) && affine && bytes.lane == 4 &&
                   std::ranges::all_of(
                       bytes.terms, [](const LinearTerm& term) { return term.factor % 4 == 0; })) {
            value = load_part_of_words(base, bytes, element);
        } else if (affine && size == 4 && bytes.lane == 8 && (mask == nullptr || has_masks(size))) {
            value = load_every_other(arithmetic_.address(base, bytes), vector, mask);
        } else {
            value = gather(base, bytes, vector, mask);
        }
    }
    if (type == DType::b1) {
        value = builder_.CreateICmpNE(value, llvm::Constant::getNullValue(value->getType()));
    }
    return {value, !bytes.is_scalar()};
}

// Where an unrolled axis is contiguous and the vector axis is not: rows are loaded and transposed, which gives
// the vectors of up to 16 points at once. Remembers them all. Lanes that are not `inside` of the array are zero.
bool KernelEmitter::read_transposed(const Read& read, ScalarId node, const Linear& bytes,
                                    llvm::Value* inside) {
    const Param& param = kernel_.params[read.source.index];
    const std::int64_t size = size_of(param.dtype);
    const bool affine = bytes.vector == nullptr;
    if (node == kNoScalar || (size != 4 && size != 2) || guard_mask_ != nullptr ||
        (affine && (bytes.lane == 0 || bytes.lane == size))) {
        return false;
    }
    if (stage_ != nullptr && stage_->reduction && !stage_->reduction->guards.empty()) return false;
    for (AxisId axis = 0; axis < kernel_.axes.size(); ++axis) {
        if (!bound_[axis] || vector_axis_ == axis || count_[axis] < 4) continue;
        if (((depends_[node] >> axis) & 1) == 0) continue;
        // Points of the block are inside together: that this one is says nothing of the others.
        bool together = true;
        for (std::size_t dim = 0; dim < read.index.size(); ++dim) {
            together =
                together && (read.outside == Outside::never || !read.index[dim].depends_on(axis) ||
                             spans(read.index[dim], param.dims[dim]));
        }
        if (!together) continue;
        const std::int64_t here = coordinate_[axis];
        const auto bytes_at = [&](std::int64_t coordinate) {
            coordinate_[axis] = coordinate;
            std::vector<Linear> index;
            for (const Index& one : read.index) index.push_back(linear(one));
            coordinate_[axis] = here;
            return arithmetic_.scale(offset_in(param, index), size);
        };
        lane_ = 0;
        const Linear first = bytes_at(0);
        const Linear step = arithmetic_.add(bytes_at(1), arithmetic_.scale(first, -1));
        const Linear whole =
            arithmetic_.add(bytes_at(count_[axis] - 1), arithmetic_.scale(first, -1));
        lane_.reset();
        if (!step.is_constant() || step.constant != size || !whole.is_constant() ||
            whole.constant != size * (count_[axis] - 1)) {
            continue;
        }
        const std::int64_t block = here / kLanes * kLanes;
        const std::int64_t columns = std::min<std::int64_t>(kLanes, count_[axis] - block);
        llvm::Type* element = memory_type(context_, param.dtype);
        auto* vector = llvm::FixedVectorType::get(element, kLanes);
        const llvm::Align align(static_cast<std::uint64_t>(size));
        llvm::SmallVector<llvm::Constant*, 16> present;
        for (std::int64_t i = 0; i < kLanes; ++i) present.push_back(builder_.getInt1(i < columns));
        llvm::Value* columns_mask = llvm::ConstantVector::get(present);
        llvm::Value* rows_mask = arithmetic_.both(mask_here(), inside);
        std::vector<llvm::Value*> rows;
        for (std::int64_t lane = 0; lane < kLanes; ++lane) {
            lane_ = lane;
            const Linear row = bytes_at(block);
            lane_.reset();
            llvm::Value* pointer = arithmetic_.address(params_[read.source.index], row);
            llvm::Value* zero = llvm::Constant::getNullValue(vector);
            if (rows_mask != nullptr)
                pointer =
                    builder_.CreateSelect(arithmetic_.lane_of(rows_mask, lane), pointer, zeros());
            rows.push_back(
                columns == kLanes
                    ? static_cast<llvm::Value*>(builder_.CreateAlignedLoad(vector, pointer, align))
                    : builder_.CreateMaskedLoad(vector, pointer, align, columns_mask, zero));
        }
        transpose(builder_, rows);
        for (std::int64_t i = 0; i < columns; ++i) {
            coordinate_[axis] = block + i;
            remember(node, {rows[static_cast<std::size_t>(i)], true});
        }
        coordinate_[axis] = here;
        return true;
    }
    return false;
}

}  // namespace netc
