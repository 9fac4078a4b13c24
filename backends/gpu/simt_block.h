// A block of the emulator of simt.h: its threads, what they wait for, and who goes on when.
#pragma once

#include <setjmp.h>
#include <sys/mman.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "backends/gpu/simt.h"
#include "backends/gpu/simt_matrices.h"
#include "backends/gpu/simt_shared.h"

namespace netc {

inline constexpr std::size_t kWarp = 32;
inline constexpr std::size_t kWarpgroup = 4 * kWarp;
inline constexpr std::size_t kStack = 256 * 1024;

// What a thread waits for: all of its block, of its warp or of its warpgroup to arrive at the same; or a phase to end.
enum class State : std::uint8_t {
    ready,
    at_barrier,
    at_shuffle,
    at_product,
    at_matrices,
    at_group_product,
    at_group_wait,
    at_phase,
    done
};

struct Fiber {
    SimtThread thread;
    jmp_buf place;
    bool begun = false;
    State state = State::ready;
    std::uint32_t mask = 0;          // what all of a warp or warpgroup have to say alike
    std::uint32_t value = 0;         // given to a shuffle, then got from it
    std::uint32_t* words = nullptr;  // of a product of matrices, or loaded of them
    const std::byte* row = nullptr;  // of a matrix that is loaded
    // Of a warpgroup's products: what they multiply; the sums, in registers that the program has while none is under way,
    // and the products until then.
    std::vector<std::uint64_t> descriptors;
    float* registers = nullptr;
    std::vector<float> sums;
    std::int64_t barrier = 0;  // whose phase of the parity `mask` it waits for
};

// What a warpgroup's products read: one group of them after the other, the oldest first.
struct Warpgroup {
    std::vector<SimtShared::Chunks> under_way;
};

// Pages of stacks are the system's until a fiber uses them.
class Stacks {
public:
    explicit Stacks(std::size_t count) : bytes_(count * kStack) {
        memory_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    }
    ~Stacks() {
        if (good()) munmap(memory_, bytes_);
    }
    Stacks(const Stacks&) = delete;
    Stacks& operator=(const Stacks&) = delete;
    bool good() const { return memory_ != MAP_FAILED; }
    void* operator[](std::size_t number) const {
        return static_cast<std::byte*>(memory_) + number * kStack;
    }

private:
    std::size_t bytes_;
    void* memory_;
};

class SimtBlock {
public:
    SimtBlock(SimtFunction function, void** arguments, int threads, std::int64_t shared_bytes)
        : function_(function), arguments_(arguments), fibers_(static_cast<std::size_t>(threads)),
          stacks_(fibers_.size()), shared_bytes_(static_cast<std::size_t>(shared_bytes)),
          shared_(shared_bytes, fibers_.size()), warpgroups_(fibers_.size() / kWarpgroup + 1) {}

    std::string run(std::int64_t block) {
        if (!stacks_.good()) return "no memory for the stacks of a block";
        shared_.begin_block();
        std::ranges::fill(warpgroups_, Warpgroup{});
        for (std::size_t t = 0; t < fibers_.size(); ++t) {
            fibers_[t].thread = {static_cast<std::int32_t>(t), static_cast<std::int32_t>(block),
                                 shared_.data(), this};
            fibers_[t].state = State::ready;
        }
        while (wrong_.empty() && std::ranges::any_of(fibers_, [](const Fiber& fiber) {
                   return fiber.state != State::done;
               })) {
            bool moved = false;
            for (Fiber& fiber : fibers_) {
                if (fiber.state != State::ready || !wrong_.empty()) continue;
                moved = true;
                resume(fiber);
            }
            if (wrong_.empty() && !moved && !release_warps() && !release_warpgroups() &&
                !release_block() && !release_phases())
                wrong_ = why_stuck();
        }
        if (wrong_.empty()) wrong_ = shared_.boxes().end_block();
        return wrong_.empty()
                   ? std::string()
                   : fmt::format("block {}, thread {}: {}", block, current_->thread.thread, wrong_);
    }

    void wait(Fiber& fiber, State state);
    static Fiber& fiber_of(SimtThread* thread) {
        return thread->owner->fibers_[static_cast<std::size_t>(thread->thread)];
    }

    SimtShared& shared() { return shared_; }
    // Ends the thread where something is wrong with what it did.
    void require(SimtThread* thread, std::string wrong) {
        if (!wrong.empty()) fail(fiber_of(thread), std::move(wrong));
    }

private:
    static void enter(unsigned low, unsigned high);
    void resume(Fiber& fiber);

    void fail(Fiber& fiber, std::string message) {
        wrong_ = std::move(message);
        wait(fiber, State::done);
    }

    // Whether these threads wait for one another, for the same.
    bool meet(std::size_t first, std::size_t count) const {
        const Fiber& one = fibers_[first];
        return first + count <= fibers_.size() &&
               std::all_of(fibers_.begin() + static_cast<std::ptrdiff_t>(first),
                           fibers_.begin() + static_cast<std::ptrdiff_t>(first + count),
                           [&](const Fiber& fiber) {
                               return fiber.state == one.state && fiber.mask == one.mask &&
                                      fiber.descriptors == one.descriptors;
                           });
    }
    void go_on(std::size_t first, std::size_t count) {
        for (std::size_t t = first; t < first + count; ++t) fibers_[t].state = State::ready;
    }
    template <class T>
    std::vector<T> of_threads(std::size_t first, std::size_t count, T Fiber::* member) const {
        std::vector<T> values;
        for (std::size_t t = first; t < first + count; ++t) values.push_back(fibers_[t].*member);
        return values;
    }

    bool release_warps() {
        bool any = false;
        for (std::size_t first = 0; first < fibers_.size(); first += kWarp) {
            const State state = fibers_[first].state;
            // The last warp of a block may lack threads, which then have nothing to shuffle.
            const std::size_t count = std::min(kWarp, fibers_.size() - first);
            if (!meet(first, state == State::at_shuffle ? count : kWarp)) continue;
            if (state == State::at_product) {
                // The sums are new words: all have read the old ones when the first goes on.
                multiply_matrices(fibers_[first].mask != 0,
                                  of_threads(first, kWarp, &Fiber::words));
            } else if (state == State::at_matrices) {
                load_matrices(of_threads(first, kWarp, &Fiber::row), fibers_[first].mask != 0,
                              of_threads(first, kWarp, &Fiber::words));
            } else if (state == State::at_shuffle) {
                const auto values = of_threads(first, count, &Fiber::value);
                for (std::size_t t = 0; t < count; ++t) {
                    const std::size_t other = t ^ fibers_[first].mask;
                    if (other < count) fibers_[first + t].value = values[other];
                }
            } else {
                continue;
            }
            go_on(first, count);
            any = true;
        }
        return any;
    }

    bool release_warpgroups() {
        bool any = false;
        for (std::size_t first = 0; first + kWarpgroup <= fibers_.size(); first += kWarpgroup) {
            const State state = fibers_[first].state;
            if (!meet(first, kWarpgroup)) continue;
            if (state == State::at_group_product) {
                begin_products(first);
            } else if (state == State::at_group_wait) {
                end_products(first);
            } else {
                continue;
            }
            go_on(first, kWarpgroup);
            any = true;
        }
        return any;
    }

    // Computes at once, and keeps what was read from being written until somebody waited for it. The registers hold
    // the sums when no product is under way, and nothing of use before.
    void begin_products(std::size_t first) {
        constexpr std::uint32_t kAcrossA = 2, kAcrossB = 4, kColumns = 8;
        Warpgroup& group = warpgroups_[first / kWarpgroup];
        const std::uint32_t shape = fibers_[first].mask;
        const bool bf16 = (shape & 1) != 0;
        const std::size_t columns = shape / kColumns;
        std::vector<float*> sums;
        for (std::size_t t = first; t < first + kWarpgroup; ++t) {
            Fiber& fiber = fibers_[t];
            if (group.under_way.empty())
                fiber.sums.assign(fiber.registers, fiber.registers + columns / 2);
            std::fill_n(fiber.registers, columns / 2, std::numeric_limits<float>::quiet_NaN());
            sums.push_back(fiber.sums.data());
        }
        SimtShared::Chunks chunks;
        const auto& descriptors = fibers_[first].descriptors;
        for (std::size_t k = 0; k < descriptors.size(); k += 2) {
            const DescribedMatrix a(shared_.data(), descriptors[k], bf16, (shape & kAcrossA) != 0);
            const DescribedMatrix b(shared_.data(), descriptors[k + 1], bf16,
                                    (shape & kAcrossB) != 0);
            for (const DescribedMatrix* each : {&a, &b})
                if (wrong_.empty()) wrong_ = each->wrong();
            a.add_chunks(64, chunks);
            b.add_chunks(columns, chunks);
            const bool inside =
                chunks.empty() || (chunks.back() + 1) * SimtShared::kChunk <= shared_bytes_;
            if (!inside) wrong_ = "a product reads behind the end of shared memory";
            if (!wrong_.empty()) return;
            multiply_warpgroup(a, b, columns, sums);
        }
        wrong_ = shared_.begin_product(static_cast<std::int32_t>(first), chunks);
        group.under_way.push_back(std::move(chunks));
    }
    void end_products(std::size_t first) {
        Warpgroup& group = warpgroups_[first / kWarpgroup];
        while (group.under_way.size() > fibers_[first].mask) {
            shared_.end_product(static_cast<std::int32_t>(first), group.under_way.front());
            group.under_way.erase(group.under_way.begin());
        }
        if (!group.under_way.empty()) return;
        for (std::size_t t = first; t < first + kWarpgroup; ++t)
            std::ranges::copy(fibers_[t].sums, fibers_[t].registers);
    }

    bool release_block() {
        if (!std::ranges::all_of(
                fibers_, [](const Fiber& fiber) { return fiber.state == State::at_barrier; }))
            return false;
        shared_.pass_barrier();
        go_on(0, fibers_.size());
        return true;
    }

    // Whose phase has ended goes on; a copy arrives when nobody else can.
    bool release_phases() {
        bool any = false;
        for (Fiber& fiber : fibers_) {
            if (fiber.state != State::at_phase ||
                !shared_.boxes().wait(fiber.thread.thread, fiber.barrier, fiber.mask))
                continue;
            fiber.state = State::ready;
            any = true;
        }
        return any || shared_.boxes().deliver(shared_.data());
    }
    std::string why_stuck() {
        for (Fiber& fiber : fibers_) {
            if (fiber.state != State::at_phase) continue;
            current_ = &fiber;
            return "waits for ever: " + shared_.boxes().missing(fiber.barrier);
        }
        return "threads of a block wait for one another and never meet";
    }

    SimtFunction function_;
    void** arguments_;
    std::vector<Fiber> fibers_;
    Stacks stacks_;
    std::size_t shared_bytes_;
    SimtShared shared_;
    std::vector<Warpgroup> warpgroups_;
    Fiber* current_ = nullptr;
    jmp_buf scheduler_;
    std::string wrong_;
};

}  // namespace netc
