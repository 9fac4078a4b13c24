// links: backends ir
// The emulator of a grid, with kernels by hand: what it computes, and what it finds wrong.
#include <catch2/catch.hpp>

#include <array>
#include <cstddef>
#include <vector>

#include "backends/gpu/simt.h"

using namespace netc;

namespace {

template <class T>
T* shared(SimtThread* thread, std::size_t number) {
    return static_cast<T*>(thread->shared) + number;
}
void write(SimtThread* thread, std::size_t number, std::uint32_t value) {
    netc_simt_write(thread, shared<std::uint32_t>(thread, number), 4, 4);
    *shared<std::uint32_t>(thread, number) = value;
}
std::uint32_t read(SimtThread* thread, std::size_t number) {
    netc_simt_read(thread, shared<std::uint32_t>(thread, number), 4, 4);
    return *shared<std::uint32_t>(thread, number);
}
std::uint32_t* result(void** arguments) { return *static_cast<std::uint32_t**>(arguments[0]); }
auto number_of(const SimtThread* thread) { return static_cast<std::size_t>(thread->thread); }

// Runs with an array of results as the only argument.
struct Run {
    std::string wrong;
    std::vector<std::uint32_t> results;
};
Run run(SimtFunction function, int threads, std::int64_t shared_bytes, std::int64_t blocks = 1) {
    Run done;
    done.results.resize(static_cast<std::size_t>(blocks * threads));
    std::uint32_t* results = done.results.data();
    std::array<void*, 1> arguments = {&results};
    done.wrong = run_simt_grid(function, arguments.data(), blocks, threads, shared_bytes);
    return done;
}

constexpr int kThreads = 64;
constexpr std::int64_t kBytes = 4 * kThreads;

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a block reverses what it has, blocks in turn") {
    const Run done = run(
        [](void** arguments, SimtThread* thread) {
            const std::size_t t = number_of(thread);
            const auto first = static_cast<std::uint32_t>(thread->block * kThreads);
            write(thread, t, first + static_cast<std::uint32_t>(t));
            netc_simt_barrier(thread);
            result(arguments)[first + t] = read(thread, kThreads - 1 - t);
        },
        kThreads, kBytes, 3);
    CHECK(done.wrong == "");
    for (std::size_t i = 0; i < done.results.size(); ++i) {
        const std::size_t block = i / kThreads;
        CHECK(done.results[i] == block * kThreads + (kThreads - 1 - i % kThreads));
    }
}

TEST_CASE("what shared memory holds at the start is no number") {
    const Run done = run(
        [](void** arguments, SimtThread* thread) {
            const std::size_t t = number_of(thread);
            result(arguments)[t] = read(thread, t);
            write(thread, t, 0);
        },
        kThreads, kBytes, 1);
    CHECK(done.wrong == "");
    for (const std::uint32_t value : done.results) CHECK(value == ~0U);
}

TEST_CASE("a shuffle exchanges within a warp, five of them sum it") {
    const Run done = run(
        [](void** arguments, SimtThread* thread) {
            auto value = static_cast<std::uint32_t>(thread->thread);
            for (std::uint32_t mask = 1; mask < 32; mask *= 2)
                value += netc_simt_shuffle_xor(thread, value, mask);
            result(arguments)[thread->thread] = value;
        },
        kThreads, 0);
    CHECK(done.wrong == "");
    for (std::size_t t = 0; t < kThreads; ++t)
        CHECK(done.results[t] == (t < 32 ? 31 * 32 / 2 : 31 * 32 / 2 + 32 * 32));
}

TEST_CASE("a warp may shuffle while another waits at a barrier") {
    const Run done = run(
        [](void** arguments, SimtThread* thread) {
            auto value = static_cast<std::uint32_t>(thread->thread);
            if (thread->thread >= 32) value = netc_simt_shuffle_xor(thread, value, 1);
            netc_simt_barrier(thread);
            result(arguments)[thread->thread] = value;
        },
        kThreads, 0);
    CHECK(done.wrong == "");
    CHECK(done.results[5] == 5);
    CHECK(done.results[40] == 41);
}

TEST_CASE("races are found") {
    SECTION("a read of what another thread wrote") {
        const Run done = run(
            [](void**, SimtThread* thread) {
                write(thread, number_of(thread), 1);
                (void)read(thread, (number_of(thread) + kThreads - 1) % kThreads);
            },
            kThreads, kBytes);
        CHECK(has(done.wrong, "a race on byte"));
    }
    SECTION("a write over what another thread read") {
        const Run done = run(
            [](void**, SimtThread* thread) {
                (void)read(thread, 7);
                if (thread->thread == 50) write(thread, 7, 1);
            },
            kThreads, kBytes);
        CHECK(has(done.wrong, "block 0, thread 50: a race on byte 28"));
    }
    SECTION("two writes, though of the same value") {
        const Run done =
            run([](void**, SimtThread* thread) { write(thread, 3, 1); }, kThreads, kBytes);
        CHECK(has(done.wrong, "a race on byte 12 of shared memory with thread 0"));
    }
    SECTION("no race: all read; one writes and reads; a barrier is between") {
        const Run done = run(
            [](void**, SimtThread* thread) {
                (void)read(thread, 0);
                netc_simt_barrier(thread);
                if (thread->thread == 9) {
                    write(thread, 0, 1);
                    (void)read(thread, 0);
                }
                netc_simt_barrier(thread);
                (void)read(thread, 0);
            },
            kThreads, kBytes);
        CHECK(done.wrong == "");
    }
    SECTION("a shuffle is no barrier") {
        const Run done = run(
            [](void**, SimtThread* thread) {
                write(thread, number_of(thread), 1);
                (void)netc_simt_shuffle_xor(thread, 0, 1);
                (void)read(thread, number_of(thread) ^ 1);
            },
            kThreads, kBytes);
        CHECK(has(done.wrong, "a race on byte"));
    }
}

TEST_CASE("threads that never meet are found") {
    const std::string never = "never meet";
    SECTION("one misses the barrier") {
        const Run done = run(
            [](void**, SimtThread* thread) {
                if (thread->thread != 11) netc_simt_barrier(thread);
            },
            kThreads, 0);
        CHECK(has(done.wrong, never));
    }
    SECTION("one misses the shuffle") {
        const Run done = run(
            [](void**, SimtThread* thread) {
                if (thread->thread != 33) (void)netc_simt_shuffle_xor(thread, 0, 1);
            },
            kThreads, 0);
        CHECK(has(done.wrong, never));
    }
    SECTION("a warp shuffles in two ways") {
        const Run done = run(
            [](void**, SimtThread* thread) {
                (void)netc_simt_shuffle_xor(thread, 0, thread->thread < 16 ? 1 : 2);
            },
            kThreads, 0);
        CHECK(has(done.wrong, never));
    }
    SECTION("half a warp waits at a barrier, half at a shuffle") {
        const Run done = run(
            [](void**, SimtThread* thread) {
                if (thread->thread % 2 == 0) {
                    netc_simt_barrier(thread);
                } else {
                    (void)netc_simt_shuffle_xor(thread, 0, 2);
                }
            },
            kThreads, 0);
        CHECK(has(done.wrong, never));
    }
}

TEST_CASE("accesses outside of shared memory, or beside its words, are found") {
    struct Access {
        std::ptrdiff_t at;
        std::uint32_t bytes, alignment;
        const char* wrong;
    };
    static Access access;  // kernels have no captures
    for (const Access& each : {Access{0, 16, 16, ""}, Access{kBytes - 16, 16, 16, ""},
                               Access{kBytes - 8, 16, 16, "16 bytes at 248 of 256 bytes"},
                               Access{kBytes, 4, 4, "4 bytes at 256 of 256 bytes"},
                               Access{-4, 4, 4, "4 bytes at -4 of 256 bytes"},
                               Access{8, 16, 16, "at 8 is not aligned to 16"},
                               Access{2, 4, 4, "at 2 is not aligned to 4"}}) {
        access = each;
        for (const bool writes : {false, true}) {
            static bool writing;
            writing = writes;
            INFO(each.at << ", " << each.bytes << " bytes, writes: " << writes);
            const Run done = run(
                [](void**, SimtThread* thread) {
                    if (thread->thread != 1) return;
                    const std::byte* place = shared<std::byte>(thread, 0) + access.at;
                    (writing ? netc_simt_write : netc_simt_read)(thread, place, access.bytes,
                                                                 access.alignment);
                },
                kThreads, kBytes);
            if (*each.wrong == 0) {
                CHECK(done.wrong == "");
            } else {
                CHECK(has(done.wrong, "block 0, thread 1: "));
                CHECK(has(done.wrong, each.wrong));
            }
        }
    }
}

TEST_CASE("the message names the block; blocks behind it do not run") {
    const Run done = run(
        [](void** arguments, SimtThread* thread) {
            result(arguments)[thread->block] = 1;
            if (thread->block == 2) (void)read(thread, 1000);
        },
        1, 4, 5);
    CHECK(has(done.wrong, "block 2, thread 0"));
    CHECK(done.results == std::vector<std::uint32_t>{1, 1, 1, 0, 0});
}
