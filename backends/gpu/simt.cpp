// See simt.h.
//
// Fibers are begun by swapcontext and then changed by longjmp: the former asks the system for the signal mask each time,
// which took a third of the time of the tests. What checks that longjmp goes up one stack has to be off for that.
#undef _FORTIFY_SOURCE
#include "backends/gpu/simt.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include <fmt/format.h>

namespace netc {
namespace {

constexpr int kWarp = 32;
constexpr std::size_t kStack = 256 * 1024;

enum class State : std::uint8_t { ready, at_barrier, at_shuffle, at_product, done };

struct Fiber {
    SimtThread thread;
    jmp_buf place;
    bool begun = false;
    State state = State::ready;
    std::uint32_t value = 0;  // given to a shuffle, then got from it
    std::uint32_t mask = 0;
    std::uint32_t* words = nullptr;  // of a product of matrices
};

float number_of(std::uint32_t bits) {
    float number;
    std::memcpy(&number, &bits, sizeof number);
    return number;
}

// Who touched a byte of shared memory, and after how many barriers.
struct Touch {
    std::int32_t writer = -1, reader = -1;  // kMany: more than one thread
    std::uint32_t written = 0, read = 0;
};
constexpr std::int32_t kMany = -2;

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

}  // namespace

class SimtBlock {
public:
    SimtBlock(SimtFunction function, void** arguments, int threads, std::int64_t shared_bytes)
        : function_(function), arguments_(arguments), fibers_(static_cast<std::size_t>(threads)),
          stacks_(fibers_.size()), touches_(static_cast<std::size_t>(shared_bytes)) {
        constexpr std::size_t kAlign = 128;
        memory_.resize(touches_.size() + kAlign);
        const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
        shared_ = memory_.data() + (kAlign - address % kAlign) % kAlign;
    }

    std::string run(std::int64_t block) {
        if (!stacks_.good()) return "no memory for the stacks of a block";
        // What shared memory holds at the start is anything: here, bits of a NaN.
        std::memset(shared_, 0xff, touches_.size());
        std::ranges::fill(touches_, Touch{});
        barriers_ = 0;
        for (std::size_t t = 0; t < fibers_.size(); ++t) {
            fibers_[t].thread = {static_cast<std::int32_t>(t), static_cast<std::int32_t>(block),
                                 shared_, this};
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
            if (wrong_.empty() && !moved && !release_warps() && !release_block())
                wrong_ = "threads of a block wait for one another and never meet";
        }
        return wrong_.empty()
                   ? std::string()
                   : fmt::format("block {}, thread {}: {}", block, current_->thread.thread, wrong_);
    }

    void wait(Fiber& fiber, State state) {
        fiber.state = state;
        if (_setjmp(fiber.place) == 0) _longjmp(scheduler_, 1);
    }
    static Fiber& fiber_of(SimtThread* thread) {
        return thread->owner->fibers_[static_cast<std::size_t>(thread->thread)];
    }

    void touch(SimtThread& thread, const void* place, std::uint32_t bytes, std::uint32_t alignment,
               bool writes) {
        const std::int64_t from = static_cast<const std::byte*>(place) - shared_;
        if (from < 0 || from + bytes > static_cast<std::int64_t>(touches_.size()))
            return fail(fiber_of(&thread),
                        fmt::format("{} bytes at {} of {} bytes of shared memory", bytes, from,
                                    touches_.size()));
        if (from % alignment != 0)
            return fail(fiber_of(&thread),
                        fmt::format("shared memory at {} is not aligned to {}", from, alignment));
        for (std::int64_t k = from; k < from + bytes; ++k) {
            Touch& byte = touches_[static_cast<std::size_t>(k)];
            const auto other = [&](std::int32_t who, std::uint32_t when) {
                return who != -1 && who != thread.thread && when == barriers_;
            };
            if (other(byte.writer, byte.written) || (writes && other(byte.reader, byte.read)))
                return fail(
                    fiber_of(&thread),
                    fmt::format("a race on byte {} of shared memory with thread {}", k,
                                other(byte.writer, byte.written) ? byte.writer : byte.reader));
            if (writes) {
                byte.writer = thread.thread;
                byte.written = barriers_;
            } else {
                const bool also = other(byte.reader, byte.read);
                byte.reader = also ? kMany : thread.thread;
                byte.read = barriers_;
            }
        }
    }

private:
    // A fiber runs the same thread of one block after the other.
    static void enter(unsigned low, unsigned high) {
        const auto address =
            (static_cast<std::uintptr_t>(high) << 32) | static_cast<std::uintptr_t>(low);
        auto* fiber = reinterpret_cast<Fiber*>(address);
        SimtBlock& block = *fiber->thread.owner;
        for (;;) {
            block.function_(block.arguments_, &fiber->thread);
            block.wait(*fiber, State::done);
        }
    }

    // Until it waits.
    void resume(Fiber& fiber) {
        current_ = &fiber;
        if (_setjmp(scheduler_) != 0) return;
        if (fiber.begun) _longjmp(fiber.place, 1);
        fiber.begun = true;
        ucontext_t context, here;
        getcontext(&context);
        context.uc_stack.ss_sp = stacks_[static_cast<std::size_t>(fiber.thread.thread)];
        context.uc_stack.ss_size = kStack;
        context.uc_link = nullptr;
        const auto address = reinterpret_cast<std::uintptr_t>(&fiber);
        makecontext(&context, reinterpret_cast<void (*)()>(enter), 2,
                    static_cast<unsigned>(address), static_cast<unsigned>(address >> 32));
        swapcontext(&here, &context);
    }

    void fail(Fiber& fiber, std::string message) {
        wrong_ = std::move(message);
        wait(fiber, State::done);
    }

    // A shuffle is over when all threads of a warp wait in one, with the same mask.
    bool release_warps() {
        bool any = false;
        for (std::size_t first = 0; first < fibers_.size(); first += kWarp) {
            const std::size_t end = std::min(fibers_.size(), first + kWarp);
            const auto at_shuffle = [&](const Fiber& fiber) {
                return fiber.state == State::at_shuffle && fiber.mask == fibers_[first].mask;
            };
            const auto begin = fibers_.begin() + static_cast<std::ptrdiff_t>(first);
            const auto past = fibers_.begin() + static_cast<std::ptrdiff_t>(end);
            const auto at_product = [&](const Fiber& fiber) {
                return fiber.state == State::at_product && fiber.mask == fibers_[first].mask;
            };
            if (end - first == kWarp && std::all_of(begin, past, at_product)) {
                // The sums are new words: all have read the old ones when the first goes on.
                multiply(first);
                any = true;
                continue;
            }
            if (!std::all_of(begin, past, at_shuffle)) continue;
            std::vector<std::uint32_t> values;
            for (std::size_t t = first; t < end; ++t) values.push_back(fibers_[t].value);
            for (std::size_t t = first; t < end; ++t) {
                const std::size_t other = (t - first) ^ fibers_[t].mask;
                if (other < values.size()) fibers_[t].value = values[other];
                fibers_[t].state = State::ready;
            }
            any = true;
        }
        return any;
    }

    // As PTX's mma.m16n8k16 of bf16 and m16n8k8 of tf32 share the matrices out among 32 threads; the sum runs from the
    // first term to the last, in f32.
    void multiply(std::size_t first) {
        const bool bf16 = fibers_[first].mask != 0;
        const std::size_t depth = bf16 ? 16 : 8;
        const auto element = [&](std::size_t group, std::size_t k, bool upper, std::size_t from) {
            // `group`: row of the first matrix, column of the second, modulo 8.
            const std::size_t half = depth / 2;
            const std::size_t thread = group * 4 + (bf16 ? k % half / 2 : k % half);
            const std::size_t word = from + (from == 0 ? 2 : 1) * (k / half) + (upper ? 1 : 0);
            const std::uint32_t bits = fibers_[first + thread].words[word];
            if (!bf16) return number_of(bits);
            return number_of(k % 2 == 0 ? bits << 16 : bits & 0xffff0000);
        };
        for (std::size_t row = 0; row < 16; ++row) {
            for (std::size_t column = 0; column < 8; ++column) {
                Fiber& owner = fibers_[first + row % 8 * 4 + column / 2];
                std::uint32_t& place = owner.words[6 + row / 8 * 2 + column % 2];
                float sum = number_of(place);
                for (std::size_t k = 0; k < depth; ++k)
                    sum = std::fma(element(row % 8, k, row >= 8, 0), element(column, k, false, 4),
                                   sum);
                std::memcpy(&place, &sum, sizeof sum);
            }
        }
        for (std::size_t t = 0; t < kWarp; ++t) fibers_[first + t].state = State::ready;
    }

    bool release_block() {
        if (!std::ranges::all_of(
                fibers_, [](const Fiber& fiber) { return fiber.state == State::at_barrier; }))
            return false;
        ++barriers_;
        for (Fiber& fiber : fibers_) fiber.state = State::ready;
        return true;
    }

    SimtFunction function_;
    void** arguments_;
    std::vector<Fiber> fibers_;
    Stacks stacks_;
    std::vector<Touch> touches_;
    std::vector<std::byte> memory_;
    std::byte* shared_ = nullptr;
    std::uint32_t barriers_ = 0;
    Fiber* current_ = nullptr;
    jmp_buf scheduler_;
    std::string wrong_;
};

std::string run_simt_grid(SimtFunction function, void** arguments, std::int64_t blocks, int threads,
                          std::int64_t shared_bytes) {
    SimtBlock block(function, arguments, threads, shared_bytes);
    for (std::int64_t number = 0; number < blocks; ++number) {
        if (std::string wrong = block.run(number); !wrong.empty()) return wrong;
    }
    return {};
}

}  // namespace netc

void netc_simt_barrier(netc::SimtThread* thread) {
    thread->owner->wait(netc::SimtBlock::fiber_of(thread), netc::State::at_barrier);
}

std::uint32_t netc_simt_shuffle_xor(netc::SimtThread* thread, std::uint32_t value,
                                    std::uint32_t mask) {
    netc::Fiber& fiber = netc::SimtBlock::fiber_of(thread);
    fiber.value = value;
    fiber.mask = mask;
    thread->owner->wait(fiber, netc::State::at_shuffle);
    return fiber.value;
}

void netc_simt_multiply(netc::SimtThread* thread, std::uint32_t is_bf16, std::uint32_t* words) {
    netc::Fiber& fiber = netc::SimtBlock::fiber_of(thread);
    fiber.mask = is_bf16;
    fiber.words = words;
    thread->owner->wait(fiber, netc::State::at_product);
}

void netc_simt_read(netc::SimtThread* thread, const void* place, std::uint32_t bytes,
                    std::uint32_t alignment) {
    thread->owner->touch(*thread, place, bytes, alignment, false);
}

void netc_simt_write(netc::SimtThread* thread, const void* place, std::uint32_t bytes,
                     std::uint32_t alignment) {
    thread->owner->touch(*thread, place, bytes, alignment, true);
}
