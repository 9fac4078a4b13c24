// links: backends ir
// What goes on beside a thread on the emulator of a grid, with kernels by hand: copies to shared memory, matrices that a
// warp loads, products by warpgroups. What they compute, and what is found wrong.
#include <catch2/catch.hpp>

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <vector>

#include "backends/gpu/simt.h"

using namespace netc;

namespace {

constexpr int kThreads = 128;
constexpr std::int64_t kBytes = 16 * 1024;

std::byte* shared(SimtThread* thread, std::size_t at) {
    return static_cast<std::byte*>(thread->shared) + at;
}
auto number_of(const SimtThread* thread) { return static_cast<std::size_t>(thread->thread); }
bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

// 64 words of global memory, one result of each thread. Kernels have no captures.
alignas(16) std::array<std::uint32_t, 64> source;
std::vector<std::uint32_t> results;

std::string run(SimtFunction function, int threads = kThreads) {
    for (std::uint32_t k = 0; k < source.size(); ++k) source[k] = 1000 + k;
    results.assign(static_cast<std::size_t>(threads), 0);
    return run_simt_grid(function, nullptr, 1, threads, kBytes);
}

void copy(SimtThread* thread, std::size_t to, std::size_t from, std::uint32_t filled = 16) {
    netc_simt_copy_async(thread, shared(thread, to), &source[from], 16, filled);
    netc_simt_commit_copies(thread);
}
std::uint32_t read(SimtThread* thread, std::size_t at) {
    std::uint32_t word;
    netc_simt_read(thread, shared(thread, at), 4, 4);
    std::memcpy(&word, shared(thread, at), 4);
    return word;
}
void write(SimtThread* thread, std::size_t at, std::uint32_t word) {
    netc_simt_write(thread, shared(thread, at), 4, 4);
    std::memcpy(shared(thread, at), &word, 4);
}

}  // namespace

TEST_CASE("a copy is there behind a wait and a barrier, the oldest group first") {
    const std::string wrong = run([](void**, SimtThread* thread) {
        const std::size_t t = number_of(thread);
        if (t < 16) copy(thread, t * 32, t * 4);
        if (t < 16) copy(thread, t * 32 + 16, 0, 0);
        netc_simt_wait_for_copies(thread, 1);
        netc_simt_barrier(thread);
        results[t] = read(thread, t / 8 * 32 + t % 4 * 4);
        netc_simt_wait_for_copies(thread, 0);
        netc_simt_barrier(thread);
        results[t] += read(thread, t / 8 * 32 + 16);  // zeros
    });
    CHECK(wrong == "");
    for (std::size_t t = 0; t < kThreads; ++t) CHECK(results[t] == 1000 + t / 8 * 4 + t % 4);
}

TEST_CASE("what is wrong with copies is found") {
    const std::string not_waited = "which was not waited for", race = "a race on byte";
    SECTION("its own thread reads without a wait") {
        CHECK(has(run([](void**, SimtThread* thread) {
                      if (thread->thread != 3) return;
                      copy(thread, 64, 0);
                      (void)read(thread, 64);
                  }),
                  "byte 64 of shared memory is where a copy of thread 3 goes, " + not_waited));
    }
    SECTION("a barrier is no wait") {
        CHECK(has(run([](void**, SimtThread* thread) {
                      if (thread->thread == 3) copy(thread, 64, 0);
                      netc_simt_barrier(thread);
                      if (thread->thread == 5) (void)read(thread, 76);
                  }),
                  not_waited));
    }
    SECTION("the wait leaves the group under way") {
        CHECK(has(run([](void**, SimtThread* thread) {
                      if (thread->thread != 3) return;
                      copy(thread, 0, 0);
                      copy(thread, 64, 0);
                      netc_simt_wait_for_copies(thread, 1);
                      (void)read(thread, 0);
                      (void)read(thread, 64);
                  }),
                  "byte 64"));
    }
    SECTION("what was not committed is not waited for") {
        CHECK(has(run([](void**, SimtThread* thread) {
                      if (thread->thread != 3) return;
                      netc_simt_copy_async(thread, shared(thread, 0), &source[0], 4, 4);
                      netc_simt_wait_for_copies(thread, 0);
                      (void)read(thread, 0);
                  }),
                  not_waited));
    }
    SECTION("a wait is no barrier") {
        CHECK(has(run([](void**, SimtThread* thread) {
                      if (thread->thread == 3) copy(thread, 64, 0);
                      netc_simt_wait_for_copies(thread, 0);
                      if (thread->thread == 5) (void)read(thread, 64);
                  }),
                  race));
    }
    SECTION("over what another thread may still read") {
        CHECK(has(run([](void**, SimtThread* thread) {
                      if (thread->thread == 3) write(thread, 64, 1);
                      netc_simt_barrier(thread);
                      (void)read(thread, 64);
                      if (thread->thread == 5) copy(thread, 64, 0);
                  }),
                  race));
    }
    SECTION("a write where it goes") {
        CHECK(has(run([](void**, SimtThread* thread) {
                      if (thread->thread != 3) return;
                      copy(thread, 64, 0);
                      write(thread, 72, 1);
                  }),
                  not_waited));
    }
    SECTION("addresses that are not aligned") {
        CHECK(has(run([](void**, SimtThread* thread) {
                      if (thread->thread == 3) copy(thread, 8, 0);
                  }),
                  "not aligned to 16"));
        CHECK(has(run([](void**, SimtThread* thread) {
                      if (thread->thread == 3) copy(thread, 0, 1);
                  }),
                  "a copy of 16 bytes from an address that is not aligned"));
    }
}

TEST_CASE("a warp loads four matrices, as they are and transposed") {
    // Halves are their matrix, row and column.
    static bool transposed;
    for (const bool each : {false, true}) {
        transposed = each;
        const std::string wrong = run(
            [](void**, SimtThread* thread) {
                const std::size_t t = number_of(thread);
                for (std::uint32_t column = 0; column < 8; column += 2) {
                    const auto row = static_cast<std::uint32_t>(t * 256);
                    write(thread, t * 16 + column * 2, (row + column) | (row + column + 1) << 16);
                }
                netc_simt_barrier(thread);
                std::uint32_t words[4];
                netc_simt_load_matrices(thread, shared(thread, t * 16), transposed ? 1 : 0, words);
                for (std::uint32_t matrix = 0; matrix < 4; ++matrix) {
                    const auto lane = static_cast<std::uint32_t>(t);
                    const std::uint32_t other = lane / 4, along = lane % 4 * 2;
                    const auto half = [&](std::uint32_t k) {
                        return transposed ? (matrix * 8 + along + k) * 256 + other
                                          : (matrix * 8 + other) * 256 + along + k;
                    };
                    if (words[matrix] == (half(0) | half(1) << 16)) ++results[t];
                }
            },
            32);
        CHECK(wrong == "");
        CHECK(results == std::vector<std::uint32_t>(32, 4));
    }
}

// ---- products by warpgroups: a of 64 x 16, b of 16 x 8, in bf16 ---------------------------------------------------

namespace {

constexpr std::size_t kB = 8192;
std::array<float, 4 * kThreads> sums;

// Small integers, exact in bf16.
float of_a(std::size_t m, std::size_t k) { return static_cast<float>((m * 5 + k * 3) % 7) - 3; }
float of_b(std::size_t n, std::size_t k) { return static_cast<float>((n * 3 + k * 11) % 9) - 4; }

// Where the drawings of the PTX ISA have an element with rows of 128 bytes: along the sum a row is a point.
std::size_t along(std::size_t point, std::size_t k) {
    return point * 128 + ((k / 8) ^ (point % 8)) * 16 + k % 8 * 2;
}
// Across it a row is a step: of 64 points, of which there are no more.
std::size_t across(std::size_t point, std::size_t k) {
    return k * 128 + ((point / 8) ^ (k % 8)) * 16 + point % 8 * 2;
}
std::uint64_t descriptor(std::size_t start) {
    return start >> 4 | std::uint64_t{1} << 16 | std::uint64_t{1024 >> 4} << 32 |
           std::uint64_t{1} << 62;
}
void put(SimtThread* thread, std::size_t at, float value) {
    const auto half = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16);
    netc_simt_write(thread, shared(thread, at), 2, 2);
    std::memcpy(shared(thread, at), &half, 2);
}

struct Case {
    bool a_across = false, b_across = false, fenced = true, waits = true;
    std::uint64_t a = descriptor(0), b = descriptor(kB);
    bool overwrites = false;  // before the wait, or the barrier behind it
    bool meets = true;
};
Case now;

std::string multiply(const Case& each) {
    now = each;
    return run([](void**, SimtThread* thread) {
        const std::size_t t = number_of(thread);
        for (std::size_t k = 0; k < 16; ++k) {
            if (t < 64) put(thread, now.a_across ? across(t, k) : along(t, k), of_a(t, k));
            if (t < 8) put(thread, kB + (now.b_across ? across(t, k) : along(t, k)), of_b(t, k));
        }
        if (now.fenced) netc_simt_fence_shared(thread);
        netc_simt_barrier(thread);
        const std::uint64_t both[] = {now.a, now.b};
        float mine[4] = {1, 1, 1, 1};
        const std::uint32_t shape = 1U | (now.a_across ? 2U : 0U) | (now.b_across ? 4U : 0U) | 64U;
        netc_simt_multiply_warpgroup(thread, shape, both, 2, mine);
        if (now.overwrites && now.meets && t == 0) write(thread, 0, 0);
        if (now.waits) netc_simt_wait_for_products(thread, 0, mine);
        if (now.overwrites && !now.meets && t == 0) write(thread, 0, 0);
        std::copy(mine, mine + 4, &sums[4 * t]);
    });
}

}  // namespace

TEST_CASE("a warpgroup multiplies what descriptors say") {
    for (const bool a_across : {false, true}) {
        for (const bool b_across : {false, true}) {
            CHECK(multiply({.a_across = a_across, .b_across = b_across}) == "");
            for (std::size_t m = 0; m < 64; ++m) {
                for (std::size_t n = 0; n < 8; ++n) {
                    float wanted = 1;
                    for (std::size_t k = 0; k < 16; ++k) wanted += of_a(m, k) * of_b(n, k);
                    const std::size_t thread = m / 16 * 32 + m % 8 * 4 + n / 2;
                    CHECK(sums[thread * 4 + m % 16 / 8 * 2 + n % 2] == wanted);
                }
            }
        }
    }
}

TEST_CASE("what is wrong with products is found") {
    CHECK(has(multiply({.fenced = false}), "wrote without a fence behind it"));
    CHECK(has(multiply({.overwrites = true}), "a product that was not waited for reads byte 0"));
    CHECK(has(multiply({.overwrites = true, .meets = false}), "a race on byte 0"));
    CHECK(has(multiply({.a = 0}), "without a swizzle"));
    CHECK(has(multiply({.a = descriptor(0) | std::uint64_t{1} << 49}), "base offset"));
    CHECK(has(multiply({.a = descriptor(0) | std::uint64_t{1} << 14}), "fields that are none"));
    CHECK(has(multiply({.b = descriptor(kBytes - 512)}), "behind the end"));
    CHECK(multiply({.waits = false}) == "");
    for (const float sum : sums) CHECK(std::isnan(sum));
}
