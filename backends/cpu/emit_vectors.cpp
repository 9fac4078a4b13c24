// Vectors in memory: loads and stores of sixteen elements that lie side by side, two apart, across, or anywhere.
#include <algorithm>
#include <cmath>

#include "backends/cpu/kernel_emitter.h"
#include "backends/scalar_ops.h"

namespace netc {
namespace {

llvm::Constant* lane_offsets(llvm::IRBuilder<>& builder, std::int64_t stride) {
    llvm::SmallVector<llvm::Constant*, 16> lanes;
    for (std::int64_t i = 0; i < kLanes; ++i) {
        lanes.push_back(builder.getInt32(static_cast<std::uint32_t>(i * stride)));
    }
    return llvm::ConstantVector::get(lanes);
}

}  // namespace

// By exchanging blocks of 8, 4, 2, 1.
void transpose(llvm::IRBuilder<>& builder, std::vector<llvm::Value*>& rows) {
    for (int distance = 8; distance > 0; distance /= 2) {
        llvm::SmallVector<int, 16> upper;
        llvm::SmallVector<int, 16> lower;
        for (int lane = 0; lane < 16; ++lane) {
            const bool first = (lane & distance) == 0;
            upper.push_back(first ? lane : 16 + lane - distance);
            lower.push_back(first ? lane + distance : 16 + lane);
        }
        for (int i = 0; i < 16; ++i) {
            if ((i & distance) != 0) continue;
            const auto a = static_cast<std::size_t>(i);
            const auto b = static_cast<std::size_t>(i + distance);
            llvm::Value* x = rows[a];
            llvm::Value* y = rows[b];
            rows[a] = builder.CreateShuffleVector(x, y, upper);
            rows[b] = builder.CreateShuffleVector(x, y, lower);
        }
    }
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
    const llvm::Align align(static_cast<std::uint64_t>(size_of(type)));
    llvm::Value* pointer = arithmetic_.address(base, bytes);
    llvm::Value* value = nullptr;
    if (bytes.is_scalar()) {
        value = builder_.CreateAlignedLoad(element, pointer, align);
    } else {
        auto* vector = llvm::FixedVectorType::get(element, kLanes);
        llvm::Value* mask = all_lanes ? guard_mask_ : mask_here();
        if (also != nullptr) mask = mask == nullptr ? also : builder_.CreateAnd(mask, also);
        llvm::Value* zero = llvm::Constant::getNullValue(vector);
        if (bytes.vector == nullptr && bytes.lane == size_of(type)) {
            value =
                mask == nullptr
                    ? static_cast<llvm::Value*>(builder_.CreateAlignedLoad(vector, pointer, align))
                    : builder_.CreateMaskedLoad(vector, pointer, align, mask, zero);
        } else if (mask == nullptr && is_part_of_word(type) && bytes.vector == nullptr &&
                   bytes.lane == 4 && std::ranges::all_of(bytes.terms, [](const LinearTerm& term) {
                       return term.factor % 4 == 0;
                   })) {
            value = load_part_of_words(base, bytes, element);
        } else if (bytes.vector == nullptr && size_of(type) == 4 && bytes.lane == 8) {
            value = load_every_other(pointer, vector, mask);
        } else {
            llvm::Value* lanes = nullptr;
            if (bytes.vector == nullptr && std::abs(bytes.lane) < (std::int64_t{1} << 26)) {
                lanes = lane_offsets(builder_, bytes.lane);
            } else {
                Linear varying;
                varying.lane = bytes.lane;
                varying.vector = bytes.vector;
                lanes = arithmetic_.vector(varying);
            }
            llvm::Value* pointers = builder_.CreateGEP(builder_.getInt8Ty(), pointer, lanes);
            value = builder_.CreateMaskedGather(vector, pointers, align, mask, zero);
        }
    }
    if (type == DType::b1) {
        value = builder_.CreateICmpNE(value, llvm::Constant::getNullValue(value->getType()));
    }
    return {value, !bytes.is_scalar()};
}

// Whether a vector there is one line of the cache or several, if the array begins with one.
bool KernelEmitter::whole_lines(const Linear& bytes, DType type) {
    return kLanes * size_of(type) % kLineBytes == 0 && bytes.constant % kLineBytes == 0 &&
           std::ranges::all_of(
               bytes.terms, [](const LinearTerm& term) { return term.factor % kLineBytes == 0; });
}

void KernelEmitter::store_streamed(llvm::Value* streams, llvm::Value* value, llvm::Value* pointer,
                                   llvm::Align align) {
    auto* past = llvm::BasicBlock::Create(context_, "past", function_);
    auto* through = llvm::BasicBlock::Create(context_, "through", function_);
    auto* after = llvm::BasicBlock::Create(context_, "after", function_);
    builder_.CreateCondBr(streams, past, through);
    builder_.SetInsertPoint(past);
    llvm::StoreInst* store = builder_.CreateAlignedStore(value, pointer, llvm::Align(kLineBytes));
    llvm::Metadata* one = llvm::ConstantAsMetadata::get(builder_.getInt32(1));
    store->setMetadata(llvm::LLVMContext::MD_nontemporal, llvm::MDNode::get(context_, one));
    builder_.CreateBr(after);
    builder_.SetInsertPoint(through);
    builder_.CreateAlignedStore(value, pointer, align);
    builder_.CreateBr(after);
    builder_.SetInsertPoint(after);
}

void KernelEmitter::store(llvm::Value* base, const Linear& bytes, DType type, Element value,
                          bool all_lanes) {
    const llvm::Align align(static_cast<std::uint64_t>(size_of(type)));
    llvm::Value* pointer = arithmetic_.address(base, bytes);
    llvm::Value* stored = bytes.is_scalar() ? value.value : as_vector(value);
    if (bytes.is_scalar() && value.vector)
        return fail("a store does not depend on the vector axis");
    if (type == DType::b1) {
        llvm::Type* byte = memory_type(context_, type);
        stored = builder_.CreateZExt(
            stored, bytes.is_scalar() ? byte : llvm::FixedVectorType::get(byte, kLanes));
    }
    if (bytes.is_scalar()) {
        builder_.CreateAlignedStore(stored, pointer, align);
        return;
    }
    llvm::Value* mask = all_lanes ? nullptr : mask_here();
    if (bytes.vector == nullptr && bytes.lane == size_of(type)) {
        if (mask == nullptr && whole_lines(bytes, type) && streams_.contains(base)) {
            store_streamed(streams_[base], stored, pointer, align);
        } else if (mask == nullptr) {
            builder_.CreateAlignedStore(stored, pointer, align);
        } else {
            builder_.CreateMaskedStore(stored, pointer, align, mask);
        }
        return;
    }
    if (mask == nullptr && joins_word(base, bytes, type, stored)) return;
    scatter(pointer, bytes, type, stored, mask);
}

void KernelEmitter::scatter(llvm::Value* pointer, const Linear& bytes, DType type,
                            llvm::Value* value, llvm::Value* mask) {
    Linear varying;
    varying.lane = bytes.lane;
    varying.vector = bytes.vector;
    llvm::Value* pointers =
        builder_.CreateGEP(builder_.getInt8Ty(), pointer, arithmetic_.vector(varying));
    builder_.CreateMaskedScatter(value, pointers,
                                 llvm::Align(static_cast<std::uint64_t>(size_of(type))), mask);
}

// Sixteen parts of words, one of each: they wait until the tile has stored the other parts, and then are stored as words.
bool KernelEmitter::joins_word(llvm::Value* base, const Linear& bytes, DType type,
                               llvm::Value* value) {
    if (!joins_words_ || !is_part_of_word(type) || bytes.vector != nullptr || bytes.lane != 4)
        return false;
    const std::int64_t size = size_of(type);
    if (word_) {
        const Linear from_first = arithmetic_.add(bytes, arithmetic_.scale(word_->bytes, -1));
        const auto next = size * static_cast<std::int64_t>(word_->values.size());
        if (word_->base != base || word_->type != type || !from_first.is_constant() ||
            from_first.constant != next)
            finish_word();
    }
    if (!word_) word_ = WaitingWord{base, bytes, type, {}};
    word_->values.push_back(value);
    if (size * static_cast<std::int64_t>(word_->values.size()) == 4) finish_word();
    return true;
}

// What waits is stored: as words where they are whole.
void KernelEmitter::finish_word() {
    if (!word_) return;
    const WaitingWord word = std::move(*word_);
    word_.reset();
    const std::int64_t size = size_of(word.type);
    llvm::Value* pointer = arithmetic_.address(word.base, word.bytes);
    if (size * static_cast<std::int64_t>(word.values.size()) < 4) {
        for (std::size_t part = 0; part < word.values.size(); ++part)
            scatter(builder_.CreateConstGEP1_64(builder_.getInt8Ty(), pointer,
                                                part * static_cast<std::uint64_t>(size)),
                    word.bytes, word.type, word.values[part], nullptr);
        return;
    }
    auto* bits =
        llvm::FixedVectorType::get(builder_.getIntNTy(static_cast<unsigned>(8 * size)), kLanes);
    auto* words = llvm::FixedVectorType::get(builder_.getInt32Ty(), kLanes);
    llvm::Value* joined = nullptr;
    for (std::size_t part = 0; part < word.values.size(); ++part) {
        llvm::Value* value =
            builder_.CreateZExt(builder_.CreateBitCast(word.values[part], bits), words);
        value = builder_.CreateShl(value, part * static_cast<std::uint64_t>(8 * size));
        joined = joined == nullptr ? value : builder_.CreateOr(joined, value);
    }
    builder_.CreateAlignedStore(joined, pointer, llvm::Align(static_cast<std::uint64_t>(size)));
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
        // Points of the block are inside together.
        bool together = true;
        for (std::size_t dim = 0; dim < read.index.size() && inside != nullptr; ++dim) {
            together = together && (!read.index[dim].depends_on(axis) ||
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
            llvm::Value* mask = columns < kLanes ? columns_mask : nullptr;
            if (rows_mask != nullptr) {
                llvm::Value* here_too = builder_.CreateVectorSplat(
                    kLanes,
                    builder_.CreateExtractElement(rows_mask, static_cast<std::uint64_t>(lane)));
                mask = mask == nullptr ? here_too : builder_.CreateAnd(mask, here_too);
            }
            rows.push_back(
                mask == nullptr
                    ? static_cast<llvm::Value*>(builder_.CreateAlignedLoad(vector, pointer, align))
                    : builder_.CreateMaskedLoad(vector, pointer, align, mask, zero));
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
