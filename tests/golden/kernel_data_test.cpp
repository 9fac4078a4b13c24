// links: ir backends
// Pooling, dropout, embedding, orders and layouts written as kernels by hand, against plain loops.
#include "ir/philox.h"
#include "tests/golden/kernel_fixture.h"

using namespace netc;
using namespace netc::test;

TEST_CASE("max pooling, winner and gradient") {
    KernelRun run("max_pool_forward", 2);
    run.run();
    for (int i = 0; i < 2 * 3 * 36; ++i) {
        const int b = i / 108, c = i / 36 % 3, y = i / 6 % 6, x = i % 6;
        double best = -INFINITY;
        int winner = -1;
        for (int tap = 0; tap < 9; ++tap) {
            const int fy = y + tap / 3 - 1, fx = x + tap % 3 - 1;
            if (fy < 0 || fy > 5 || fx < 0 || fx > 5 || run.at(0, b, c, fy, fx) <= best) continue;
            best = run.at(0, b, c, fy, fx);
            winner = tap;
        }
        REQUIRE(run.at(1, b, c, y, x) == best);
        REQUIRE(run.integer(2, b, c, y, x) == winner);
    }

    KernelRun back("max_pool_backward", 2);
    for (std::size_t i = 0; i < back.buffers[0].integers.size(); ++i) {
        back.buffers[0].integers[i] = static_cast<std::int64_t>(i * 7 / 3 % 4);
    }
    back.run();
    for (int i = 0; i < 2 * 3 * 64; ++i) {
        const int b = i / 192, c = i / 64 % 3, y = i / 8 % 8, x = i % 8;
        const bool won = back.integer(0, b, c, y / 2, x / 2) == y % 2 * 2 + x % 2;
        REQUIRE(back.at(2, b, c, y, x) == (won ? back.at(1, b, c, y / 2, x / 2) : 0));
    }
}

TEST_CASE("dropout from counters") {
    KernelRun run("dropout", 3);
    run.integer(1) = 42;
    run.integer(2) = 9;
    run.run();
    int kept = 0;
    for (int i = 0; i < 30; ++i) {
        const auto block = static_cast<std::uint64_t>(i / 4);
        const auto words = philox(philox_key(42 ^ 7310956483u), philox_counter(block, 9));
        const bool keep = double{uniform_float(words[static_cast<std::size_t>(i % 4)])} < 0.75;
        kept += keep;
        CHECK(near(run.at(3, i / 10, i % 10), keep ? run.at(0, i / 10, i % 10) / 0.75 : 0));
    }
    CHECK(kept > 15);
    CHECK(kept < 30);
}

TEST_CASE("embedding and its gradient") {
    const int batch = 4;
    KernelRun run("embedding", batch);
    KernelRun back("embedding_gradient", batch);
    for (int i = 0; i < batch * 3; ++i) {
        run.integer(1, i / 3, i % 3) = i * 7 % 10;
        back.integer(0, i / 3, i % 3) = i * 7 % 10;
    }
    CHECK_FALSE(run.run());
    auto wanted = back.buffers[2].numbers;
    CHECK_FALSE(back.run());
    for (int i = 0; i < batch * 3; ++i) {
        for (int d = 0; d < 8; ++d) {
            CHECK(run.at(2, i / 3, i % 3, d) == run.at(0, i * 7 % 10, d));
            wanted[static_cast<std::size_t>(i * 7 % 10 * 8 + d)] += back.at(1, i / 3, i % 3, d);
        }
    }
    CHECK(back.buffers[2].numbers == wanted);
    run.integer(1, 0, 0) = -1;
    CHECK(run.run());
    CHECK(std::isnan(run.at(2, 0, 0, 0)));
    back.integer(0, 0, 0) = 50;
    CHECK(back.run());
}

TEST_CASE("leaves, padded reads and strides") {
    KernelRun run("dense_blocked", 3);
    run.run();
    for (int b = 0; b < 3; ++b) {
        for (int o = 0; o < 6; ++o) {
            double sum = 0;
            for (int k = 1; k < 20; ++k) sum += run.at(0, b, k - 1) * run.at(1, k, o);
            CHECK(near(run.at(2, b, o), sum));
        }
    }
}
