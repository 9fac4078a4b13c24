// Schedules of kernels whose sums matrix units make: which axis the rows of tiles run along, and what else is in a
// block of two by two tiles. Whether they make it follows from kernel and processor (matrix_sum.h), never from here.
#include <algorithm>
#include <cmath>

#include "backends/cpu/schedule_chooser.h"

namespace netc::choosing {
namespace {

constexpr std::int64_t kMostOwn = 8;  // points of a stage's own axes that are unrolled
// Rows so many bytes apart, or a multiple, share few sets of the first-level cache.
constexpr std::int64_t kAliases = 4096;

// Cycles, guessed from the processor's manual, not measured: a product of two full tiles; bringing an operand that
// lies in memory as a tile, one whose rows are put together, one that is transposed.
constexpr double kProduct = 16, kInPlace = 8, kRows = 24, kTransposes = 100;

bool contains(const std::vector<AxisId>& axes, AxisId axis) {
    return std::ranges::count(axes, axis) > 0;
}

}  // namespace

// The sums of the kernel that have the form, where the processor has units for all of them and one axis can be the
// columns of all.
std::vector<std::optional<MatrixSum>> Chooser::matrix_sums(std::vector<AxisId>& columns) const {
    std::vector<std::optional<MatrixSum>> sums;
    bool first = true;
    for (const Stage& stage : kernel_.stages) {
        sums.push_back(matrix_sum(kernel_, stage));
        const auto& sum = sums.back();
        if (!sum) continue;
        if (!(sum->in_word == 2 ? machine_.amx_bf16 : machine_.amx_int8)) return {};
        if (first) columns = sum->columns;
        first = false;
        std::erase_if(columns, [&](AxisId axis) { return !contains(sum->columns, axis); });
    }
    // With rows along an outer axis, which later stages share.
    std::erase_if(columns, [&](AxisId axis) {
        return std::ranges::any_of(
            sums, [&](const auto& sum) { return sum && rows_beside(*sum, axis).empty(); });
    });
    if (columns.empty()) sums.clear();
    return sums;
}

// What the rows can run along where the columns run along this axis.
std::vector<AxisId> Chooser::rows_beside(const MatrixSum& sum, AxisId columns) const {
    std::vector<AxisId> rows;
    for (AxisId axis : sum.beside(columns).own) {
        if (contains(kernel_.outer, axis)) rows.push_back(axis);
    }
    return rows;
}

// How well the axis fills tiles with rows, and how easily they are brought.
double Chooser::rows_score(const MatrixSum& sum, const Stage& stage, AxisId axis) const {
    const auto size = static_cast<double>(extent(axis));
    double score = size / (kTileRows * std::ceil(size / kTileRows));
    const auto in_guard = [&](const Guard& guard) { return guard.index.depends_on(axis); };
    if (std::ranges::any_of(stage.reduction->guards, in_guard)) score *= 0.85;
    for (std::uint32_t read : reads_of(kernel_, {sum.along(axis).value})) {
        const std::int64_t bytes = reads_[read].stride[axis] * 4 / sum.in_word;
        if (!reads_[read].known[axis] || bytes % kAliases == 0) score *= 0.6;
    }
    return score;
}

std::optional<Schedule> Chooser::by_matrices() const {
    std::vector<AxisId> columns;
    const auto sums = matrix_sums(columns);
    if (sums.empty()) return std::nullopt;
    Schedule schedule = plain_schedule(kernel_);
    // Columns: as results are stored, then as the factor lies.
    const auto column_score = [&](AxisId axis) {
        int score = 0;
        for (const auto& stores : stores_) {
            for (const Access& store : stores)
                score += !store.local && store.lies_along(axis) ? 4 : 0;
        }
        for (const auto& sum : sums) {
            if (!sum) continue;
            for (std::uint32_t read : reads_of(kernel_, {sum->along(axis).value}))
                score += reads_[read].lies_along(axis) ? 2 : 0;
        }
        return score;
    };
    const AxisId vector = *std::ranges::max_element(columns, {}, column_score);
    schedule.vector_axis = vector;
    const auto tile_of = [&](AxisId axis) -> std::int64_t& {
        return std::ranges::find(schedule.outer, axis, &AxisTile::axis)->tile;
    };
    tile_of(vector) = extent(vector) > kLanes ? 2 : 1;
    for (std::size_t s = 0; s < sums.size(); ++s) {
        if (!sums[s]) continue;
        const Stage& stage = kernel_.stages[s];
        StageSchedule& how = schedule.stages[s];
        std::int64_t own = 1;
        for (AxisTile& tile : how.own) {
            const Extent size = kernel_.axes[tile.axis].extent;
            if (!size.is_static() || own * size.constant > kMostOwn) continue;
            tile.tile = size.constant;
            own *= tile.tile;
        }
        std::vector<AxisId> rows = rows_beside(*sums[s], vector);
        const auto score = [&](AxisId axis) { return rows_score(*sums[s], stage, axis); };
        const AxisId best = *std::ranges::max_element(rows, {}, score);
        how.matrix_rows = best;
        const std::int64_t size = extent(best), most = (own > 1 ? 1 : 2) * kTileRows;
        const std::int64_t tiles = (size + most - 1) / most;
        std::int64_t& tile = tile_of(best);
        tile = std::max(tile, (size + tiles - 1) / tiles);
        // A second tile of rows beside short ones.
        if (own > 1 || size > kTileRows) continue;
        std::erase(rows, best);
        std::erase_if(rows, [&](AxisId axis) { return extent(axis) < 2; });
        if (!rows.empty()) tile_of(rows.back()) = 2;
    }
    for (std::size_t s = 0; s < sums.size(); ++s) {
        if (sums[s])
            unroll_taps(schedule, s, schedule.stages[s].reduced.size() - 1 - sums[s]->inner.size());
    }
    // Smaller tiles where locals of a window take too much scratch: a tile of one point is legal for every batch or for
    // none, so that the batch does not decide who makes the sum.
    while (!legal(kernel_, schedule)) {
        AxisTile& largest = *std::ranges::max_element(schedule.outer, {}, &AxisTile::tile);
        if (largest.tile == 1) return std::nullopt;
        largest.tile /= 2;
    }
    if (kernel_.stages.size() == 1) choose_slices(schedule);
    order_loops(schedule);
    choose_block_of_rows(schedule);
    return schedule;
}

// Where columns are gone through outside, and what they all read of the rows is more than the second-level cache holds.
void Chooser::choose_block_of_rows(Schedule& schedule) const {
    const AxisTile* of_rows = nullptr;
    for (const AxisTile& tile : schedule.outer) {
        if (tile.axis == schedule.stages[main_].matrix_rows) of_rows = &tile;
    }
    if (of_rows == nullptr || schedule.outer[0].axis != *schedule.vector_axis) return;
    double bytes = 0;
    std::vector<bool> seen(kernel_.params.size());
    for (const Stage& stage : kernel_.stages) {
        const auto sum = matrix_sum(kernel_, stage);
        if (!sum) return;
        for (std::uint32_t read : reads_of(kernel_, {sum->along(of_rows->axis).value})) {
            const Buffer& source = kernel_.reads[read].source;
            if (!seen[source.index]) bytes += bytes_of(source);
            seen[source.index] = true;
        }
    }
    const double room = 0.5 * static_cast<double>(machine_.l2_bytes);
    const auto count = static_cast<double>(tiles(schedule, *of_rows));
    if (bytes <= room || count < 4) return;
    const double blocks = std::min(count, std::ceil(bytes / room));
    Schedule blocked = schedule;
    blocked.block = {of_rows->axis, static_cast<std::int64_t>(std::ceil(count / blocks))};
    if (legal(kernel_, blocked)) schedule = std::move(blocked);
}

// Of one call, as the model of vectors counts.
double Chooser::matrix_cost(const Schedule& schedule, std::size_t number) const {
    const Stage& stage = kernel_.stages[number];
    const auto sum = matrix_sum(kernel_, stage);
    const AxisId rows = *schedule.stages[number].matrix_rows, columns = *schedule.vector_axis;
    double points = 1, blocks = 1, steps = 1;
    for (AxisId axis : kernel_.outer) points *= static_cast<double>(extent(axis));
    for (AxisId axis : stage.axes) points *= static_cast<double>(extent(axis));
    const auto filled = [&](AxisId axis) {
        return std::ceil(static_cast<double>(extent(axis)) / kTileRows);
    };
    blocks = points / static_cast<double>(extent(rows) * extent(columns)) * filled(rows) *
             filled(columns);
    for (AxisId axis : stage.reduction->axes) {
        const auto size = static_cast<double>(extent(axis));
        if (contains(sum->inner, axis)) continue;
        steps *= axis == sum->chunked ? std::ceil(size / static_cast<double>(sum->chunk)) : size;
    }
    double bring = 0;
    for (AxisId axis : {rows, columns}) {
        const AxisId last = stage.reduction->axes.back();
        for (std::uint32_t read : reads_of(kernel_, {sum->along(axis).value})) {
            const Access& access = reads_[read];
            const bool along =
                sum->inner.empty() && access.known[last] && std::abs(access.stride[last]) == 1;
            const bool in_words = access.known[axis] && access.stride[axis] == access.in_word;
            const bool row = axis == rows;
            bring += (row ? along : in_words) ? kInPlace
                     : row                    ? kTransposes
                     : along                  ? kTransposes
                                              : kRows;
        }
    }
    return blocks * steps * (kProduct + bring / 2) +
           points / kLanes * (stages_[number].post_work + 2);
}

}  // namespace netc::choosing
