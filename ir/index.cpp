// Normal form of index expressions: see index.h.
#include "ir/index.h"

#include <numeric>
#include <utility>

namespace netc {
namespace {

std::int64_t floor_quotient(std::int64_t a, std::int64_t b) {
    const std::int64_t quotient = a / b;
    return quotient * b > a ? quotient - 1 : quotient;
}

IndexTerm axis_term(AxisId axis) {
    IndexTerm term;
    term.axis = axis;
    return term;
}

// Everything but the coefficient.
std::strong_ordering compare_atoms(const IndexTerm& a, const IndexTerm& b) {
    if (auto order = a.kind <=> b.kind; order != 0) return order;
    if (a.kind == IndexTerm::Kind::axis) return a.axis <=> b.axis;
    if (auto order = a.inner[0] <=> b.inner[0]; order != 0) return order;
    return a.divisor <=> b.divisor;
}

}  // namespace

Index Index::axis(AxisId axis) {
    Index result;
    result.terms_.push_back(axis_term(axis));
    return result;
}

Index Index::of(IndexTerm term) {
    Index result;
    result.terms_.push_back(std::move(term));
    return result;
}

void Index::add_term(IndexTerm term) {
    if (term.coefficient == 0) return;
    for (auto it = terms_.begin(); it != terms_.end(); ++it) {
        const auto order = compare_atoms(*it, term);
        if (order == 0) {
            it->coefficient += term.coefficient;
            if (it->coefficient == 0) terms_.erase(it);
            return;
        }
        if (order > 0) {
            terms_.insert(it, std::move(term));
            return;
        }
    }
    terms_.push_back(std::move(term));
}

bool Index::is_axis(AxisId axis) const {
    return constant_ == 0 && terms_.size() == 1 && terms_[0].kind == IndexTerm::Kind::axis &&
           terms_[0].axis == axis && terms_[0].coefficient == 1;
}

bool Index::depends_on(AxisId axis) const {
    for (const IndexTerm& term : terms_) {
        if (term.kind == IndexTerm::Kind::axis ? term.axis == axis
                                               : term.inner[0].depends_on(axis)) {
            return true;
        }
    }
    return false;
}

std::optional<std::int64_t> Index::coefficient(AxisId axis) const {
    std::int64_t result = 0;
    for (const IndexTerm& term : terms_) {
        if (term.kind == IndexTerm::Kind::axis) {
            if (term.axis == axis) result = term.coefficient;
        } else if (term.inner[0].depends_on(axis)) {
            return std::nullopt;
        }
    }
    return result;
}

std::int64_t Index::evaluate(const std::function<std::int64_t(AxisId)>& value) const {
    std::int64_t sum = constant_;
    for (const IndexTerm& term : terms_) {
        std::int64_t atom = 0;
        if (term.kind == IndexTerm::Kind::axis) {
            atom = value(term.axis);
        } else {
            const std::int64_t inner = term.inner[0].evaluate(value);
            const std::int64_t quotient = floor_quotient(inner, term.divisor);
            atom = term.kind == IndexTerm::Kind::mod ? inner - quotient * term.divisor : quotient;
        }
        sum += term.coefficient * atom;
    }
    return sum;
}

Index Index::substitute(const std::function<std::optional<Index>(AxisId)>& replacement) const {
    Index result(constant_);
    for (const IndexTerm& term : terms_) {
        Index atom;
        if (term.kind == IndexTerm::Kind::axis) {
            std::optional<Index> replaced = replacement(term.axis);
            atom = replaced ? std::move(*replaced) : Index::axis(term.axis);
        } else {
            const Index inner = term.inner[0].substitute(replacement);
            atom = term.kind == IndexTerm::Kind::mod ? floor_mod(inner, term.divisor)
                                                     : floor_div(inner, term.divisor);
        }
        result = result + atom * term.coefficient;
    }
    return result;
}

std::string Index::to_string(const std::function<std::string(AxisId)>& name) const {
    std::string text;
    for (const IndexTerm& term : terms_) {
        std::int64_t coefficient = term.coefficient;
        if (!text.empty()) {
            text += coefficient < 0 ? " - " : " + ";
            if (coefficient < 0) coefficient = -coefficient;
        }
        if (coefficient == -1) text += "-";
        if (coefficient != 1 && coefficient != -1) text += std::to_string(coefficient) + "*";
        if (term.kind == IndexTerm::Kind::axis) {
            text += name(term.axis);
        } else {
            // Parentheses around the whole atom: `2*(i0 % 3)` reads as it is meant.
            const Index& inner = term.inner[0];
            std::string inside = inner.to_string(name);
            if (inner.terms().size() > 1 || inner.constant() != 0) inside = "(" + inside + ")";
            text += "(" + inside + (term.kind == IndexTerm::Kind::mod ? " % " : " // ") +
                    std::to_string(term.divisor) + ")";
        }
    }
    if (text.empty()) return std::to_string(constant_);
    if (constant_ > 0) text += " + " + std::to_string(constant_);
    if (constant_ < 0) text += " - " + std::to_string(-constant_);
    return text;
}

Index operator+(const Index& a, const Index& b) {
    Index result = a;
    result.constant_ += b.constant_;
    for (const IndexTerm& term : b.terms_) result.add_term(term);
    return result;
}

Index operator-(const Index& a, const Index& b) { return a + b * -1; }

Index operator*(const Index& a, std::int64_t factor) {
    if (factor == 0) return Index();
    Index result = a;
    result.constant_ *= factor;
    for (IndexTerm& term : result.terms_) term.coefficient *= factor;
    return result;
}

namespace {

// index = divisor * quotient + rest; the constant of rest is in 0 .. divisor-1, its coefficients are
// below the divisor in magnitude. floor_div and floor_mod split alike, so that their inner indices
// agree and `simplify` finds them.
struct Split {
    Index quotient, rest;
};

Split split(const Index& index, std::int64_t divisor) {
    Split result;
    const std::int64_t constant = floor_quotient(index.constant(), divisor);
    result.quotient = Index(constant);
    result.rest = Index(index.constant() - constant * divisor);
    for (IndexTerm term : index.terms()) {
        const std::int64_t whole = term.coefficient / divisor;
        const std::int64_t remainder = term.coefficient - whole * divisor;
        term.coefficient = 1;
        const auto with = [&](std::int64_t coefficient) { return Index::of(term) * coefficient; };
        if (whole != 0) result.quotient = result.quotient + with(whole);
        if (remainder != 0) result.rest = result.rest + with(remainder);
    }
    return result;
}

std::int64_t common_factor(const Index& index, std::int64_t divisor) {
    std::int64_t factor = divisor;
    for (const IndexTerm& term : index.terms()) factor = std::gcd(factor, term.coefficient);
    return factor;
}

// Every coefficient and the constant divided; the constant rounds down.
Index divided(const Index& index, std::int64_t factor) {
    Index result(floor_quotient(index.constant(), factor));
    for (IndexTerm term : index.terms()) {
        term.coefficient /= factor;
        result = result + Index::of(term);
    }
    return result;
}

}  // namespace

Index floor_div(const Index& a, std::int64_t divisor) {
    if (divisor == 1) return a;
    Split parts = split(a, divisor);
    if (parts.rest.is_constant()) return parts.quotient;
    if (const std::int64_t factor = common_factor(parts.rest, divisor); factor > 1) {
        return parts.quotient + floor_div(divided(parts.rest, factor), divisor / factor);
    }
    const auto& terms = parts.rest.terms();
    if (terms.size() == 1 && terms[0].coefficient == 1 &&
        terms[0].kind == IndexTerm::Kind::floor_div) {
        const std::int64_t inner_divisor = terms[0].divisor;
        return parts.quotient +
               floor_div(terms[0].inner[0] + Index(parts.rest.constant() * inner_divisor),
                         divisor * inner_divisor);
    }
    IndexTerm term;
    term.kind = IndexTerm::Kind::floor_div;
    term.divisor = divisor;
    term.inner.push_back(std::move(parts.rest));
    parts.quotient.add_term(std::move(term));
    return parts.quotient;
}

Index floor_mod(const Index& a, std::int64_t divisor) {
    if (divisor == 1) return Index();
    Index rest = split(a, divisor).rest;
    if (rest.is_constant()) return rest;
    if (const std::int64_t factor = common_factor(rest, divisor); factor > 1) {
        const std::int64_t low = rest.constant() % factor;
        return floor_mod(divided(rest, factor), divisor / factor) * factor + Index(low);
    }
    const auto& terms = rest.terms();
    if (terms.size() == 1 && terms[0].coefficient == 1 && terms[0].kind == IndexTerm::Kind::mod &&
        terms[0].divisor % divisor == 0) {
        return floor_mod(terms[0].inner[0] + Index(rest.constant()), divisor);
    }
    IndexTerm term;
    term.kind = IndexTerm::Kind::mod;
    term.divisor = divisor;
    term.inner.push_back(std::move(rest));
    Index result;
    result.add_term(std::move(term));
    return result;
}

bool operator==(const Index& a, const Index& b) { return (a <=> b) == 0; }

std::strong_ordering operator<=>(const Index& a, const Index& b) {
    for (std::size_t i = 0; i < a.terms_.size() && i < b.terms_.size(); ++i) {
        if (auto order = compare_atoms(a.terms_[i], b.terms_[i]); order != 0) return order;
        if (auto order = a.terms_[i].coefficient <=> b.terms_[i].coefficient; order != 0) {
            return order;
        }
    }
    if (auto order = a.terms_.size() <=> b.terms_.size(); order != 0) return order;
    return a.constant_ <=> b.constant_;
}

}  // namespace netc
