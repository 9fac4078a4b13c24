// Copies of boxes of a tensor to the shared memory of a block on the emulator, and the barriers that count them: what
// the PTX ISA says of mbarrier and cp.async.bulk.tensor, and no sooner.
//
//   a barrier   ends its phase when its arrivals were there and no bytes are missing. Who waits for the end of a phase
//               knows all that those who arrived in it knew, and sees what was copied.
//   a copy      arrives as late as it may: when no thread can go on without it, the youngest first. Until a warp waited for
//               its phase the warp must not touch the place; nobody begins a copy to where another warp reads, or read
//               without having said so at a barrier.
//
// Knowledge is a clock for each warp, counting what it gave away, and one for each barrier, counting phases.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "backends/gpu/tensor_map.h"

namespace netc {

class SimtBoxes {
public:
    SimtBoxes(std::size_t bytes, std::size_t threads);

    void begin_block();
    void pass_barrier();  // of the block: all know what any of them knew
    void fence(std::int32_t thread);
    std::string end_block() const;  // what is wrong at the end

    // Each says what is wrong; empty: nothing. Places are bytes from the start of shared memory.
    std::string init(std::int32_t thread, std::int64_t place, std::uint32_t arrivals);
    std::string arrive(std::int32_t thread, std::int64_t place, std::uint32_t expected);
    std::string check_barrier(std::int32_t thread, std::int64_t place) const;
    std::string begin_copy(std::int32_t thread, std::int64_t place, const TensorMapRequest& map,
                           const std::vector<std::int32_t>& coordinates, std::int64_t barrier);
    // Whether the thread may touch these bytes.
    std::string touch(std::int32_t thread, std::int64_t place, std::int64_t bytes) const;

    // Whether the phase of this parity has ended, which the thread then knows.
    bool wait(std::int32_t thread, std::int64_t place, std::uint32_t parity);
    std::string missing(std::int64_t place) const;  // in the phase that a barrier is in
    // The youngest copy arrives; false: none is under way.
    bool deliver(std::byte* shared);

    // Whether a copy brought this chunk of 16 bytes; a warp has read it.
    bool is_box(std::size_t chunk) const { return box_of_[chunk] >= 0; }
    void note_read(std::size_t chunk, std::size_t warp);

private:
    using Clock = std::vector<std::uint32_t>;  // by warp, then by barrier
    struct Barrier {
        std::int64_t place = 0;
        std::uint32_t arrivals = 0, pending = 0;
        std::int64_t bytes = 0;  // expected and not there yet
        std::uint32_t phase = 0;
        Clock gathering,
            ended;  // what those know that arrived in this phase, and in the ones before
        std::int32_t maker = 0;
        std::uint32_t made = 0;  // at which time of its maker's warp
        bool fenced = false;
    };
    struct Box {
        std::int64_t place = 0, bytes = 0;
        std::size_t barrier = 0;
        std::uint32_t phase = 0;
        bool arrived = false;
        Clock readers;  // when each warp read it last; 0: never
    };
    struct Copy {
        std::size_t box = 0;
        TensorMapRequest map;
        std::vector<std::int32_t> coordinates;
    };
    static std::size_t warp_of(std::int32_t thread) {
        return static_cast<std::size_t>(thread) / 32;
    }
    const Barrier* find(std::int64_t place) const;
    Barrier* find(std::int64_t place) {
        return const_cast<Barrier*>(static_cast<const SimtBoxes*>(this)->find(place));
    }
    void end_phase(Barrier& barrier);
    bool knows(std::int32_t thread, const Box& box) const;

    std::size_t warps_;
    std::vector<Clock> clocks_;  // by warp
    std::vector<Barrier> barriers_;
    std::vector<Box> boxes_;
    std::vector<Copy> under_way_;
    std::vector<std::int32_t> box_of_, barrier_of_;  // by chunk of 16 bytes, by 8 bytes
};

}  // namespace netc
