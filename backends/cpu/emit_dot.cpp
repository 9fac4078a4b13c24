// Sums of products of bf16 or bytes, two or four terms at a time where the processor has an instruction for it.
//
// vdpbf16ps adds the product of the upper halves of each lane to the lane's sum, rounds, adds that of the
// lower halves, rounds: exactly two steps fma(a, b, sum) of the kernel, the first with the upper halves.
// vpdpbusd adds four products of bytes, exactly. So steps wait until their accumulator has as many as are one
// instruction; what waits when a loop or a condition begins or ends is done then. The bits are those of single
// steps.
#include "backends/cpu/kernel_emitter.h"
#include "backends/cpu/narrow_product.h"
#include "backends/scalar_ops.h"

namespace netc {
void KernelEmitter::begin_dots() {
    const Reduction& reduction = *stage_->reduction;
    factors_.reset();
    if (!vector_states_ || reduction.states.size() != 1) return;
    const auto product = narrow_product(kernel_.scalars, reduction.step[0]);
    if (!product || !(product->in_word == 2 ? machine_.bf16 : machine_.vnni)) return;
    Factors found{static_cast<std::size_t>(product->in_word), product->a, product->b,
                  product->wide_a, product->wide_b};
    if (found.count == 4) {  // the bytes without sign are the first factor
        if (kernel_.scalars.type(found.a) != DType::u8) std::swap(found.a, found.b);
        if (kernel_.scalars.type(found.a) != DType::u8 ||
            kernel_.scalars.type(found.b) != DType::i8)
            return;
    }
    factors_ = found;
    waiting_.assign(states_.size(), {});
}

void KernelEmitter::dot_step(std::size_t point) {
    const Products next{evaluate(factors_->a), evaluate(factors_->b)};
    if (error_) return;
    waiting_[point].push_back(next);
    if (waiting_[point].size() == factors_->count) finish_dot(point);
}

// Narrow numbers that lie in words, one of each: the words are loaded and remembered, for steps that want all of it.
llvm::Value* KernelEmitter::load_part_of_words(llvm::Value* base, const Linear& bytes,
                                               llvm::Type* type) {
    const std::int64_t offset = bytes.constant & 3;
    Linear start = bytes;
    start.lane = 0;
    start.constant -= offset;
    llvm::Value* pointer = arithmetic_.address(base, start);
    llvm::Value*& words = words_[{builder_.GetInsertBlock(), pointer}];
    if (words == nullptr) {
        words = builder_.CreateAlignedLoad(
            llvm::FixedVectorType::get(builder_.getInt32Ty(), kLanes), pointer, llvm::Align(1));
    }
    llvm::Value* part =
        offset == 0 ? words : builder_.CreateLShr(words, static_cast<std::uint64_t>(8 * offset));
    part = builder_.CreateTrunc(part, llvm::FixedVectorType::get(type, kLanes));
    parts_[part] = {words, offset};
    return part;
}

// The words that these are all parts of, the uppermost first.
llvm::Value* KernelEmitter::words_of(const std::vector<Element>& factors) const {
    llvm::Value* words = nullptr;
    auto offset = static_cast<std::int64_t>(4);
    for (const Element& factor : factors) {
        offset -= 4 / static_cast<std::int64_t>(factors_->count);
        const auto part = parts_.find(factor.value);
        if (part == parts_.end() || part->second.offset != offset) return nullptr;
        if (words != nullptr && part->second.words != words) return nullptr;
        words = part->second.words;
    }
    return offset == 0 ? words : nullptr;
}

// Lanes of 32 bits: the first step's factor in the uppermost part. Neighbours in memory become one load.
llvm::Value* KernelEmitter::lanes_of(const std::vector<Element>& factors) {
    std::vector<llvm::Value*> key;
    bool vector = false;
    for (const Element& factor : factors) {
        key.push_back(factor.value);
        vector = vector || factor.vector;
    }
    llvm::Value*& made = dot_lanes_[key];
    if (made != nullptr) return made;
    if (llvm::Value* words = words_of(factors)) return made = words;
    llvm::Type* type = builder_.getInt32Ty();
    if (vector) type = llvm::FixedVectorType::get(type, kLanes);
    const auto bits = static_cast<unsigned>(32 / factors_->count);
    unsigned shift = 32;
    llvm::Value* word = nullptr;
    for (const Element& factor : factors) {
        shift -= bits;
        llvm::Value* part = builder_.CreateZExt(vector ? as_vector(factor) : factor.value, type);
        part = builder_.CreateShl(part, shift);
        word = word == nullptr ? part : builder_.CreateOr(word, part);
    }
    made = vector ? word : builder_.CreateVectorSplat(kLanes, word);
    return made;
}

// The steps that wait. Bytes that are missing are zero; a single bf16 is multiplied by itself.
void KernelEmitter::finish_dot(std::size_t point) {
    std::vector<Products>& waiting = waiting_[point];
    if (waiting.empty()) return;
    llvm::Value*& sum = states_[point];
    std::vector<Element> a, b;
    for (const Products& each : waiting) {
        a.push_back(each.a);
        b.push_back(each.b);
    }
    waiting.clear();
    if (factors_->count == 4) {
        sum = builder_.CreateIntrinsic(llvm::Intrinsic::x86_avx512_vpdpbusd_512, {},
                                       {sum, lanes_of(a), lanes_of(b)});
        return;
    }
    if (a.size() == 2) {
        auto* halves = llvm::FixedVectorType::get(builder_.getBFloatTy(), 2 * kLanes);
        sum = builder_.CreateIntrinsic(llvm::Intrinsic::x86_avx512bf16_dpbf16ps_512, {},
                                       {sum, builder_.CreateBitCast(lanes_of(a), halves),
                                        builder_.CreateBitCast(lanes_of(b), halves)});
        return;
    }
    const auto wide = [&](const Element& half, ScalarId cast) {
        const DType from[] = {DType::bf16};
        llvm::Value* value = emit_operation(builder_, machine_.table_lookup, kernel_.scalars[cast],
                                            std::span(&half.value, 1), from, nullptr);
        return as_vector({value, half.vector});
    };
    sum =
        builder_.CreateIntrinsic(llvm::Intrinsic::fma, {sum->getType()},
                                 {wide(a[0], factors_->wide_a), wide(b[0], factors_->wide_b), sum});
}

void KernelEmitter::finish_dots() {
    if (!factors_) return;
    for (std::size_t point = 0; point < waiting_.size(); ++point) finish_dot(point);
    dot_lanes_.clear();
}

}  // namespace netc
