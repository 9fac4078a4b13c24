// Dimensions: polynomials over named symbols with integer coefficients, in a normal form.
//
//     B            the batch          2*B*T + 3
//     (H + 1) // 2 stays an opaque atom unless every coefficient divides
//
// Two dimensions are equal when their normal forms are. Code generation knows one symbol, the batch
// `B`, and only linear in it: see Extent.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace netc {

// The one symbol that compiled code knows.
inline constexpr const char* kBatchSymbol = "B";

// per_batch * B + constant. What a dimension is for kernels and programs.
struct Extent {
    std::int64_t per_batch = 0;
    std::int64_t constant = 0;
    // Groups of so many, the last one perhaps not full; only code for GPUs makes extents with more than 1.
    std::int64_t divisor = 1;

    constexpr bool is_static() const { return per_batch == 0; }
    constexpr std::int64_t at(std::int64_t batch) const {
        return (per_batch * batch + constant + divisor - 1) / divisor;
    }
    friend constexpr auto operator<=>(const Extent&, const Extent&) = default;
};

constexpr Extent operator+(Extent a, Extent b) {
    return {a.per_batch + b.per_batch, a.constant + b.constant};
}
constexpr Extent operator*(Extent a, std::int64_t factor) {
    return {a.per_batch * factor, a.constant * factor};
}

class Dim {
public:
    Dim() = default;
    Dim(std::int64_t value);  // NOLINT: a number is a dimension
    static Dim symbol(std::string name);

    bool is_static() const;
    // The value; only where is_static().
    std::int64_t value() const;
    // a*B + c, where the dimension is that.
    std::optional<Extent> extent() const;
    // The sum of all |coefficients|: no less than the size where every symbol is 1.
    double magnitude() const;
    // Names that occur, ascending, also those inside opaque atoms.
    std::vector<std::string> symbols() const;
    // Replaces a symbol by a value, inside opaque atoms too.
    Dim substitute(const std::string& symbol, const Dim& value) const;
    // `2*B*T + 3`: the normal form as text, readable by parse_dim.
    std::string to_string() const;

    friend Dim operator+(const Dim& a, const Dim& b);
    friend Dim operator-(const Dim& a, const Dim& b);
    friend Dim operator*(const Dim& a, const Dim& b);
    // Round toward minus infinity; divisor is not 0.
    friend Dim floor_div(const Dim& a, std::int64_t divisor);
    friend Dim floor_mod(const Dim& a, std::int64_t divisor);
    friend bool operator==(const Dim&, const Dim&) = default;
    friend std::strong_ordering operator<=>(const Dim& a, const Dim& b);

private:
    // Product of atoms (a symbol or the text of an opaque term), ascending with repetition; empty is 1.
    using Monomial = std::vector<std::string>;
    std::map<Monomial, std::int64_t> terms_;  // no zero coefficients
};

// Product of all; 1 for none.
Dim product(const std::vector<Dim>& dims);

// Reads what to_string writes; nothing where the text is not a dimension.
std::optional<Dim> parse_dim(std::string_view text);

}  // namespace netc
