// Scalar operations to LLVM instructions. The same lines serve single values and vectors. Every operation
// rounds as ir/scalar.h says: no fast-math flag, fma only where the DAG has one.
#include "backends/scalar_ops.h"

#include <array>
#include <cmath>

#include "backends/emit_lookup.h"
#include "ir/layout.h"
#include "ir/philox.h"

namespace netc {
namespace {

using Builder = llvm::IRBuilder<>;

bool is_unsigned(DType type) { return type == DType::u8 || type == DType::b1; }

// The type of element `type`, as a vector where `like` is one.
llvm::Type* shaped_like(llvm::Value* like, llvm::Type* type) {
    if (auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(like->getType())) {
        return llvm::FixedVectorType::get(type, vector->getNumElements());
    }
    return type;
}

bool is_not_nan_constant(llvm::Value* value) {
    auto* constant = llvm::dyn_cast<llvm::Constant>(value);
    if (constant == nullptr) return false;
    if (llvm::Constant* element =
            constant->getType()->isVectorTy() ? constant->getSplatValue() : constant) {
        auto* number = llvm::dyn_cast<llvm::ConstantFP>(element);
        return number != nullptr && !number->isNaN();
    }
    return false;
}

// (a > b or a is NaN) ? a : b, and the mirror image for min.
llvm::Value* select_extreme(Builder& b, llvm::Value* x, llvm::Value* y, DType type, bool greatest) {
    if (!is_float(type)) {
        const auto predicate =
            greatest ? (is_unsigned(type) ? llvm::CmpInst::ICMP_UGT : llvm::CmpInst::ICMP_SGT)
                     : (is_unsigned(type) ? llvm::CmpInst::ICMP_ULT : llvm::CmpInst::ICMP_SLT);
        return b.CreateSelect(b.CreateICmp(predicate, x, y), x, y);
    }
    if (is_not_nan_constant(y)) {
        return b.CreateSelect(greatest ? b.CreateFCmpUGT(x, y) : b.CreateFCmpULT(x, y), x, y);
    }
    llvm::Value* larger =
        b.CreateSelect(greatest ? b.CreateFCmpOGT(x, y) : b.CreateFCmpOLT(x, y), x, y);
    if (is_not_nan_constant(x)) return larger;
    return b.CreateSelect(b.CreateFCmpUNO(x, x), x, larger);
}

llvm::Value* float_from_bf16(Builder& b, llvm::Value* bits) {
    llvm::Value* wide = b.CreateZExt(bits, shaped_like(bits, b.getInt32Ty()));
    return b.CreateBitCast(b.CreateShl(wide, 16), shaped_like(bits, b.getFloatTy()));
}

// Round to nearest even on the bits; NaN stays a quiet NaN.
llvm::Value* bf16_from_float(Builder& b, llvm::Value* value) {
    llvm::Type* word = shaped_like(value, b.getInt32Ty());
    llvm::Value* bits = b.CreateBitCast(value, word);
    llvm::Value* odd = b.CreateAnd(b.CreateLShr(bits, 16), llvm::ConstantInt::get(word, 1));
    llvm::Value* rounded =
        b.CreateAdd(bits, b.CreateAdd(odd, llvm::ConstantInt::get(word, 0x7fff)));
    llvm::Value* quiet = b.CreateOr(bits, llvm::ConstantInt::get(word, 0x400000));
    llvm::Value* chosen = b.CreateSelect(b.CreateFCmpUNO(value, value), quiet, rounded);
    return b.CreateTrunc(b.CreateLShr(chosen, 16), shaped_like(value, b.getInt16Ty()));
}

// To a float type that arithmetic is done in.
llvm::Value* widen_float(Builder& b, llvm::Value* value, DType from) {
    if (from == DType::bf16) return float_from_bf16(b, value);
    if (from == DType::f16) {
        return b.CreateFPExt(b.CreateBitCast(value, shaped_like(value, b.getHalfTy())),
                             shaped_like(value, b.getFloatTy()));
    }
    return value;
}

llvm::Value* narrow_float(Builder& b, llvm::Value* value, DType to) {
    llvm::Type* wanted = shaped_like(value, to == DType::f64 ? b.getDoubleTy() : b.getFloatTy());
    if (value->getType() != wanted) {
        value = to == DType::f64 ? b.CreateFPExt(value, wanted) : b.CreateFPTrunc(value, wanted);
    }
    if (to == DType::bf16) return bf16_from_float(b, value);
    if (to == DType::f16) {
        return b.CreateBitCast(b.CreateFPTrunc(value, shaped_like(value, b.getHalfTy())),
                               shaped_like(value, b.getInt16Ty()));
    }
    return value;
}

// Saturated while it is a float, which has both ends of the range exactly: LLVM takes vectors apart for that.
llvm::Value* narrow_integer(Builder& b, llvm::Value* value, DType to) {
    const bool is_signed = !is_unsigned(to);
    const int bits = static_cast<int>(8 * size_of(to)) - (is_signed ? 1 : 0);
    const auto number = [&](double n) { return llvm::ConstantFP::get(value->getType(), n); };
    llvm::Value* least = number(is_signed ? -std::ldexp(1.0, bits) : 0);
    llvm::Value* most = number(std::ldexp(1.0, bits) - 1);
    // NaN is none of the comparisons: the least, which is 0 where there is no sign.
    llvm::Value* inside = b.CreateSelect(b.CreateFCmpOGT(value, least), value, least);
    inside = b.CreateSelect(b.CreateFCmpOLT(inside, most), inside, most);
    if (is_signed) inside = b.CreateSelect(b.CreateFCmpUNO(value, value), number(0), inside);
    llvm::Value* wide = b.CreateFPToSI(inside, shaped_like(value, b.getInt32Ty()));
    return b.CreateTrunc(wide, shaped_like(value, value_type(b.getContext(), to)));
}

llvm::Value* emit_cast(Builder& b, llvm::Value* value, DType from, DType to) {
    if (from == to) return value;
    llvm::LLVMContext& context = b.getContext();
    llvm::Type* wanted = shaped_like(value, value_type(context, to));
    if (is_float(from)) {
        llvm::Value* wide = widen_float(b, value, from);
        if (is_float(to)) return narrow_float(b, wide, to);
        if (to == DType::b1) {
            return b.CreateFCmpUNE(wide, llvm::ConstantFP::get(wide->getType(), 0.0));
        }
        if (size_of(to) <= 2) return narrow_integer(b, wide, to);
        const auto id = is_unsigned(to) ? llvm::Intrinsic::fptoui_sat : llvm::Intrinsic::fptosi_sat;
        return b.CreateIntrinsic(id, {wanted, wide->getType()}, {wide});
    }
    if (is_float(to)) {
        llvm::Type* arithmetic =
            shaped_like(value, to == DType::f64 ? b.getDoubleTy() : b.getFloatTy());
        llvm::Value* number = is_unsigned(from) ? b.CreateUIToFP(value, arithmetic)
                                                : b.CreateSIToFP(value, arithmetic);
        return narrow_float(b, number, to);
    }
    if (to == DType::b1)
        return b.CreateICmpNE(value, llvm::Constant::getNullValue(value->getType()));
    return is_unsigned(from) ? b.CreateZExtOrTrunc(value, wanted)
                             : b.CreateSExtOrTrunc(value, wanted);
}

llvm::Value* emit_compare(Builder& b, ScalarOp op, llvm::Value* x, llvm::Value* y, DType type) {
    if (is_float(type)) {
        x = widen_float(b, x, type);
        y = widen_float(b, y, type);
        if (op == ScalarOp::equal) return b.CreateFCmpOEQ(x, y);
        return op == ScalarOp::less ? b.CreateFCmpOLT(x, y) : b.CreateFCmpOLE(x, y);
    }
    if (op == ScalarOp::equal) return b.CreateICmpEQ(x, y);
    if (is_unsigned(type))
        return op == ScalarOp::less ? b.CreateICmpULT(x, y) : b.CreateICmpULE(x, y);
    return op == ScalarOp::less ? b.CreateICmpSLT(x, y) : b.CreateICmpSLE(x, y);
}

// {four words} philox(key, counter low, counter high), a function of its own with a loop over the rounds: ten
// rounds in a row, once a use, made most of the code of an initialisation and of the time to compile it.
llvm::Function* philox_function(Builder& outer, llvm::Type* wide) {
    llvm::Function* caller = outer.GetInsertBlock()->getParent();
    llvm::Module* module = caller->getParent();
    auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(wide);
    const std::string name =
        "netc_philox_" + std::to_string(vector == nullptr ? 1 : vector->getNumElements());
    if (llvm::Function* known = module->getFunction(name)) return known;
    Builder b(module->getContext());
    llvm::Type* word = wide->getWithNewType(b.getInt32Ty());
    auto* words = llvm::StructType::get(word, word, word, word);
    auto* type = llvm::FunctionType::get(words, {wide, wide, wide}, false);
    auto* function = llvm::Function::Create(type, llvm::Function::InternalLinkage, name, module);
    for (const auto attribute :
         {llvm::Attribute::NoInline, llvm::Attribute::NoUnwind, llvm::Attribute::WillReturn}) {
        function->addFnAttr(attribute);
    }
    function->setMemoryEffects(llvm::MemoryEffects::none());
    if (caller->hasFnAttribute("prefer-vector-width")) {
        function->addFnAttr(caller->getFnAttribute("prefer-vector-width"));
    }
    auto* start = llvm::BasicBlock::Create(module->getContext(), "entry", function);
    auto* loop = llvm::BasicBlock::Create(module->getContext(), "round", function);
    auto* end = llvm::BasicBlock::Create(module->getContext(), "end", function);
    b.SetInsertPoint(start);
    const auto low = [&](llvm::Value* value) { return b.CreateTrunc(value, word); };
    const auto high = [&](llvm::Value* value) {
        return b.CreateTrunc(b.CreateLShr(value, 32), word);
    };
    std::array<llvm::Value*, 6> state;  // four words of the counter, two of the key
    for (unsigned i = 0; i < 6; i += 2) {
        llvm::Value* argument = function->getArg(i < 4 ? i / 2 + 1 : 0);
        state[i] = low(argument);
        state[i + 1] = high(argument);
    }
    b.CreateBr(loop);
    b.SetInsertPoint(loop);
    llvm::PHINode* round = b.CreatePHI(b.getInt32Ty(), 2);
    round->addIncoming(b.getInt32(0), start);
    std::array<llvm::PHINode*, 6> now;
    for (std::size_t i = 0; i < 6; ++i) {
        now[i] = b.CreatePHI(word, 2);
        now[i]->addIncoming(state[i], start);
    }
    llvm::Value* product0 =
        b.CreateMul(b.CreateZExt(now[0], wide), llvm::ConstantInt::get(wide, kPhiloxMultiplier0));
    llvm::Value* product1 =
        b.CreateMul(b.CreateZExt(now[2], wide), llvm::ConstantInt::get(wide, kPhiloxMultiplier1));
    state = {b.CreateXor(b.CreateXor(high(product1), now[1]), now[4]),
             low(product1),
             b.CreateXor(b.CreateXor(high(product0), now[3]), now[5]),
             low(product0),
             b.CreateAdd(now[4], llvm::ConstantInt::get(word, kPhiloxWeyl0)),
             b.CreateAdd(now[5], llvm::ConstantInt::get(word, kPhiloxWeyl1))};
    for (std::size_t i = 0; i < 6; ++i) now[i]->addIncoming(state[i], loop);
    llvm::Value* next = b.CreateAdd(round, b.getInt32(1));
    round->addIncoming(next, loop);
    b.CreateCondBr(b.CreateICmpULT(next, b.getInt32(kPhiloxRounds)), loop, end);
    b.SetInsertPoint(end);
    b.CreateAggregateRet(state.data(), 4);
    return function;
}

llvm::Value* emit_philox(Builder& b, std::span<llvm::Value* const> operands,
                         std::int64_t word_number) {
    llvm::Function* function = philox_function(b, operands[0]->getType());
    llvm::Value* words = b.CreateCall(function, {operands[0], operands[1], operands[2]});
    return b.CreateExtractValue(words, static_cast<unsigned>(word_number) & 3);
}

}  // namespace

llvm::Type* value_type(llvm::LLVMContext& context, DType type) {
    switch (type) {
        case DType::f64: return llvm::Type::getDoubleTy(context);
        case DType::f32: return llvm::Type::getFloatTy(context);
        case DType::i64: return llvm::Type::getInt64Ty(context);
        case DType::i32: return llvm::Type::getInt32Ty(context);
        case DType::f16:
        case DType::bf16:
        case DType::i16: return llvm::Type::getInt16Ty(context);
        case DType::i8:
        case DType::u8: return llvm::Type::getInt8Ty(context);
        case DType::b1: return llvm::Type::getInt1Ty(context);
    }
    return nullptr;
}

llvm::Type* memory_type(llvm::LLVMContext& context, DType type) {
    return type == DType::b1 ? llvm::Type::getInt8Ty(context) : value_type(context, type);
}

llvm::Value* number_constant(llvm::LLVMContext& context, DType type, double number) {
    if (type == DType::f16 || type == DType::bf16) {
        llvm::APFloat value(number);
        bool inexact = false;
        value.convert(type == DType::f16 ? llvm::APFloat::IEEEhalf() : llvm::APFloat::BFloat(),
                      llvm::APFloat::rmNearestTiesToEven, &inexact);
        return llvm::ConstantInt::get(context, value.bitcastToAPInt());
    }
    return llvm::ConstantFP::get(value_type(context, type), number);
}

llvm::Value* integer_constant(llvm::LLVMContext& context, DType type, std::int64_t value) {
    return llvm::ConstantInt::get(value_type(context, type), static_cast<std::uint64_t>(value),
                                  true);
}

llvm::Value* emit_operation(Builder& b, TableLookup lookup, const Scalar& scalar,
                            std::span<llvm::Value* const> operands,
                            std::span<const DType> operand_types,
                            const std::vector<double>* table) {
    const bool floating = is_float(scalar.type);
    llvm::Value* const first = operands.empty() ? nullptr : operands[0];
    llvm::Value* const second = operands.size() < 2 ? nullptr : operands[1];
    switch (scalar.op) {
        case ScalarOp::neg: return floating ? b.CreateFNeg(first) : b.CreateNeg(first);
        case ScalarOp::abs:
            if (floating) return b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, first);
            if (is_unsigned(scalar.type)) return first;
            return b.CreateIntrinsic(llvm::Intrinsic::abs, {first->getType()},
                                     {first, b.getFalse()});
        case ScalarOp::add:
            return floating ? b.CreateFAdd(first, second) : b.CreateAdd(first, second);
        case ScalarOp::mul:
            return floating ? b.CreateFMul(first, second) : b.CreateMul(first, second);
        case ScalarOp::div: return floating ? b.CreateFDiv(first, second) : nullptr;
        case ScalarOp::max: return select_extreme(b, first, second, scalar.type, true);
        case ScalarOp::min: return select_extreme(b, first, second, scalar.type, false);
        case ScalarOp::sqrt: return b.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, first);
        case ScalarOp::floor:
            return floating ? b.CreateUnaryIntrinsic(llvm::Intrinsic::floor, first) : first;
        case ScalarOp::fma:
            return b.CreateIntrinsic(llvm::Intrinsic::fma, {first->getType()},
                                     {first, second, operands[2]});
        case ScalarOp::equal:
        case ScalarOp::less:
        case ScalarOp::less_equal:
            return emit_compare(b, scalar.op, first, second, operand_types[0]);
        case ScalarOp::logical_and:
        case ScalarOp::bit_and: return b.CreateAnd(first, second);
        case ScalarOp::logical_or:
        case ScalarOp::bit_or: return b.CreateOr(first, second);
        case ScalarOp::logical_not: return b.CreateNot(first);
        case ScalarOp::select: return b.CreateSelect(first, second, operands[2]);
        case ScalarOp::cast: return emit_cast(b, first, operand_types[0], scalar.type);
        case ScalarOp::bit_xor: return b.CreateXor(first, second);
        case ScalarOp::shift_left: return b.CreateShl(first, second);
        case ScalarOp::shift_right: return b.CreateLShr(first, second);
        case ScalarOp::bitcast:
            return b.CreateBitCast(first,
                                   shaped_like(first, value_type(b.getContext(), scalar.type)));
        case ScalarOp::lookup: return emit_lookup(b, lookup, first, scalar.type, *table);
        case ScalarOp::philox: return emit_philox(b, operands, scalar.integer);
        case ScalarOp::exp:
        case ScalarOp::expm1:
        case ScalarOp::log:
        case ScalarOp::log1p:
        case ScalarOp::sin:
        case ScalarOp::cos:
        case ScalarOp::tanh:
        case ScalarOp::erf:
        case ScalarOp::pow:
        case ScalarOp::constant:
        case ScalarOp::read:
        case ScalarOp::state:
        case ScalarOp::other:
        case ScalarOp::index:
        case ScalarOp::batch: return nullptr;
    }
    return nullptr;
}

}  // namespace netc
