// Shared memory of a block on the emulator: its bytes, and who may touch which of them at what time.
//
// Two threads that touch the same byte between two barriers, at least one of them writing, are a race. What goes on
// beside its thread has rules of its own, those of PTX's memory consistency model:
//
//   a copy      (cp.async) has written nothing that anybody may count on before its thread waited for it; the bytes are then
//               that thread's writes, which others see behind the next barrier. Until then nobody touches them.
//   a product   (wgmma) reads until the threads of its warpgroup waited for it: nobody writes there before, and other
//               threads not before the barrier behind. It reads through the async proxy, which sees only what its writer
//               fenced (fence.proxy.async) before the barrier.
//   a box       (cp.async.bulk.tensor) is ordered by barriers of its own: simt_boxes.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "backends/gpu/simt_boxes.h"

namespace netc {

class SimtShared {
public:
    SimtShared(std::int64_t bytes, std::size_t threads);

    std::byte* data() { return start_; }
    void begin_block();
    void pass_barrier() {
        ++barriers_;
        boxes_.pass_barrier();
    }
    SimtBoxes& boxes() { return boxes_; }
    std::int64_t place_of(const void* place) const {
        return static_cast<const std::byte*>(place) - start_;
    }

    // Each says what is wrong; empty: nothing.
    std::string touch(std::int32_t thread, const void* place, std::uint32_t bytes,
                      std::uint32_t alignment, bool writes);
    // `filled` bytes come from `source`, zeros behind them.
    std::string begin_copy(std::int32_t thread, void* place, const void* source,
                           std::uint32_t bytes, std::uint32_t filled);
    void commit_copies(std::int32_t thread);
    void wait_for_copies(std::int32_t thread, std::uint32_t pending);
    void fence(std::int32_t thread);

    // Chunks of 16 bytes that a product reads, by their numbers.
    using Chunks = std::vector<std::uint32_t>;
    static constexpr std::uint32_t kChunk = 16;
    // By the warps from this thread's on.
    std::string begin_product(std::int32_t first, const Chunks& chunks);
    void end_product(std::int32_t first, const Chunks& chunks);
    std::string begin_box(std::int32_t thread, const void* place, const TensorMapRequest& map,
                          const std::vector<std::int32_t>& coordinates, const void* barrier);

private:
    static constexpr std::int32_t kNobody = -1;
    static constexpr std::int32_t kMany = -2;  // more than one thread
    struct Touch {
        std::int32_t writer = kNobody, reader = kNobody;
        std::uint32_t written = 0, read = 0;  // after how many barriers
        std::int32_t copier = kNobody;        // whose copy to here is under way
        std::int32_t products = 0;            // that are reading it
        bool fenced = false;                  // for products, by who wrote it
    };
    struct Copy {
        std::size_t place = 0;
        std::uint32_t bytes = 0;
        std::array<std::byte, 16> data{};
    };
    struct Thread {
        std::vector<Copy> open;                 // copies since the last commit
        std::vector<std::vector<Copy>> groups;  // under way, the oldest first
        std::vector<std::pair<std::size_t, std::uint32_t>> unfenced;
    };
    std::string check(std::int32_t thread, std::int64_t from, std::uint32_t bytes,
                      std::uint32_t alignment, bool writes) const;
    void note_write(std::int32_t thread, std::size_t from, std::uint32_t bytes);
    Thread& thread(std::int32_t number) { return threads_[static_cast<std::size_t>(number)]; }

    std::vector<Touch> touches_;
    std::vector<Thread> threads_;
    std::vector<std::byte> memory_;
    std::byte* start_ = nullptr;
    std::uint32_t barriers_ = 0;
    SimtBoxes boxes_;
};

}  // namespace netc
