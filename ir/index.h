// Quasi-affine index expressions over the axes of a kernel:
//
//     Index = sum of c * (axis | floordiv(Index, d) | mod(Index, d)) + constant,   d > 0
//
// in a normal form: terms sorted, no zero coefficients, nothing folded that can be folded with the
// axes' extents known (`simplify`).
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ir/dim.h"

namespace netc {

using AxisId = std::uint32_t;  // an axis of one Kernel: index into Kernel::axes

class Index;

struct IndexTerm {
    enum class Kind : std::uint8_t { axis, floor_div, mod };
    std::int64_t coefficient = 1;
    Kind kind = Kind::axis;
    AxisId axis = 0;           // Kind::axis
    std::int64_t divisor = 1;  // else
    std::vector<Index> inner;  // one element, else
};

class Index {
public:
    Index() = default;
    Index(std::int64_t constant) : constant_(constant) {}  // NOLINT: a number is an index
    static Index axis(AxisId axis);
    // The term of an index in normal form, as an index of its own.
    static Index of(IndexTerm term);

    const std::vector<IndexTerm>& terms() const { return terms_; }
    std::int64_t constant() const { return constant_; }
    bool is_constant() const { return terms_.empty(); }
    bool is_axis(AxisId axis) const;  // exactly this axis
    bool depends_on(AxisId axis) const;
    // The coefficient of the axis where the index is affine in it (0 where it does not occur);
    // nothing where the axis occurs inside a floordiv or mod.
    std::optional<std::int64_t> coefficient(AxisId axis) const;

    std::int64_t evaluate(const std::function<std::int64_t(AxisId)>& value) const;
    Index substitute(const std::function<std::optional<Index>(AxisId)>& replacement) const;

    std::string to_string(const std::function<std::string(AxisId)>& name) const;

    friend Index operator+(const Index& a, const Index& b);
    friend Index operator-(const Index& a, const Index& b);
    friend Index operator*(const Index& a, std::int64_t factor);
    friend Index floor_div(const Index& a, std::int64_t divisor);  // divisor > 0
    friend Index floor_mod(const Index& a, std::int64_t divisor);
    friend bool operator==(const Index& a, const Index& b);
    friend std::strong_ordering operator<=>(const Index& a, const Index& b);

private:
    void add_term(IndexTerm term);
    std::vector<IndexTerm> terms_;
    std::int64_t constant_ = 0;
};

// Folds floordiv and mod that the extents decide: (c*d + r) // d with 0 <= r < d is c; and the
// mixed-radix identity (i // d) * d + i % d = i. `extent` gives an axis' static extent, if it has one.
Index simplify(const Index& index,
               const std::function<std::optional<std::int64_t>(AxisId)>& extent);

// Least and greatest value over all axes' ranges, where they are static.
struct Range {
    std::int64_t low = 0;
    std::int64_t high = 0;
};
std::optional<Range> range_of(const Index& index,
                              const std::function<std::optional<std::int64_t>(AxisId)>& extent);

}  // namespace netc
