// Sums of loop counters; see the header.
#include "backends/cpu/arithmetic.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "ir/layout.h"

namespace netc {
namespace {

std::int64_t clamp_wide(__int128 value) {
    if (value > kUnbounded) return kUnbounded;
    if (value < -kUnbounded) return -kUnbounded;
    return static_cast<std::int64_t>(value);
}

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
    const std::int64_t quotient = a / b;
    return quotient * b > a ? quotient - 1 : quotient;
}

bool is_power_of_two(std::int64_t value) { return value > 0 && (value & (value - 1)) == 0; }

unsigned log2_of(std::int64_t value) {
    return static_cast<unsigned>(__builtin_ctzll(static_cast<unsigned long long>(value)));
}

enum class Tag : std::uint64_t {
    scale,
    add,
    divide,
    modulo,
    step,
    scale_value,
    address,
    below,
    both,
    bits,
    lane
};

}  // namespace

void Arithmetic::enter(llvm::Instruction* preheader_end) {
    const std::uint32_t depth = scopes_.back().depth + (preheader_end != nullptr ? 1U : 0U);
    scopes_.push_back(Scope{preheader_end, depth, {}});
}

void Arithmetic::leave() { scopes_.pop_back(); }

void Arithmetic::add_known(llvm::Value* value, Range range) {
    const std::uint32_t depth = llvm::isa<llvm::Constant>(value) ? 0 : scopes_.back().depth;
    known_.emplace(value, Known{static_cast<std::uint32_t>(known_.size()), depth, range});
}

Linear Arithmetic::make_value(llvm::Value* value, Range range) {
    if (auto* constant_value = llvm::dyn_cast<llvm::ConstantInt>(value)) {
        return constant(constant_value->getSExtValue());
    }
    add_known(value, range);
    Linear linear;
    linear.terms.push_back({value, 1});
    return linear;
}

Linear Arithmetic::constant(std::int64_t value) const {
    Linear linear;
    linear.constant = value;
    return linear;
}

std::uint64_t Arithmetic::number(llvm::Value* value) {
    const auto found = known_.find(value);
    if (found == known_.end()) {
        add_known(value, {-kUnbounded, kUnbounded});
        return known_.at(value).number;
    }
    return found->second.number;
}

std::uint32_t Arithmetic::depth_of(llvm::Value* value) const {
    const auto found = known_.find(value);
    return found == known_.end() ? scopes_.back().depth : found->second.depth;
}

Linear Arithmetic::add(const Linear& a, const Linear& b) {
    Linear sum;
    sum.constant = a.constant + b.constant;
    sum.lane = a.lane + b.lane;
    if (a.vector != nullptr && b.vector != nullptr) {
        sum.vector = builder_.CreateAdd(a.vector, b.vector);
    } else {
        sum.vector = a.vector != nullptr ? a.vector : b.vector;
    }
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < a.terms.size() || j < b.terms.size()) {
        if (j == b.terms.size() ||
            (i < a.terms.size() && number(a.terms[i].value) < number(b.terms[j].value))) {
            sum.terms.push_back(a.terms[i++]);
        } else if (i == a.terms.size() || number(b.terms[j].value) < number(a.terms[i].value)) {
            sum.terms.push_back(b.terms[j++]);
        } else {
            const std::int64_t factor = a.terms[i].factor + b.terms[j].factor;
            if (factor != 0) sum.terms.push_back({a.terms[i].value, factor});
            ++i;
            ++j;
        }
    }
    return sum;
}

Linear Arithmetic::scale(const Linear& a, std::int64_t factor) {
    if (factor == 0) return constant(0);
    Linear product = a;
    for (LinearTerm& term : product.terms) term.factor *= factor;
    product.constant *= factor;
    product.lane *= factor;
    if (product.vector != nullptr && factor != 1) {
        product.vector = builder_.CreateMul(
            product.vector, llvm::ConstantInt::getSigned(product.vector->getType(), factor));
    }
    return product;
}

Linear Arithmetic::multiply(const Linear& a, llvm::Value* factor) {
    if (auto* fixed = llvm::dyn_cast<llvm::ConstantInt>(factor))
        return scale(a, fixed->getSExtValue());
    if (a.is_scalar()) {
        Linear sum;
        for (const LinearTerm& term : a.terms) {
            const std::uint32_t depth = std::max(depth_of(term.value), depth_of(factor));
            llvm::Value* product = once(
                {static_cast<std::uint64_t>(Tag::scale_value), number(term.value), number(factor)},
                depth, [&] { return builder_.CreateMul(term.value, factor); });
            const Range of_term = known_.at(term.value).range;
            if (!known_.count(product)) {
                known_.emplace(product, Known{static_cast<std::uint32_t>(known_.size()),
                                              depth,
                                              {of_term.low >= 0 ? 0 : -kUnbounded, kUnbounded}});
            }
            Linear one;
            one.terms.push_back({product, term.factor});
            sum = add(sum, one);
        }
        if (a.constant != 0) {
            number(factor);
            Linear one;
            one.terms.push_back({factor, a.constant});
            sum = add(sum, one);
        }
        return sum;
    }
    Linear product;
    product.vector = builder_.CreateMul(vector(a), builder_.CreateVectorSplat(kLanes, factor));
    return product;
}

Range Arithmetic::range(const Linear& a) const {
    if (a.vector != nullptr) return {-kUnbounded, kUnbounded};
    __int128 low = a.constant + std::min<std::int64_t>(0, a.lane * (kLanes - 1));
    __int128 high = a.constant + std::max<std::int64_t>(0, a.lane * (kLanes - 1));
    for (const LinearTerm& term : a.terms) {
        const auto found = known_.find(term.value);
        const Range value =
            found == known_.end() ? Range{-kUnbounded, kUnbounded} : found->second.range;
        const __int128 first = static_cast<__int128>(value.low) * term.factor;
        const __int128 second = static_cast<__int128>(value.high) * term.factor;
        low += std::min(first, second);
        high += std::max(first, second);
    }
    return {clamp_wide(low), clamp_wide(high)};
}

// The value made by `make`, emitted in the outermost scope of this depth and only once.
template <class Make>
llvm::Value* Arithmetic::once(const Key& key, std::uint32_t depth, Make make) {
    for (std::size_t i = scopes_.size(); i-- > 0;) {
        const auto found = scopes_[i].made.find(key);
        if (found != scopes_[i].made.end()) return found->second;
    }
    std::size_t loop = 0;
    while (loop < scopes_.size() && scopes_[loop].depth <= depth) ++loop;
    if (loop == scopes_.size()) {
        llvm::Value* value = make();
        scopes_.back().made.emplace(key, value);
        return value;
    }
    llvm::IRBuilderBase::InsertPointGuard guard(builder_);
    builder_.SetInsertPoint(scopes_[loop].preheader_end);
    llvm::Value* value = make();
    scopes_[loop - 1].made.emplace(key, value);
    return value;
}

Linear Arithmetic::divided_value(const Linear& rest, std::int64_t divisor, bool modulo) {
    const bool nonnegative = range(rest).low >= 0;
    const auto emit = [&](llvm::Value* value) -> llvm::Value* {
        llvm::Type* type = value->getType();
        llvm::Value* d = llvm::ConstantInt::getSigned(type, divisor);
        if (is_power_of_two(divisor)) {
            if (modulo)
                return builder_.CreateAnd(value, llvm::ConstantInt::getSigned(type, divisor - 1));
            return builder_.CreateAShr(value, llvm::ConstantInt::getSigned(type, log2_of(divisor)));
        }
        if (nonnegative) {
            return modulo ? builder_.CreateURem(value, d) : builder_.CreateUDiv(value, d);
        }
        llvm::Value* zero = llvm::ConstantInt::getSigned(type, 0);
        llvm::Value* remainder = builder_.CreateSRem(value, d);
        llvm::Value* negative = builder_.CreateICmpSLT(remainder, zero);
        if (modulo) {
            return builder_.CreateSelect(negative, builder_.CreateAdd(remainder, d), remainder);
        }
        llvm::Value* quotient = builder_.CreateSDiv(value, d);
        return builder_.CreateAdd(quotient, builder_.CreateSExt(negative, type));
    };
    Linear result;
    if (!rest.is_scalar()) {
        result.vector = emit(vector(rest));
        return result;
    }
    llvm::Value* value = scalar(rest);
    const std::uint32_t depth = depth_of(value);
    llvm::Value* divided = once({static_cast<std::uint64_t>(modulo ? Tag::modulo : Tag::divide),
                                 number(value), static_cast<std::uint64_t>(divisor)},
                                depth, [&] { return emit(value); });
    if (!known_.count(divided)) {
        Range bounds{0, divisor - 1};
        if (!modulo) {
            const Range of_value = range(rest);
            bounds = {floor_divide(of_value.low, divisor), floor_divide(of_value.high, divisor)};
        }
        known_.emplace(divided, Known{static_cast<std::uint32_t>(known_.size()), depth, bounds});
    }
    result.terms.push_back({divided, 1});
    return result;
}

// Of what is counted in blocks, all terms and the divisor being multiples of the block: the place within the block,
// lanes included. Nothing where the lanes may leave it.
std::optional<Linear> Arithmetic::place_in_block(const Linear& a, std::int64_t divisor) {
    std::int64_t block = divisor;
    for (const LinearTerm& term : a.terms) block = std::gcd(block, std::abs(term.factor));
    Linear place;
    place.constant = a.constant - floor_divide(a.constant, block) * block;
    place.lane = a.lane;
    if (a.lane <= 0 || a.vector != nullptr || place.constant + a.lane * (kLanes - 1) >= block)
        return std::nullopt;
    return place;
}

Linear Arithmetic::floor_div(const Linear& a, std::int64_t divisor) {
    if (divisor == 1) return a;
    // Lanes that stay within a block do not count.
    if (const auto place = place_in_block(a, divisor))
        return floor_div(add(a, scale(*place, -1)), divisor);
    Linear quotient;
    Linear rest;
    for (const LinearTerm& term : a.terms) {
        if (term.factor % divisor == 0) {
            quotient.terms.push_back({term.value, term.factor / divisor});
        } else {
            rest.terms.push_back(term);
        }
    }
    quotient.constant = floor_divide(a.constant, divisor);
    rest.constant = a.constant - quotient.constant * divisor;
    if (a.lane % divisor == 0) {
        quotient.lane = a.lane / divisor;
    } else {
        rest.lane = a.lane;
    }
    rest.vector = a.vector;
    const Range of_rest = range(rest);
    if (of_rest.low >= 0 && of_rest.high < divisor) return quotient;
    return add(quotient, divided_value(rest, divisor, false));
}

Linear Arithmetic::floor_mod(const Linear& a, std::int64_t divisor) {
    if (divisor == 1) return constant(0);
    if (const auto place = place_in_block(a, divisor))
        return add(floor_mod(add(a, scale(*place, -1)), divisor), *place);
    Linear rest;
    for (const LinearTerm& term : a.terms) {
        if (term.factor % divisor != 0) rest.terms.push_back(term);
    }
    rest.constant = a.constant - floor_divide(a.constant, divisor) * divisor;
    if (a.lane % divisor != 0) rest.lane = a.lane;
    rest.vector = a.vector;
    const Range of_rest = range(rest);
    if (of_rest.low >= 0 && of_rest.high < divisor) return rest;
    return divided_value(rest, divisor, true);
}

llvm::Value* Arithmetic::below(const Linear& a, llvm::Value* limit) {
    llvm::Value* value = scalar(a);
    return once({static_cast<std::uint64_t>(Tag::below), number(value), number(limit)},
                std::max(depth_of(value), depth_of(limit)),
                [&] { return builder_.CreateICmpULT(value, limit); });
}

llvm::Value* Arithmetic::both(llvm::Value* a, llvm::Value* b) {
    if (a == nullptr || a == b) return b;
    if (b == nullptr) return a;
    return once({static_cast<std::uint64_t>(Tag::both), number(a), number(b)}, scopes_.back().depth,
                [&] { return builder_.CreateAnd(a, b); });
}

// From the mask as a number: of lanes one by one LLVM would make vectors first.
llvm::Value* Arithmetic::lane_of(llvm::Value* mask, std::int64_t lane) {
    if (auto* constant = llvm::dyn_cast<llvm::Constant>(mask))
        return constant->getAggregateElement(static_cast<unsigned>(lane));
    const std::uint32_t depth = scopes_.back().depth;
    llvm::Value* bits = once({static_cast<std::uint64_t>(Tag::bits), number(mask)}, depth, [&] {
        return builder_.CreateZExt(builder_.CreateBitCast(mask, builder_.getInt16Ty()),
                                   builder_.getInt32Ty());
    });
    return once(
        {static_cast<std::uint64_t>(Tag::lane), number(mask), static_cast<std::uint64_t>(lane)},
        depth, [&] {
            llvm::Value* bit = builder_.CreateAnd(bits, std::uint64_t{1} << lane);
            return builder_.CreateIsNotNull(bit);
        });
}

llvm::Value* Arithmetic::scalar(const Linear& a) {
    llvm::Type* type = builder_.getInt64Ty();
    llvm::Value* sum = nullptr;
    std::uint32_t depth = 0;
    llvm::SmallVector<LinearTerm, 4> terms = a.terms;
    std::stable_sort(terms.begin(), terms.end(), [&](const LinearTerm& x, const LinearTerm& y) {
        return depth_of(x.value) < depth_of(y.value);
    });
    for (const LinearTerm& term : terms) {
        llvm::Value* product = term.value;
        const std::uint32_t own_depth = depth_of(term.value);
        depth = std::max(depth, own_depth);
        if (term.factor != 1) {
            product = once({static_cast<std::uint64_t>(Tag::scale), number(term.value),
                            static_cast<std::uint64_t>(term.factor)},
                           own_depth, [&] {
                               return builder_.CreateMul(
                                   term.value, llvm::ConstantInt::getSigned(type, term.factor));
                           });
            if (!known_.count(product)) {
                Linear one;
                one.terms.push_back(term);
                const Range bounds = range(one);
                known_.emplace(product,
                               Known{static_cast<std::uint32_t>(known_.size()), own_depth, bounds});
            }
        }
        if (sum == nullptr) {
            sum = product;
            continue;
        }
        llvm::Value* left = sum;
        sum = once({static_cast<std::uint64_t>(Tag::add), number(left), number(product)}, depth,
                   [&] { return builder_.CreateAdd(left, product); });
        if (!known_.count(sum)) {
            const Range x = known_.at(left).range;
            const Range y = known_.at(product).range;
            known_.emplace(sum, Known{static_cast<std::uint32_t>(known_.size()),
                                      depth,
                                      {clamp_wide(static_cast<__int128>(x.low) + y.low),
                                       clamp_wide(static_cast<__int128>(x.high) + y.high)}});
        }
    }
    llvm::Value* fixed = llvm::ConstantInt::getSigned(type, a.constant);
    if (sum == nullptr) return fixed;
    if (a.constant == 0) return sum;
    llvm::Value* left = sum;
    llvm::Value* result = once({static_cast<std::uint64_t>(Tag::step), number(left),
                                static_cast<std::uint64_t>(a.constant)},
                               depth, [&] { return builder_.CreateAdd(left, fixed); });
    if (!llvm::isa<llvm::Constant>(result) && !known_.count(result)) {
        known_.emplace(result, Known{static_cast<std::uint32_t>(known_.size()), depth, range(a)});
    }
    return result;
}

llvm::Value* Arithmetic::vector(const Linear& a) {
    Linear uniform = a;
    uniform.lane = 0;
    uniform.vector = nullptr;
    llvm::Value* sum = builder_.CreateVectorSplat(kLanes, scalar(uniform));
    if (a.lane != 0) {
        llvm::SmallVector<llvm::Constant*, 16> lanes;
        for (std::int64_t i = 0; i < kLanes; ++i) {
            lanes.push_back(llvm::ConstantInt::getSigned(builder_.getInt64Ty(), i * a.lane));
        }
        sum = builder_.CreateAdd(sum, llvm::ConstantVector::get(lanes));
    }
    if (a.vector != nullptr) sum = builder_.CreateAdd(sum, a.vector);
    return sum;
}

llvm::Value* Arithmetic::address(llvm::Value* base, const Linear& bytes) {
    Linear variable = bytes;
    variable.lane = 0;
    variable.vector = nullptr;
    variable.constant = 0;
    llvm::Value* pointer = base;
    if (!variable.terms.empty()) {
        // One addition for each loop level, so that the parts that stay are outside.
        std::map<std::uint32_t, Linear> by_depth;
        for (const LinearTerm& term : variable.terms) {
            by_depth[depth_of(term.value)].terms.push_back(term);
        }
        for (auto& [depth, part] : by_depth) {
            llvm::Value* offset = scalar(part);
            llvm::Value* from = pointer;
            number(from);
            pointer = once({static_cast<std::uint64_t>(Tag::address), number(from), number(offset)},
                           std::max(depth, depth_of(from)),
                           [&] { return builder_.CreatePtrAdd(from, offset); });
            if (!known_.count(pointer)) {
                known_.emplace(pointer, Known{static_cast<std::uint32_t>(known_.size()),
                                              std::max(depth, depth_of(from)),
                                              {-kUnbounded, kUnbounded}});
            }
        }
    }
    if (bytes.constant == 0) return pointer;
    return builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), pointer,
                                               static_cast<std::uint64_t>(bytes.constant));
}

}  // namespace netc
