#include "backends/cpu/matrix_sum.h"

#include <algorithm>

#include "backends/cpu/narrow_product.h"
#include "backends/cpu/schedule.h"

namespace netc {
namespace {

// With fewer words in a step, or columns, vectors are as fast.
constexpr std::int64_t kLeastWords = 6;
constexpr std::int64_t kLeastColumns = 8;

bool depends_on(const Kernel& kernel, const std::vector<std::uint32_t>& reads, AxisId axis) {
    return std::ranges::any_of(reads, [&](std::uint32_t read) {
        return std::ranges::any_of(kernel.reads[read].index,
                                   [&](const Index& index) { return index.depends_on(axis); });
    });
}

// One element of an array, whose place is no data.
bool plain(const Kernel& kernel, const std::vector<std::uint32_t>& reads) {
    return reads.size() == 1 && std::ranges::all_of(reads, [&](std::uint32_t read) {
               return kernel.reads[read].source.kind == Buffer::Kind::param &&
                      kernel.reads[read].indirect < 0;
           });
}

// The size of parts of `count` that are as even as multiples of `unit` can be, and at most `most`.
std::int64_t even_part(std::int64_t count, std::int64_t most, std::int64_t unit) {
    const std::int64_t parts = (count + most - 1) / most;
    const std::int64_t part = (count + parts - 1) / parts;
    return std::min(most, (part + unit - 1) / unit * unit);
}

// Which reduced axes a step walks: from the innermost outwards, as long as whole ones fit.
void choose_step(const Kernel& kernel, const Reduction& sum, MatrixSum& found) {
    const std::int64_t most = kTileRows * found.in_word;
    // A tap of a window: its terms are missing for some places of a longer axis.
    const auto is_tap = [&](AxisId axis) {
        return std::ranges::any_of(sum.guards, [&](const Guard& guard) {
            return guard.index.depends_on(axis) &&
                   std::ranges::any_of(kernel.outer, [&](AxisId outer) {
                       return guard.index.depends_on(outer) &&
                              kernel.axes[outer].extent.constant >
                                  kernel.axes[axis].extent.constant;
                   });
        });
    };
    std::size_t at = sum.axes.size() - 1;
    while (at > 0) {
        const Extent extent = kernel.axes[sum.axes[at]].extent;
        if (!extent.is_static() || 2 * found.inner_count * extent.constant > most) break;
        if (is_tap(sum.axes[at - 1])) break;
        found.inner.insert(found.inner.begin(), sum.axes[at]);
        found.inner_count *= extent.constant;
        --at;
    }
    found.chunked = sum.axes[at];
    const Extent extent = kernel.axes[found.chunked].extent;
    const std::int64_t fits = most / found.inner_count;
    found.chunk = fits;
    if (extent.is_static() && extent.constant > 0) {
        found.chunk = even_part(extent.constant, fits, found.inner_count == 1 ? found.in_word : 1);
    }
}

// Whether vectors can run along the axis, whatever is made of the sums.
bool can_be_columns(const Kernel& kernel, const Reduction& sum, AxisId axis) {
    const Extent extent = kernel.axes[axis].extent;
    const auto along = [&](const Index& index) { return index.depends_on(axis); };
    return extent.is_static() && extent.constant >= kLeastColumns &&
           std::ranges::none_of(sum.guards,
                                [&](const Guard& guard) { return along(guard.index); }) &&
           std::ranges::all_of(kernel.stages, [&](const Stage& stage) {
               return std::ranges::all_of(stage.stores, [&](const Store& store) {
                   return store.indirect < 0 && (store.target.kind == Buffer::Kind::local ||
                                                 std::ranges::any_of(store.index, along));
               });
           });
}

}  // namespace

const MatrixFactor& MatrixSum::along(AxisId axis) const {
    return std::ranges::count(a.own, axis) > 0 ? a : b;
}

const MatrixFactor& MatrixSum::beside(AxisId axis) const {
    return std::ranges::count(a.own, axis) > 0 ? b : a;
}

bool MatrixSum::walks(AxisId axis) const {
    return axis == chunked || std::ranges::count(inner, axis) > 0;
}

std::optional<MatrixSum> matrix_sum(const Kernel& kernel, const Stage& stage) {
    if (!stage.reduction || stage.reduction->axes.empty()) return std::nullopt;
    const Reduction& sum = *stage.reduction;
    if (sum.order.kind != OrderKind::sequential || sum.states.size() != 1 ||
        sum.states[0].identity != 0) {
        return std::nullopt;
    }
    const auto product = narrow_product(kernel.scalars, sum.step[0]);
    if (!product) return std::nullopt;
    MatrixSum found;
    found.a.value = product->a;
    found.b.value = product->b;
    found.in_word = product->in_word;
    const auto of_a = reads_of(kernel, {found.a.value}), of_b = reads_of(kernel, {found.b.value});
    if (!plain(kernel, of_a) || !plain(kernel, of_b)) return std::nullopt;
    std::vector<AxisId> axes = kernel.outer;
    axes.insert(axes.end(), stage.axes.begin(), stage.axes.end());
    for (AxisId axis : axes) {
        const bool in_a = depends_on(kernel, of_a, axis), in_b = depends_on(kernel, of_b, axis);
        if (in_a && !in_b) found.a.own.push_back(axis);
        if (in_b && !in_a) found.b.own.push_back(axis);
    }
    for (AxisId axis : kernel.outer) {
        const bool own =
            std::ranges::count(found.a.own, axis) + std::ranges::count(found.b.own, axis) > 0;
        if (own && can_be_columns(kernel, sum, axis)) found.columns.push_back(axis);
    }
    if (found.columns.empty() || found.a.own.empty() || found.b.own.empty()) return std::nullopt;
    choose_step(kernel, sum, found);
    if (found.words() < kLeastWords) return std::nullopt;
    const Read& read = kernel.reads[of_a[0]];
    found.backwards = std::ranges::any_of(read.index, [&](const Index& index) {
        return index.coefficient(sum.axes.back()).value_or(0) < 0;
    });
    return found;
}

}  // namespace netc
