// Sums of products of bf16, two terms at a time where the processor has an instruction for it.
//
// vdpbf16ps adds the product of the upper halves of each lane to the lane's sum, rounds, adds that of the
// lower halves, rounds: exactly two steps fma(a, b, sum) of the kernel, the first with the upper halves. So a
// step waits until its accumulator's next one and both are one instruction; a step that is alone when a loop or
// a condition begins or ends is done by itself. The bits are those of single steps.
#include "backends/cpu/kernel_emitter.h"
#include "backends/cpu/scalar_ops.h"

namespace netc {
namespace {

// The scalar that is widened from bf16 to f32, or nothing.
ScalarId widened_bf16(const ScalarGraph& scalars, ScalarId id) {
    const Scalar& cast = scalars[id];
    if (cast.op != ScalarOp::cast || cast.type != DType::f32) return kNoScalar;
    return scalars.type(cast.operands[0]) == DType::bf16 ? cast.operands[0] : kNoScalar;
}

}  // namespace

void KernelEmitter::begin_dots() {
    const Reduction& reduction = *stage_->reduction;
    const Scalar& step = kernel_.scalars[reduction.step[0]];
    factors_.reset();
    if (!machine_.bf16 || !vector_states_ || reduction.states.size() != 1) return;
    if (step.op != ScalarOp::fma) return;
    const Scalar& sum = kernel_.scalars[step.operands[2]];
    const ScalarId a = widened_bf16(kernel_.scalars, step.operands[0]);
    const ScalarId b = widened_bf16(kernel_.scalars, step.operands[1]);
    if (sum.op != ScalarOp::state || a == kNoScalar || b == kNoScalar) return;
    factors_ = Factors{a, b, step.operands[0], step.operands[1]};
    waiting_.assign(states_.size(), {});
}

void KernelEmitter::dot_step(std::size_t point) {
    const Products next{evaluate(factors_->a), evaluate(factors_->b)};
    if (error_) return;
    std::optional<Products>& first = waiting_[point];
    if (!first) {
        first = next;
        return;
    }
    auto* halves = llvm::FixedVectorType::get(builder_.getBFloatTy(), 2 * kLanes);
    const auto operand = [&](const Element& upper, const Element& lower) {
        return builder_.CreateBitCast(pair(upper, lower), halves);
    };
    states_[point] = builder_.CreateIntrinsic(
        llvm::Intrinsic::x86_avx512bf16_dpbf16ps_512, {},
        {states_[point], operand(first->a, next.a), operand(first->b, next.b)});
    first.reset();
}

// Halves that lie in pairs, every second one: the pairs are loaded and remembered, for a step that wants both.
llvm::Value* KernelEmitter::load_half_of_pairs(llvm::Value* base, const Linear& bytes) {
    const bool upper = (bytes.constant & 2) != 0;
    Linear start = bytes;
    start.lane = 0;
    start.constant -= upper ? 2 : 0;
    llvm::Value* pointer = arithmetic_.address(base, start);
    llvm::Value*& words = words_[{builder_.GetInsertBlock(), pointer}];
    if (words == nullptr) {
        words = builder_.CreateAlignedLoad(
            llvm::FixedVectorType::get(builder_.getInt32Ty(), kLanes), pointer, llvm::Align(2));
    }
    llvm::Value* half = upper ? builder_.CreateLShr(words, 16) : words;
    half = builder_.CreateTrunc(half, llvm::FixedVectorType::get(builder_.getInt16Ty(), kLanes));
    halves_[half] = {words, upper};
    return half;
}

// Lanes of 32 bits: the first step's factor in the upper half. Neighbours in memory become one load.
llvm::Value* KernelEmitter::pair(const Element& upper, const Element& lower) {
    llvm::Value*& made = pairs_[{upper.value, lower.value}];
    if (made != nullptr) return made;
    const auto above = halves_.find(upper.value), below = halves_.find(lower.value);
    if (above != halves_.end() && below != halves_.end() && above->second.upper &&
        !below->second.upper && above->second.words == below->second.words) {
        return made = above->second.words;
    }
    const bool vector = upper.vector || lower.vector;
    const auto wide = [&](const Element& half) {
        llvm::Value* value = vector ? as_vector(half) : half.value;
        llvm::Type* word = builder_.getInt32Ty();
        return builder_.CreateZExt(value, vector ? llvm::FixedVectorType::get(word, kLanes) : word);
    };
    llvm::Value* word = builder_.CreateOr(builder_.CreateShl(wide(upper), 16), wide(lower));
    made = vector ? word : builder_.CreateVectorSplat(kLanes, word);
    return made;
}

void KernelEmitter::finish_dot(std::size_t point) {
    std::optional<Products>& waiting = waiting_[point];
    if (!waiting) return;
    const auto widened = [&](const Element& half, ScalarId cast) {
        const DType from[] = {DType::bf16};
        llvm::Value* value = emit_operation(builder_, machine_, kernel_.scalars[cast],
                                            std::span(&half.value, 1), from, nullptr);
        return as_vector({value, half.vector});
    };
    states_[point] = builder_.CreateIntrinsic(
        llvm::Intrinsic::fma, {states_[point]->getType()},
        {widened(waiting->a, factors_->wide_a), widened(waiting->b, factors_->wide_b),
         states_[point]});
    waiting.reset();
}

void KernelEmitter::finish_dots() {
    if (!factors_) return;
    for (std::size_t point = 0; point < waiting_.size(); ++point) finish_dot(point);
    pairs_.clear();
}

}  // namespace netc
