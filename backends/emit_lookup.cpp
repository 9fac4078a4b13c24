#include "backends/emit_lookup.h"

#include "backends/scalar_ops.h"

namespace netc {
namespace {

using Builder = llvm::IRBuilder<>;

constexpr std::size_t kTableSize = 32;

llvm::Constant* table_constant(llvm::Type* element, const LookupTable& table, std::size_t from,
                               std::size_t count) {
    llvm::SmallVector<llvm::Constant*, 16> values;
    for (std::size_t i = 0; i < count; ++i)
        values.push_back(llvm::ConstantFP::get(element, table[from + i]));
    return llvm::ConstantVector::get(values);
}

// 32 floats by two registers and one vpermt2ps.
llvm::Value* lookup_avx512(Builder& b, llvm::Value* index, const LookupTable& table) {
    return b.CreateIntrinsic(llvm::Intrinsic::x86_avx512_vpermi2var_ps_512, {},
                             {table_constant(b.getFloatTy(), table, 0, 16), index,
                              table_constant(b.getFloatTy(), table, 16, 16)});
}

llvm::Value* low_bits(Builder& b, llvm::Value* index) {
    llvm::Type* word = b.getInt32Ty();
    if (auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(index->getType()))
        word = llvm::FixedVectorType::get(word, vector->getNumElements());
    return b.CreateAnd(b.CreateZExtOrTrunc(index, word),
                       llvm::ConstantInt::get(word, kTableSize - 1));
}

// The one of the module that has these values.
llvm::GlobalVariable* constant_array(Builder& b, llvm::Type* element,
                                     llvm::ArrayRef<llvm::Constant*> values) {
    auto* type = llvm::ArrayType::get(element, values.size());
    llvm::Constant* array = llvm::ConstantArray::get(type, values);
    llvm::Module& module = *b.GetInsertBlock()->getModule();
    for (llvm::GlobalVariable& other : module.globals()) {
        if (other.isConstant() && other.hasInitializer() && other.getInitializer() == array)
            return &other;
    }
    auto* place = new llvm::GlobalVariable(module, type, true, llvm::GlobalValue::PrivateLinkage,
                                           array, "table");
    place->setAlignment(llvm::Align(64));
    return place;
}

// Four rows of four, twice side by side, to four columns: exchanges within 128 bits, as every processor has them.
std::array<llvm::Value*, 4> columns_of(Builder& b, const std::array<llvm::Value*, 4>& rows) {
    const auto pairs = [&](std::size_t first, llvm::ArrayRef<int> picked) {
        return b.CreateShuffleVector(rows[first], rows[first + 1], picked);
    };
    const std::array<int, 8> lower{0, 8, 1, 9, 4, 12, 5, 13}, upper{2, 10, 3, 11, 6, 14, 7, 15};
    const std::array<int, 8> left{0, 1, 8, 9, 4, 5, 12, 13}, right{2, 3, 10, 11, 6, 7, 14, 15};
    llvm::Value* low01 = pairs(0, lower);
    llvm::Value* low23 = pairs(2, lower);
    llvm::Value* high01 = pairs(0, upper);
    llvm::Value* high23 = pairs(2, upper);
    return {b.CreateShuffleVector(low01, low23, left), b.CreateShuffleVector(low01, low23, right),
            b.CreateShuffleVector(high01, high23, left),
            b.CreateShuffleVector(high01, high23, right)};
}

}  // namespace

llvm::Value* emit_lookup(Builder& b, TableLookup how, llvm::Value* index, DType type,
                         const LookupTable& table) {
    llvm::Type* element = value_type(b.getContext(), type);
    auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(index->getType());
    llvm::Value* narrow = low_bits(b, index);
    if (how == TableLookup::avx512 && vector != nullptr && type == DType::f32 &&
        table.size() == kTableSize)
        return lookup_avx512(b, narrow, table);
    llvm::SmallVector<llvm::Constant*, 32> values;
    for (double number : table) values.push_back(llvm::ConstantFP::get(element, number));
    llvm::Value* pointers = b.CreateGEP(element, constant_array(b, element, values), narrow);
    if (vector == nullptr) return b.CreateLoad(element, pointers);
    return b.CreateMaskedGather(llvm::FixedVectorType::get(element, vector->getNumElements()),
                                pointers, llvm::Align(4));
}

std::vector<llvm::Value*> emit_lookups(Builder& b, llvm::Value* index,
                                       std::span<const LookupTable* const> tables) {
    llvm::Type* element = b.getFloatTy();
    const std::size_t quads = (tables.size() + 3) / 4;  // of elements in a row
    llvm::SmallVector<llvm::Constant*, 256> values;
    for (std::size_t row = 0; row < kTableSize; ++row) {
        for (std::size_t i = 0; i < 4 * quads; ++i)
            values.push_back(
                llvm::ConstantFP::get(element, i < tables.size() ? (*tables[i])[row] : 0.0));
    }
    llvm::GlobalVariable* rows = constant_array(b, element, values);
    auto* quad = llvm::FixedVectorType::get(element, 4);
    const llvm::Align align(16);
    const std::size_t lanes = llvm::cast<llvm::FixedVectorType>(index->getType())->getNumElements();
    // Places of rows in bytes, taken out of their vector two at a time.
    llvm::Value* offsets = low_bits(b, index);
    offsets = b.CreateMul(offsets, llvm::ConstantInt::get(offsets->getType(), 16 * quads));
    llvm::Value* pairs = b.CreateBitCast(
        offsets, llvm::FixedVectorType::get(b.getInt64Ty(), static_cast<unsigned>(lanes / 2)));
    std::vector<llvm::Value*> found(4 * quads);
    for (std::size_t lane = 0; lane < lanes; lane += 8) {
        std::array<llvm::Value*, 8> places{};
        for (std::size_t i = 0; i < 8; i += 2) {
            llvm::Value* pair = b.CreateExtractElement(pairs, (lane + i) / 2);
            places[i] = b.CreatePtrAdd(rows, b.CreateAnd(pair, 0xffffffff));
            places[i + 1] = b.CreatePtrAdd(rows, b.CreateLShr(pair, 32));
        }
        for (std::size_t first = 0; first < 4 * quads; first += 4) {
            const auto load = [&](std::size_t i) {
                return b.CreateAlignedLoad(quad, b.CreateConstGEP1_64(element, places[i], first),
                                           align);
            };
            std::array<llvm::Value*, 4> both{};
            for (std::size_t i = 0; i < 4; ++i) {
                llvm::Value* upper = load(i);
                llvm::Value* lower = load(i + 4);
                both[i] = b.CreateShuffleVector(upper, lower, {0, 1, 2, 3, 4, 5, 6, 7});
            }
            const std::array<llvm::Value*, 4> columns = columns_of(b, both);
            for (std::size_t i = 0; i < 4; ++i) {
                llvm::Value*& sofar = found[first + i];
                llvm::SmallVector<int, 16> all;
                for (std::size_t k = 0; k < lane + 8; ++k) all.push_back(static_cast<int>(k));
                sofar =
                    sofar == nullptr ? columns[i] : b.CreateShuffleVector(sofar, columns[i], all);
            }
        }
    }
    found.resize(tables.size());
    return found;
}

}  // namespace netc
