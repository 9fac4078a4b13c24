#include "passes/place.h"

#include <algorithm>

namespace netc {
namespace {

void collect_axes(const Index& index, std::vector<AxisId>& axes) {
    for (const IndexTerm& term : index.terms()) {
        if (term.kind == IndexTerm::Kind::axis) {
            axes.push_back(term.axis);
        } else {
            collect_axes(term.inner[0], axes);
        }
    }
}

bool all_of_axes(const Index& index, const std::function<bool(AxisId)>& holds) {
    std::vector<AxisId> axes;
    collect_axes(index, axes);
    return std::all_of(axes.begin(), axes.end(), holds);
}

// A digit of a mixed-radix number.
struct Digit {
    std::int64_t weight = 0;
    Extent extent;
};

// The digits, least weight first, count through 0 .. extent-1 without gap.
bool counts_through(std::vector<Digit> digits, const Extent& extent) {
    std::erase_if(digits, [](const Digit& d) { return d.extent == Extent{0, 1}; });
    std::sort(digits.begin(), digits.end(),
              [](const Digit& a, const Digit& b) { return a.weight < b.weight; });
    Extent reached{0, 1};
    for (const Digit& digit : digits) {
        if (reached != Extent{0, digit.weight}) return false;
        reached = digit.extent * digit.weight;
    }
    return reached == extent;
}

}  // namespace

std::function<std::optional<std::int64_t>(AxisId)> AxisView::static_extents() const {
    return [&known = axes](AxisId axis) -> std::optional<std::int64_t> {
        const Extent& extent = known[axis].extent;
        if (!extent.is_static()) return std::nullopt;
        return extent.constant;
    };
}

std::optional<Place> place_of(const std::vector<Index>& index, const AxisView& axes) {
    Place place;
    for (std::size_t d = 0; d < index.size(); ++d) {
        Index base(index[d].constant()), rest;
        for (const IndexTerm& term : index[d].terms()) {
            const Index one = Index::of(term);
            if (all_of_axes(one, [&](AxisId a) { return axes.is_outer(a); })) {
                base = base + one;
            } else if (all_of_axes(one, [&](AxisId a) { return !axes.is_outer(a); })) {
                rest = rest + one;
            } else {
                return std::nullopt;
            }
        }
        if (!rest.is_constant()) {
            Extent extent;
            if (const std::optional<Range> range = range_of(rest, axes.static_extents())) {
                base = base + Index(range->low);
                extent = {0, range->high - range->low + 1};
            } else if (rest.terms().size() == 1 && rest.is_axis(rest.terms()[0].axis)) {
                extent = axes.axes[rest.terms()[0].axis].extent;
            } else {
                return std::nullopt;
            }
            place.own.push_back({d, extent});
        }
        place.base.push_back(std::move(base));
    }
    return place;
}

std::vector<Index> index_at(const Place& place, const std::vector<AxisId>& axes) {
    std::vector<Index> index = place.base;
    for (std::size_t k = 0; k < place.own.size(); ++k) {
        Index& at = index[place.own[k].dim];
        at = at + Index::axis(axes[k]);
    }
    return index;
}

std::optional<std::vector<Index>> index_within(const Place& place, const std::vector<Index>& index,
                                               const AxisView& axes) {
    std::vector<Index> within;
    std::size_t k = 0;
    for (std::size_t d = 0; d < index.size(); ++d) {
        const Index rest = simplify(index[d] - place.base[d], axes.static_extents());
        if (k == place.own.size() || place.own[k].dim != d) {
            if (rest != Index(0)) return std::nullopt;
            continue;
        }
        const Extent& extent = place.own[k++].extent;
        if (!all_of_axes(rest, [&](AxisId a) { return !axes.is_outer(a); })) return std::nullopt;
        const std::optional<Range> range = range_of(rest, axes.static_extents());
        if (range) {
            if (range->low < 0 || !extent.is_static() || range->high >= extent.constant) {
                return std::nullopt;
            }
        } else if (rest.terms().size() != 1 || !rest.is_axis(rest.terms()[0].axis) ||
                   axes.axes[rest.terms()[0].axis].extent != extent) {
            return std::nullopt;
        }
        within.push_back(rest);
    }
    return within;
}

bool covers_exactly(const Place& place, const std::vector<Extent>& shape,
                    const std::vector<AxisId>& outer, const AxisView& axes) {
    std::vector<AxisId> used;
    std::size_t k = 0;
    for (std::size_t d = 0; d < shape.size(); ++d) {
        std::vector<Digit> digits;
        if (place.base[d].constant() != 0) return false;
        for (const IndexTerm& term : place.base[d].terms()) {
            if (term.kind != IndexTerm::Kind::axis) return false;
            digits.push_back({term.coefficient, axes.axes[term.axis].extent});
            used.push_back(term.axis);
        }
        if (k < place.own.size() && place.own[k].dim == d) {
            digits.push_back({1, place.own[k++].extent});
        }
        if (!counts_through(std::move(digits), shape[d])) return false;
    }
    std::sort(used.begin(), used.end());
    std::vector<AxisId> all = outer;
    std::sort(all.begin(), all.end());
    return used == all;
}

bool uses_all(const Place& place, const std::vector<AxisId>& outer) {
    return std::all_of(outer.begin(), outer.end(), [&](AxisId axis) {
        return std::any_of(place.base.begin(), place.base.end(),
                           [&](const Index& index) { return index.depends_on(axis); });
    });
}

}  // namespace netc
