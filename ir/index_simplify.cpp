// What the extents of the axes decide about an index: ranges, and floordiv and mod that they fold.
#include <algorithm>
#include <numeric>

#include "ir/index.h"

namespace netc {
namespace {

using ExtentOf = std::function<std::optional<std::int64_t>(AxisId)>;

std::int64_t floor_quotient(std::int64_t a, std::int64_t b) {
    const std::int64_t quotient = a / b;
    return quotient * b > a ? quotient - 1 : quotient;
}

std::optional<Range> range_of_atom(const IndexTerm& term, const ExtentOf& extent) {
    if (term.kind == IndexTerm::Kind::axis) {
        const std::optional<std::int64_t> size = extent(term.axis);
        if (!size) return std::nullopt;
        return Range{0, std::max<std::int64_t>(*size - 1, 0)};
    }
    const std::optional<Range> inner = range_of(term.inner[0], extent);
    if (term.kind == IndexTerm::Kind::mod) {
        if (inner) {
            const std::int64_t quotient = floor_quotient(inner->low, term.divisor);
            if (quotient == floor_quotient(inner->high, term.divisor)) {
                return Range{inner->low - quotient * term.divisor,
                             inner->high - quotient * term.divisor};
            }
        }
        return Range{0, term.divisor - 1};
    }
    if (!inner) return std::nullopt;
    return Range{floor_quotient(inner->low, term.divisor),
                 floor_quotient(inner->high, term.divisor)};
}

// The term without its coefficient.
Index atom_of(IndexTerm term) {
    term.coefficient = 1;
    return Index::of(std::move(term));
}

// index = factor * multiple + rest with 0 <= rest < factor, where the extents show it.
struct Digits {
    std::int64_t factor = 1;
    Index multiple, rest;
};

std::optional<Digits> split_digits(const Index& index, std::int64_t divisor,
                                   const ExtentOf& extent) {
    for (const IndexTerm& candidate : index.terms()) {
        const std::int64_t factor = std::gcd(candidate.coefficient, divisor);
        if (factor <= 1) continue;
        Digits digits;
        digits.factor = factor;
        for (const IndexTerm& term : index.terms()) {
            if (term.coefficient % factor == 0) {
                digits.multiple = digits.multiple + atom_of(term) * (term.coefficient / factor);
            } else {
                digits.rest = digits.rest + atom_of(term) * term.coefficient;
            }
        }
        const std::int64_t whole = floor_quotient(index.constant(), factor);
        digits.multiple = digits.multiple + Index(whole);
        digits.rest = digits.rest + Index(index.constant() - whole * factor);
        const std::optional<Range> range = range_of(digits.rest, extent);
        if (range && range->low >= 0 && range->high < factor) return digits;
    }
    return std::nullopt;
}

Index simplify_atom(const IndexTerm& term, const ExtentOf& extent) {
    if (term.kind == IndexTerm::Kind::axis) {
        const std::optional<std::int64_t> size = extent(term.axis);
        return size && *size == 1 ? Index() : Index::axis(term.axis);
    }
    const bool is_mod = term.kind == IndexTerm::Kind::mod;
    const Index inner = simplify(term.inner[0], extent);
    if (const std::optional<Range> range = range_of(inner, extent)) {
        const std::int64_t quotient = floor_quotient(range->low, term.divisor);
        if (quotient == floor_quotient(range->high, term.divisor)) {
            return is_mod ? inner - Index(quotient * term.divisor) : Index(quotient);
        }
    }
    if (const auto digits = split_digits(inner, term.divisor, extent)) {
        const std::int64_t rest_divisor = term.divisor / digits->factor;
        if (!is_mod) return simplify(floor_div(digits->multiple, rest_divisor), extent);
        return simplify(floor_mod(digits->multiple, rest_divisor) * digits->factor + digits->rest,
                        extent);
    }
    return is_mod ? floor_mod(inner, term.divisor) : floor_div(inner, term.divisor);
}

// c*d * (i // d) + c * (i % d) = c * i, once; nothing where there is no such pair.
std::optional<Index> join_digits(const Index& index) {
    for (const IndexTerm& low : index.terms()) {
        if (low.kind != IndexTerm::Kind::mod) continue;
        const Index high = floor_div(low.inner[0], low.divisor);
        if (high.terms().size() != 1) continue;
        const std::int64_t wanted = low.coefficient * low.divisor;
        for (const IndexTerm& term : index.terms()) {
            if (term.coefficient != wanted * high.terms()[0].coefficient) continue;
            if (atom_of(term) != atom_of(high.terms()[0])) continue;
            return index - high * wanted - floor_mod(low.inner[0], low.divisor) * low.coefficient +
                   low.inner[0] * low.coefficient;
        }
    }
    return std::nullopt;
}

}  // namespace

Index simplify(const Index& index, const ExtentOf& extent) {
    Index result(index.constant());
    for (const IndexTerm& term : index.terms()) {
        result = result + simplify_atom(term, extent) * term.coefficient;
    }
    while (std::optional<Index> joined = join_digits(result)) result = std::move(*joined);
    return result;
}

std::optional<Range> range_of(const Index& index, const ExtentOf& extent) {
    Range sum{index.constant(), index.constant()};
    for (const IndexTerm& term : index.terms()) {
        const std::optional<Range> atom = range_of_atom(term, extent);
        if (!atom) return std::nullopt;
        const std::int64_t a = atom->low * term.coefficient;
        const std::int64_t b = atom->high * term.coefficient;
        sum.low += std::min(a, b);
        sum.high += std::max(a, b);
    }
    return sum;
}

}  // namespace netc
