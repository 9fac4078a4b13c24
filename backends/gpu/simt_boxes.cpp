// See the header.
#include "backends/gpu/simt_boxes.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace netc {
namespace {

constexpr std::int64_t kChunk = 16, kBarrier = 8;
constexpr std::int64_t kBoxAlignment = 128;
constexpr std::uint32_t kMostArrivals = (1U << 20) - 1;  // of bytes that are expected too
constexpr std::size_t kMostBarriers = 64;                // that we keep clocks for

void join(std::vector<std::uint32_t>& to, const std::vector<std::uint32_t>& from) {
    for (std::size_t k = 0; k < to.size(); ++k) to[k] = std::max(to[k], from[k]);
}

// "Swizzling modes": the bits of a place that name a chunk of 16 bytes are combined with those that name a row of 128.
std::int64_t swizzled(std::int64_t place, std::int64_t row_bytes) {
    return place ^ ((place >> 7 & (row_bytes / kChunk - 1)) << 4);
}

}  // namespace

SimtBoxes::SimtBoxes(std::size_t bytes, std::size_t threads)
    : warps_((threads + 31) / 32), box_of_(bytes / kChunk + 1), barrier_of_(bytes / kBarrier + 1) {}

void SimtBoxes::begin_block() {
    clocks_.assign(warps_, Clock(warps_ + kMostBarriers));
    for (std::size_t warp = 0; warp < warps_; ++warp) clocks_[warp][warp] = 1;
    barriers_.clear();
    boxes_.clear();
    under_way_.clear();
    std::ranges::fill(box_of_, -1);
    std::ranges::fill(barrier_of_, -1);
}

void SimtBoxes::pass_barrier() {
    Clock all = clocks_[0];
    for (const Clock& each : clocks_) join(all, each);
    for (std::size_t warp = 0; warp < warps_; ++warp) {
        clocks_[warp] = all;
        ++clocks_[warp][warp];
    }
}

void SimtBoxes::fence(std::int32_t thread) {
    for (Barrier& barrier : barriers_)
        if (barrier.maker == thread) barrier.fenced = true;
}

std::string SimtBoxes::end_block() const {
    return under_way_.empty() ? std::string()
                              : "the block ends while copies to its shared memory are under way";
}

const SimtBoxes::Barrier* SimtBoxes::find(std::int64_t place) const {
    const auto at = static_cast<std::size_t>(place / kBarrier);
    if (place < 0 || place % kBarrier != 0 || at >= barrier_of_.size() || barrier_of_[at] < 0)
        return nullptr;
    return &barriers_[static_cast<std::size_t>(barrier_of_[at])];
}

std::string SimtBoxes::init(std::int32_t thread, std::int64_t place, std::uint32_t arrivals) {
    const auto at = static_cast<std::size_t>(place / kBarrier);
    if (place < 0 || place % kBarrier != 0 || at + 1 >= barrier_of_.size())
        return fmt::format("a barrier at {}, which is outside of shared memory or not aligned",
                           place);
    if (barrier_of_[at] >= 0) return fmt::format("the barrier at {} is made twice", place);
    if (arrivals == 0 || arrivals > kMostArrivals)
        return fmt::format("a barrier of {} arrivals", arrivals);
    if (barriers_.size() == kMostBarriers) return "more barriers than the emulator counts";
    barrier_of_[at] = static_cast<std::int32_t>(barriers_.size());
    Barrier made;
    made.place = place;
    made.arrivals = made.pending = arrivals;
    made.gathering = made.ended = Clock(warps_ + kMostBarriers);
    made.maker = thread;
    made.made = clocks_[warp_of(thread)][warp_of(thread)];
    barriers_.push_back(std::move(made));
    return {};
}

std::string SimtBoxes::check_barrier(std::int32_t thread, std::int64_t place) const {
    const Barrier* barrier = find(place);
    if (barrier == nullptr) return fmt::format("there is no barrier at {}", place);
    if (thread != barrier->maker &&
        clocks_[warp_of(thread)][warp_of(barrier->maker)] < barrier->made)
        return fmt::format("the barrier at {} is used by who did not wait for its making", place);
    return {};
}

std::string SimtBoxes::arrive(std::int32_t thread, std::int64_t place, std::uint32_t expected) {
    if (std::string wrong = check_barrier(thread, place); !wrong.empty()) return wrong;
    Barrier& barrier = *find(place);
    if (barrier.pending == 0)
        return fmt::format("one arrival more at the barrier at {} than its phase has, {}", place,
                           missing(place));
    barrier.bytes += expected;
    if (barrier.bytes > kMostArrivals)
        return fmt::format("{} bytes expected at a barrier", barrier.bytes);
    Clock& own = clocks_[warp_of(thread)];
    join(barrier.gathering, own);
    ++own[warp_of(thread)];
    --barrier.pending;
    end_phase(barrier);
    return {};
}

void SimtBoxes::end_phase(Barrier& barrier) {
    if (barrier.pending != 0 || barrier.bytes != 0) return;
    ++barrier.phase;
    barrier.pending = barrier.arrivals;
    const auto number = static_cast<std::size_t>(&barrier - barriers_.data());
    join(barrier.ended, barrier.gathering);
    barrier.ended[warps_ + number] = barrier.phase;
}

bool SimtBoxes::wait(std::int32_t thread, std::int64_t place, std::uint32_t parity) {
    const Barrier& barrier = *find(place);
    if ((barrier.phase & 1) == parity) return false;
    join(clocks_[warp_of(thread)], barrier.ended);
    return true;
}

std::string SimtBoxes::missing(std::int64_t place) const {
    const Barrier* barrier = find(place);
    return fmt::format("phase {} of the barrier at {} lacks {} arrivals and {} bytes",
                       barrier->phase, place, barrier->pending, barrier->bytes);
}

bool SimtBoxes::knows(std::int32_t thread, const Box& box) const {
    return box.arrived && clocks_[warp_of(thread)][warps_ + box.barrier] > box.phase;
}

std::string SimtBoxes::touch(std::int32_t thread, std::int64_t place, std::int64_t bytes) const {
    for (std::int64_t k = place / kBarrier; k * kBarrier < place + bytes; ++k)
        if (barrier_of_[static_cast<std::size_t>(k)] >= 0)
            return fmt::format("byte {} of shared memory belongs to a barrier", k * kBarrier);
    for (std::int64_t k = place / kChunk; k * kChunk < place + bytes; ++k) {
        const std::int32_t number = box_of_[static_cast<std::size_t>(k)];
        if (number < 0) continue;
        const Box& box = boxes_[static_cast<std::size_t>(number)];
        if (!knows(thread, box))
            return fmt::format("byte {} of shared memory is of a box whose copy thread {} did not "
                               "wait for, in phase {} of the barrier at {}",
                               k * kChunk, thread, box.phase, barriers_[box.barrier].place);
    }
    return {};
}

std::string SimtBoxes::begin_copy(std::int32_t thread, std::int64_t place,
                                  const TensorMapRequest& map,
                                  const std::vector<std::int32_t>& coordinates,
                                  std::int64_t barrier) {
    if (std::string wrong = check_barrier(thread, barrier); !wrong.empty()) return wrong;
    const Barrier& counts = *find(barrier);
    if (!counts.fenced)
        return fmt::format("a copy counts at the barrier at {}, which was made without a fence "
                           "behind it",
                           barrier);
    if (coordinates.size() != map.rank)
        return fmt::format("{} coordinates of a tensor of {} dimensions", coordinates.size(),
                           map.rank);
    if (place % kBoxAlignment != 0)
        return fmt::format("a box at {}, which is not aligned to {}", place, kBoxAlignment);
    Box box;
    box.place = place;
    box.bytes = map.box_bytes();
    box.barrier = static_cast<std::size_t>(&counts - barriers_.data());
    box.phase = counts.phase;
    box.readers = Clock(warps_);
    if (place < 0 || place + box.bytes > static_cast<std::int64_t>(box_of_.size() - 1) * kChunk)
        return fmt::format("a box of {} bytes at {}, behind the end of shared memory", box.bytes,
                           place);
    const Clock& own = clocks_[warp_of(thread)];
    for (std::int64_t k = place; k < place + box.bytes; k += kBarrier)
        if (barrier_of_[static_cast<std::size_t>(k / kBarrier)] >= 0)
            return fmt::format("a box over the barrier at {}", k);
    const auto first = static_cast<std::size_t>(place / kChunk);
    const auto end = static_cast<std::size_t>((place + box.bytes + kChunk - 1) / kChunk);
    for (std::size_t k = first; k < end; ++k) {
        if (box_of_[k] < 0) continue;
        const Box& before = boxes_[static_cast<std::size_t>(box_of_[k])];
        if (!knows(thread, before))
            return fmt::format("a box over byte {}, where another's copy was not waited for",
                               k * kChunk);
        for (std::size_t warp = 0; warp < warps_; ++warp)
            if (warp != warp_of(thread) && before.readers[warp] > own[warp])
                return fmt::format("a box over byte {}, which warp {} has not released", k * kChunk,
                                   warp);
    }
    std::fill(box_of_.begin() + static_cast<std::ptrdiff_t>(first),
              box_of_.begin() + static_cast<std::ptrdiff_t>(end),
              static_cast<std::int32_t>(boxes_.size()));
    under_way_.push_back({boxes_.size(), map, coordinates});
    boxes_.push_back(std::move(box));
    return {};
}

bool SimtBoxes::deliver(std::byte* shared) {
    if (under_way_.empty()) return false;
    const Copy copy = std::move(under_way_.back());
    under_way_.pop_back();
    Box& box = boxes_[copy.box];
    const TensorMapRequest& map = copy.map;
    const std::int64_t element = map.element_bytes();
    std::vector<std::int64_t> at(map.rank);
    for (std::int64_t k = 0; k < box.bytes / element; ++k) {
        std::int64_t rest = k, offset = 0;
        bool inside = true;
        for (std::uint32_t dim = 0; dim < map.rank; ++dim) {
            at[dim] = copy.coordinates[dim] + rest % map.box[dim];
            rest /= map.box[dim];
            inside =
                inside && at[dim] >= 0 && at[dim] < static_cast<std::int64_t>(map.extents[dim]);
            offset += at[dim] * (dim == 0 ? element : static_cast<std::int64_t>(map.strides[dim]));
        }
        std::byte* const to = shared + swizzled(box.place + k * element, map.row_bytes());
        std::memset(to, 0, static_cast<std::size_t>(element));
        if (inside)
            std::memcpy(to, reinterpret_cast<const std::byte*>(map.address) + offset,
                        static_cast<std::size_t>(element));
    }
    box.arrived = true;
    Barrier& barrier = barriers_[box.barrier];
    barrier.bytes -= box.bytes;
    end_phase(barrier);
    return true;
}

void SimtBoxes::note_read(std::size_t chunk, std::size_t warp) {
    boxes_[static_cast<std::size_t>(box_of_[chunk])].readers[warp] = clocks_[warp][warp];
}

}  // namespace netc
