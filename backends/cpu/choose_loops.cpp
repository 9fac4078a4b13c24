// After the tiles: the order of the loops, slices of the sum, packed copies. What counts here is which level of the
// memory each operand comes from.
#include <algorithm>
#include <cmath>
#include <span>

#include "backends/cpu/schedule_chooser.h"

namespace netc::choosing {
namespace {

// Threads share out the outermost loop: it should have at least this many iterations.
constexpr std::int64_t kChunks = 8;
// Steps of a sum between two reloads of it, at least, as long as they take no more than so many second-level caches.
constexpr double kLeastSlice = 128;
constexpr double kMostRooms = 8;
constexpr std::int64_t kSliceUnit = 16;  // a multiple of what is unrolled of the innermost axis

// A result of more than so many second-level caches, and of so many bytes, is written past all of them. Alone, with 32 MiB of
// third-level cache, that pays from 16 MiB on; in a network, where its reader is not always the next kernel, from 8.
constexpr double kStreamedCaches = 8;
constexpr double kStreamedBytes = 8 << 20;
constexpr std::int64_t kRowsApart = 1024;  // bytes

}  // namespace

std::int64_t Chooser::tiles(const Schedule& schedule, const AxisTile& tile) const {
    const std::int64_t unit = (schedule.vector_axis == tile.axis ? kLanes : 1) * tile.tile;
    return (extent(tile.axis) + unit - 1) / unit;
}

double Chooser::bytes_of(const Buffer& buffer) const {
    if (buffer.kind == Buffer::Kind::local) return 0;
    const Param& param = kernel_.params[buffer.index];
    return static_cast<double>(element_count(param, hint_) * size_of(param.dtype));
}

// Whether all tiles of the axis read different elements.
bool Chooser::selects(const Read& read, AxisId axis) const {
    return std::ranges::any_of(read.index, [&](const Index& index) {
        if (!index.depends_on(axis)) return false;
        return std::ranges::none_of(kernel_.stages[main_].reduction->axes,
                                    [&](AxisId reduced) { return index.depends_on(reduced); });
    });
}

// Where each tile reads operands again that the second-level cache does not hold.
void Chooser::choose_slices(Schedule& schedule) const {
    const Reduction& sum = *kernel_.stages[main_].reduction;
    Schedule sliced = schedule;
    sliced.slices = {{sum.axes[0], 1}};
    if (!legal(kernel_, sliced)) return;
    // Between slices sums are stored and loaded again, as vectors.
    if (!stores_[main_].front().lies_along(*schedule.vector_axis)) return;
    // Where all that is read differs, nothing is read again: such loops stay outside.
    const auto apart = [&](const AxisTile& tile) {
        return schedule.vector_axis != tile.axis && tiles(schedule, tile) > 1 &&
               std::ranges::all_of(stages_[main_].step_reads, [&](std::uint32_t read) {
                   return selects(kernel_.reads[read], tile.axis);
               });
    };
    const auto inside = std::ranges::stable_partition(sliced.outer, apart).begin();
    sliced.slice_level = static_cast<std::size_t>(inside - sliced.outer.begin());
    double parts_apart = 1;
    for (auto tile = sliced.outer.begin(); tile != inside; ++tile)
        parts_apart *= static_cast<double>(tiles(schedule, *tile));
    double bytes = 0, whole = 0;
    for (std::uint32_t number : stages_[main_].step_reads) {
        const double own = bytes_of(kernel_.reads[number].source) / parts_apart;
        double passes = 1;
        for (const AxisTile& tile : std::ranges::subrange(inside, sliced.outer.end())) {
            if (!selects(kernel_.reads[number], tile.axis))
                passes *= static_cast<double>(tiles(schedule, tile));
        }
        bytes += own;
        whole += own * passes;
    }
    const auto room = static_cast<double>(machine_.l2_bytes);
    if (bytes < room) return;
    double slices = 1, steps = 1;
    for (AxisId axis : sum.axes) steps *= static_cast<double>(extent(axis));
    sliced.slices.clear();
    double each = bytes;
    for (AxisId axis : sum.axes) {
        const auto size = static_cast<double>(extent(axis));
        each /= size;
        steps /= size;
        if (each > room && steps >= kLeastSlice) {
            sliced.slices.push_back({axis, 1});
            slices *= size;
            continue;
        }
        // Short slices cost more than what does not quite fit. Not so where lines are read along the sum, as in forward
        // products: a line serves many steps, and storing the sums would cost more than it saves.
        const bool along = std::ranges::any_of(stages_[main_].step_reads, [&](std::uint32_t read) {
            return reads_[read].lies_along(sum.axes.back());
        });
        const double least =
            along ? 1
                  : std::min(std::ceil(kLeastSlice / steps), std::floor(kMostRooms * room / each));
        const double fits = std::clamp(std::max(std::floor(room / each), least), 1.0, size);
        // Of equal size, unless they would be too short, and whole steps of what is unrolled.
        const std::int64_t unit = axis == sum.axes.back() ? kSliceUnit : 1;
        double values = std::ceil(size / std::ceil(size / fits));
        if (values * steps < kLeastSlice) values = fits;
        const std::int64_t tile = (static_cast<std::int64_t>(values) + unit - 1) / unit * unit;
        const double parts = std::ceil(size / static_cast<double>(tile));
        sliced.slices.push_back({axis, tile});
        slices *= parts;
        steps *= static_cast<double>(tile);
        break;
    }
    const double stored = bytes_of(kernel_.stages[main_].stores[0].target) / parts_apart;
    if (slices == 1) return;
    const bool pays = bytes + 2 * stored * slices < 0.5 * whole && steps >= kLeastSlice;
    if (pays && legal(kernel_, sliced)) schedule = sliced;
}

// Where a slice of what the innermost loop reads is more than half of the second-level cache: blocks of that loop, so that
// what a block reads of a slice stays there while the loops around it go on.
void Chooser::choose_block(Schedule& schedule) const {
    if (schedule.slices.empty() || schedule.outer.size() < 2) return;
    const AxisTile& innermost = schedule.outer.back();
    double bytes = 0;
    for (std::uint32_t number : stages_[main_].step_reads) {
        if (reads_[number].depends_on(innermost.axis))
            bytes += bytes_of(kernel_.reads[number].source);
    }
    for (const AxisTile& slice : schedule.slices)
        bytes *= static_cast<double>(slice.tile) / static_cast<double>(extent(slice.axis));
    const double blocks = std::ceil(bytes / (0.5 * static_cast<double>(machine_.l2_bytes)));
    const auto count = static_cast<double>(tiles(schedule, innermost));
    if (blocks < 2 || count < 4 * blocks) return;
    Schedule blocked = schedule;
    blocked.block = {innermost.axis, static_cast<std::int64_t>(std::ceil(count / blocks))};
    if (legal(kernel_, blocked)) schedule = std::move(blocked);
}

// Whether vectors of the sum are the samples of batch lanes.
bool Chooser::reads_samples(AxisId vector) const {
    return std::ranges::any_of(stages_[main_].step_reads, [&](std::uint32_t number) {
        const Read& read = kernel_.reads[number];
        return read.source.kind == Buffer::Kind::param &&
               kernel_.params[read.source.index].layout.lanes && read.index[0].is_axis(vector);
    });
}

// Weights that stay in the second-level cache are gone through for each row of places; of others one tile of the
// vector axis, with all that it is used for, comes after the other.
void Chooser::order_loops(Schedule& schedule) const {
    const AxisId vector = *schedule.vector_axis;
    double bytes = 0;
    for (std::uint32_t number : stages_[main_].step_reads) {
        if (reads_[number].depends_on(vector)) bytes += bytes_of(kernel_.reads[number].source);
    }
    const std::span outer = std::span(schedule.outer).subspan(schedule.slice_level);
    std::ranges::stable_partition(outer, [&](const AxisTile& tile) { return tile.axis == vector; });
    const bool streams =
        bytes > 0.5 * static_cast<double>(machine_.l2_bytes) && schedule.slices.empty();
    const auto count = [&](const AxisTile& tile) { return tiles(schedule, tile); };
    // Of several matrices of weights, one after the other. Of images in batch lanes, all places of sixteen samples: their
    // windows have rows in common, in which blocks of other samples have no part.
    const auto selects_weights = [&](const AxisTile& tile) {
        return tile.axis != vector &&
               std::ranges::any_of(stages_[main_].step_reads, [&](std::uint32_t read) {
                   return reads_[read].depends_on(vector) && reads_[read].depends_on(tile.axis);
               });
    };
    const auto enough = [&](const AxisTile& tile) { return count(tile) >= kChunks; };
    if (streams && std::ranges::any_of(outer, selects_weights)) {
        const std::size_t before = reads_samples(vector) ? 1 : 0;
        std::ranges::stable_partition(outer.subspan(before), selects_weights);
        const auto loops = outer.first(
            before + static_cast<std::size_t>(std::ranges::count_if(outer, selects_weights)));
        const auto first = std::ranges::find_if(loops, enough);
        if (first != loops.end()) std::rotate(loops.begin(), first, first + 1);
        return;
    }
    if (outer.size() < 2 || (streams && enough(outer[0]))) return;
    // Of the places, the innermost stays inside: a row of them.
    std::rotate(outer.begin(), outer.begin() + 1, outer.end() - 1);
    auto first = std::ranges::find_if(outer, enough);
    if (first == outer.end()) first = std::ranges::max_element(outer, {}, count);
    std::rotate(outer.begin(), first, first + 1);
    // A large result of short sums is written in the order in which it lies, if the first-level cache holds the weights.
    const Access& store = stores_[main_].front();
    const bool large =
        bytes_of(kernel_.stages[main_].stores[0].target) > static_cast<double>(machine_.l2_bytes);
    if (large && store.lies_along(vector) && bytes <= 0.25 * static_cast<double>(machine_.l1_bytes))
        std::ranges::stable_partition(outer.subspan(1),
                                      [&](const AxisTile& tile) { return tile.axis != vector; });
}

// With a copy of the read: inside the loops that it depends on, one tile of the vector axis, around all others.
Schedule Chooser::packed(const Schedule& schedule, std::uint32_t read) const {
    Schedule with = schedule;
    const auto depends = [&](const AxisTile& tile) {
        return tile.axis != *schedule.vector_axis && reads_[read].depends_on(tile.axis);
    };
    std::ranges::stable_partition(
        with.outer, [&](const AxisTile& tile) { return tile.axis == *schedule.vector_axis; });
    std::ranges::stable_partition(with.outer, depends);
    with.packs.push_back(
        {read, static_cast<std::size_t>(std::ranges::count_if(with.outer, depends)) + 1});
    return with;
}

// Copies of what vectors read with a stride, or from the same few sets of the first-level cache.
void Chooser::choose_packs(Schedule& schedule) const {
    const AxisId vector = *schedule.vector_axis;
    for (std::uint32_t read : stages_[main_].step_reads) {
        const Access& access = reads_[read];
        if (!packable(schedule, read)) continue;
        const bool contiguous = access.lies_along(vector);
        bool aliases = false;
        for (AxisId axis : kernel_.stages[main_].reduction->axes) {
            aliases = aliases || (access.known[axis] && access.stride[axis] % 512 == 0 &&
                                  access.stride[axis] > 0 && extent(axis) >= 128);
        }
        if (contiguous && !aliases) continue;
        Schedule tried = packed(schedule, read);
        if (legal(kernel_, tried)) schedule = std::move(tried);
    }
}

// Without a sum: as the result lies in memory, but with a loop for threads outermost.
void Chooser::order_as_stored(Schedule& schedule) const {
    const Access& store = stores_[main_].front();
    if (store.local) return;
    auto& outer = schedule.outer;
    for (const AxisTile& tile : outer) {
        if (!store.known[tile.axis]) return;
    }
    std::ranges::stable_sort(outer, std::ranges::greater{},
                             [&](const AxisTile& tile) { return store.stride[tile.axis]; });
    const auto first = std::ranges::find_if(
        outer, [&](const AxisTile& tile) { return tiles(schedule, tile) >= kChunks; });
    if (first != outer.end()) std::rotate(outer.begin(), first, first + 1);
}

// A large result's reader begins with what has left the caches by then.
void Chooser::choose_streams(Schedule& schedule) const {
    if (!schedule.slices.empty()) return;
    for (std::uint32_t number = 0; number < kernel_.params.size(); ++number) {
        if (kernel_.params[number].direction == Direction::out &&
            bytes_of({Buffer::Kind::param, number}) >
                std::max(kStreamedBytes, kStreamedCaches * static_cast<double>(machine_.l2_bytes)))
            schedule.streamed.push_back(number);
    }
}

// Rows that lie side by side, or in one page, are found by the processor itself.
void Chooser::choose_ahead(Schedule& schedule) const {
    const Reduction& sum = *kernel_.stages[main_].reduction;
    const AxisId vector = *schedule.vector_axis;
    const auto of_vector = std::ranges::find(schedule.outer, vector, &AxisTile::axis);
    if (of_vector == schedule.outer.end() || tiles(schedule, *of_vector) < 2) return;
    if (!sum.guards.empty() || schedule.stages[main_].matrix_rows) return;
    for (std::uint32_t number : stages_[main_].step_reads) {
        const Read& read = kernel_.reads[number];
        const Access& access = reads_[number];
        const auto is_copied = [&](const Pack& pack) { return pack.read == number; };
        if (access.indirect || access.local || read.outside != Outside::never ||
            std::ranges::any_of(schedule.packs, is_copied))
            continue;
        const AxisId step = sum.axes.back();
        const std::int64_t size = size_of(kernel_.params[read.source.index].dtype);
        if (access.known[vector] && access.stride[vector] == 1 && access.known[step] &&
            access.stride[step] * size >= kRowsApart &&
            bytes_of(read.source) > static_cast<double>(machine_.l2_bytes))
            schedule.stages[main_].ahead.push_back(number);
    }
}

void Chooser::finish(Schedule& schedule) const {
    if (scatter_ || !schedule.vector_axis) return;
    if (!kernel_.stages[main_].reduction) return order_as_stored(schedule);
    choose_slices(schedule);
    order_loops(schedule);
    choose_block(schedule);
    if (schedule.slices.empty()) choose_packs(schedule);
    choose_ahead(schedule);
}

}  // namespace netc::choosing
