// links: backends
// The pool of threads: every index once, whoever comes late, whoever slept.
#include "backends/cpu/thread_pool.h"

#include <chrono>
#include <vector>

#include <catch2/catch.hpp>

using namespace netc;

namespace {

// How often each index of 0 .. count is visited.
std::vector<int> visits(ThreadPool& pool, std::int64_t count) {
    std::vector<std::atomic<int>> seen(static_cast<std::size_t>(count));
    pool.run(count, [&](std::int64_t from, std::int64_t to) {
        for (std::int64_t i = from; i < to; ++i) ++seen[static_cast<std::size_t>(i)];
    });
    return {seen.begin(), seen.end()};
}

}  // namespace

TEST_CASE("every index is visited once, for any count and number of threads") {
    for (const int threads : {1, 2, 3, 8}) {
        ThreadPool pool(threads);
        for (std::int64_t count = 0; count < 200; ++count) {
            CAPTURE(threads, count);
            REQUIRE(visits(pool, count) == std::vector<int>(static_cast<std::size_t>(count), 1));
        }
    }
}

TEST_CASE("rounds that follow each other at once do not mix") {
    ThreadPool pool(4);
    std::int64_t sum = 0;
    for (int round = 0; round < 20000; ++round) {
        const std::int64_t count = 1 + round % 37;
        std::atomic<std::int64_t> here{0};
        pool.run(count, [&](std::int64_t from, std::int64_t to) { here += to - from; });
        sum += here - count;
    }
    CHECK(sum == 0);
}

TEST_CASE("threads that fell asleep are woken") {
    ThreadPool pool(2);
    for (int i = 0; i < 5; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        std::atomic<int> begun{0};
        // Each piece waits for the other: without the second thread this never ends. (Where that came late
        // the last time, one call has both.)
        pool.run(2, [&](std::int64_t from, std::int64_t to) {
            begun += static_cast<int>(to - from);
            while (begun < 2) std::this_thread::yield();
        });
        CHECK(begun == 2);
    }
}

TEST_CASE("a pool that never worked ends") {
    for (int i = 0; i < 50; ++i) ThreadPool pool(3);
}
