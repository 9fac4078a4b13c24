// Arithmetic of dimensions and their text. An opaque atom is a fully parenthesised text, such as
// `((H + 1) // 2)`, whose inside is in normal form with coefficients between 0 and the divisor; so
// equal quotients get equal texts.
#include "ir/dim.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <functional>
#include <limits>

namespace netc {
namespace {

// Shapes are numbers of the user's: what does not fit is held at the limit instead of wrapping.
std::int64_t saturate(bool negative) {
    return negative ? std::numeric_limits<std::int64_t>::min()
                    : std::numeric_limits<std::int64_t>::max();
}

std::int64_t add_saturating(std::int64_t a, std::int64_t b) {
    std::int64_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? saturate(a < 0) : sum;
}

std::int64_t multiply_saturating(std::int64_t a, std::int64_t b) {
    std::int64_t product = 0;
    return __builtin_mul_overflow(a, b, &product) ? saturate((a < 0) != (b < 0)) : product;
}

std::int64_t floor_quotient(std::int64_t a, std::int64_t divisor) {
    if (divisor == -1) return multiply_saturating(a, -1);
    return a / divisor - ((a % divisor != 0 && (a < 0) != (divisor < 0)) ? 1 : 0);
}

bool begins_name(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool continues_name(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.';
}

// sum := product (('+' | '-') product)*;  product := factor (('*' | '//' | '%') factor)*;
// factor := number | name | '-' factor | '(' sum ')'
class DimParser {
public:
    using Lookup = std::function<Dim(const std::string&)>;
    DimParser(std::string_view text, Lookup lookup) : text_(text), lookup_(std::move(lookup)) {}

    std::optional<Dim> parse() {
        std::optional<Dim> dim = sum();
        skip_space();
        if (position_ != text_.size()) return std::nullopt;
        return dim;
    }

private:
    void skip_space() {
        while (position_ < text_.size() && text_[position_] == ' ') ++position_;
    }
    bool accept(std::string_view token) {
        skip_space();
        if (text_.substr(position_, token.size()) != token) return false;
        position_ += token.size();
        return true;
    }
    std::optional<Dim> sum() {
        std::optional<Dim> left = product_of_factors();
        while (left) {
            const bool plus = accept("+");
            if (!plus && !accept("-")) break;
            const std::optional<Dim> right = product_of_factors();
            if (!right) return std::nullopt;
            left = plus ? *left + *right : *left - *right;
        }
        return left;
    }
    std::optional<Dim> product_of_factors() {
        std::optional<Dim> left = factor();
        while (left) {
            if (accept("*")) {
                const std::optional<Dim> right = factor();
                if (!right) return std::nullopt;
                left = *left * *right;
                continue;
            }
            const bool quotient = accept("//");
            if (!quotient && !accept("%")) break;
            const std::optional<Dim> right = factor();
            if (!right || !right->is_static() || right->value() == 0) return std::nullopt;
            left = quotient ? floor_div(*left, right->value()) : floor_mod(*left, right->value());
        }
        return left;
    }
    std::optional<Dim> factor() {
        if (++depth_ > 200) return std::nullopt;
        std::optional<Dim> result = factor_inside();
        --depth_;
        return result;
    }
    std::optional<Dim> factor_inside() {
        if (accept("-")) {
            const std::optional<Dim> inner = factor();
            if (!inner) return std::nullopt;
            return Dim(0) - *inner;
        }
        if (accept("(")) {
            std::optional<Dim> inner = sum();
            if (!inner || !accept(")")) return std::nullopt;
            return inner;
        }
        skip_space();
        const std::size_t begin = position_;
        if (begin < text_.size() && begins_name(text_[begin])) {
            while (position_ < text_.size() && continues_name(text_[position_])) ++position_;
            return lookup_(std::string(text_.substr(begin, position_ - begin)));
        }
        std::int64_t value = 0;
        while (position_ < text_.size() && text_[position_] >= '0' && text_[position_] <= '9') {
            value = add_saturating(multiply_saturating(value, 10), text_[position_] - '0');
            ++position_;
        }
        if (position_ == begin) return std::nullopt;
        return Dim(value);
    }

    std::string_view text_;
    Lookup lookup_;
    std::size_t position_ = 0;
    int depth_ = 0;
};

}  // namespace

Dim::Dim(std::int64_t value) {
    if (value != 0) terms_[{}] = value;
}

Dim Dim::symbol(std::string name) {
    Dim dim;
    dim.terms_[{std::move(name)}] = 1;
    return dim;
}

bool Dim::is_static() const {
    return terms_.empty() || (terms_.size() == 1 && terms_.begin()->first.empty());
}

std::int64_t Dim::value() const { return terms_.empty() ? 0 : terms_.begin()->second; }

std::optional<Extent> Dim::extent() const {
    Extent extent;
    for (const auto& [atoms, coefficient] : terms_) {
        if (atoms.empty()) {
            extent.constant = coefficient;
        } else if (atoms.size() == 1 && atoms[0] == kBatchSymbol) {
            extent.per_batch = coefficient;
        } else {
            return std::nullopt;
        }
    }
    return extent;
}

std::vector<std::string> Dim::symbols() const {
    std::vector<std::string> names;
    for (const auto& [atoms, coefficient] : terms_) {
        for (const std::string& atom : atoms) {
            for (std::size_t i = 0; i < atom.size();) {
                std::size_t end = i + 1;
                if (begins_name(atom[i])) {
                    while (end < atom.size() && continues_name(atom[end])) ++end;
                    names.push_back(atom.substr(i, end - i));
                }
                i = end;
            }
        }
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

Dim Dim::substitute(const std::string& symbol, const Dim& value) const {
    const auto lookup = [&](const std::string& name) {
        return name == symbol ? value : Dim::symbol(name);
    };
    Dim result;
    for (const auto& [atoms, coefficient] : terms_) {
        Dim term = coefficient;
        for (const std::string& atom : atoms) {
            const std::optional<Dim> replaced = DimParser(atom, lookup).parse();
            term = term * (replaced ? *replaced : Dim::symbol(atom));
        }
        result = result + term;
    }
    return result;
}

std::string Dim::to_string() const {
    if (terms_.empty()) return "0";
    // Higher degrees first, the constant last, as people write it.
    std::vector<std::pair<Monomial, std::int64_t>> ordered(terms_.begin(), terms_.end());
    std::stable_sort(ordered.begin(), ordered.end(),
                     [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
    std::string text;
    for (const auto& [atoms, coefficient] : ordered) {
        const bool negative = coefficient < 0;
        if (text.empty()) {
            if (negative) text += "-";
        } else {
            text += negative ? " - " : " + ";
        }
        const std::uint64_t magnitude = negative ? 0 - static_cast<std::uint64_t>(coefficient)
                                                 : static_cast<std::uint64_t>(coefficient);
        std::string factors;
        if (magnitude != 1 || atoms.empty()) factors = std::to_string(magnitude);
        for (const std::string& atom : atoms) factors += (factors.empty() ? "" : "*") + atom;
        text += factors;
    }
    return text;
}

Dim operator+(const Dim& a, const Dim& b) {
    Dim sum = a;
    for (const auto& [atoms, coefficient] : b.terms_) {
        const std::int64_t total = add_saturating(sum.terms_[atoms], coefficient);
        if (total == 0) {
            sum.terms_.erase(atoms);
        } else {
            sum.terms_[atoms] = total;
        }
    }
    return sum;
}

Dim operator-(const Dim& a, const Dim& b) { return a + Dim(-1) * b; }

Dim operator*(const Dim& a, const Dim& b) {
    Dim result;
    for (const auto& [left_atoms, left] : a.terms_) {
        for (const auto& [right_atoms, right] : b.terms_) {
            std::vector<std::string> atoms = left_atoms;
            atoms.insert(atoms.end(), right_atoms.begin(), right_atoms.end());
            std::sort(atoms.begin(), atoms.end());
            std::int64_t& total = result.terms_[std::move(atoms)];
            total = add_saturating(total, multiply_saturating(left, right));
        }
    }
    std::erase_if(result.terms_, [](const auto& term) { return term.second == 0; });
    return result;
}

double Dim::magnitude() const {
    double sum = 0;
    for (const auto& [atoms, coefficient] : terms_)
        sum += std::abs(static_cast<double>(coefficient));
    return sum;
}

Dim floor_div(const Dim& a, std::int64_t divisor) {
    if (a.is_static()) return floor_quotient(a.value(), divisor);
    if (divisor < 0) return floor_div(Dim(-1) * a, -divisor);
    // a = divisor * whole + rest, coefficients of rest in 0 .. divisor-1; so a // divisor is
    // whole + rest // divisor.
    Dim whole;
    Dim rest;
    for (const auto& [atoms, coefficient] : a.terms_) {
        const std::int64_t quotient = floor_quotient(coefficient, divisor);
        const std::int64_t remainder = coefficient - quotient * divisor;
        if (quotient != 0) whole.terms_[atoms] = quotient;
        if (remainder != 0) rest.terms_[atoms] = remainder;
    }
    if (rest.is_static()) return whole;
    const bool simple = rest.terms_.size() == 1 && rest.terms_.begin()->second == 1 &&
                        rest.terms_.begin()->first.size() == 1;
    const std::string text = simple ? rest.to_string() : "(" + rest.to_string() + ")";
    return whole + Dim::symbol("(" + text + " // " + std::to_string(divisor) + ")");
}

Dim floor_mod(const Dim& a, std::int64_t divisor) {
    if (a.is_static()) {
        return divisor == -1 ? 0 : a.value() - floor_quotient(a.value(), divisor) * divisor;
    }
    if (divisor < 0) return Dim(-1) * floor_mod(Dim(-1) * a, -divisor);
    Dim rest;
    for (const auto& [atoms, coefficient] : a.terms_) {
        const std::int64_t remainder = coefficient - floor_quotient(coefficient, divisor) * divisor;
        if (remainder != 0) rest.terms_[atoms] = remainder;
    }
    if (rest.is_static()) return rest;
    const bool simple = rest.terms_.size() == 1 && rest.terms_.begin()->second == 1 &&
                        rest.terms_.begin()->first.size() == 1;
    const std::string text = simple ? rest.to_string() : "(" + rest.to_string() + ")";
    return Dim::symbol("(" + text + " % " + std::to_string(divisor) + ")");
}

std::strong_ordering operator<=>(const Dim& a, const Dim& b) { return a.terms_ <=> b.terms_; }

Dim product(const std::vector<Dim>& dims) {
    Dim result = 1;
    for (const Dim& dim : dims) result = result * dim;
    return result;
}

std::optional<Dim> parse_dim(std::string_view text) {
    return DimParser(text, [](const std::string& name) { return Dim::symbol(name); }).parse();
}

}  // namespace netc
