// links: ir backends
// Softmax with cross entropy, batch norm and Adam written as kernels by hand, against plain loops.
#include "tests/golden/kernel_fixture.h"

using namespace netc;
using namespace netc::test;

TEST_CASE("softmax with cross entropy") {
    const int batch = 5;
    KernelRun run("softmax_cross_entropy", batch);
    for (int b = 0; b < batch; ++b) run.integer(1, b) = (3 * b) % 10;
    CHECK_FALSE(run.run());
    for (int b = 0; b < batch; ++b) {
        double total = 0;
        for (int k = 0; k < 10; ++k) total += std::exp(run.at(0, b, k));
        const auto label = run.integer(1, b);
        CHECK(near(run.at(2, b), std::log(total) - run.at(0, b, label)));
        for (int k = 0; k < 10; ++k) {
            const double p = std::exp(run.at(0, b, k)) / total;
            CHECK(near(run.at(3, b, k), (p - (k == label ? 1 : 0)) / batch));
        }
    }
    run.integer(1, 2) = 10;
    CHECK(run.run());
    CHECK(std::isnan(run.at(2, 2)));
}

TEST_CASE("batch norm forward") {
    const int batch = 21;
    KernelRun run("batch_norm_forward", batch);
    std::vector<double> before;
    for (int c = 0; c < 4; ++c) before.push_back(run.at(3, c));
    run.run();
    for (int c = 0; c < 4; ++c) {
        double sum = 0, squares = 0;
        for (int i = 0; i < batch * 36; ++i) sum += run.at(0, i / 36, c, i / 6 % 6, i % 6);
        const double mean = sum / (batch * 36);
        for (int i = 0; i < batch * 36; ++i) {
            squares += std::pow(run.at(0, i / 36, c, i / 6 % 6, i % 6) - mean, 2);
        }
        const double inverse = 1 / std::sqrt(squares / (batch * 36) + double{1e-5f});
        CHECK(near(run.at(5, c), mean));
        CHECK(near(run.at(6, c), inverse));
        const double old = before[static_cast<std::size_t>(c)];
        CHECK(near(run.at(3, c), old + (mean - old) * double{0.1f}));
        for (int i = 0; i < batch * 36; ++i) {
            const double x = run.at(0, i / 36, c, i / 6 % 6, i % 6);
            REQUIRE(near(run.at(4, i / 36, c, i / 6 % 6, i % 6),
                         (x - mean) * inverse * run.at(1, c) + run.at(2, c)));
        }
    }
}

TEST_CASE("batch norm backward") {
    const int batch = 18;
    KernelRun run("batch_norm_backward", batch);
    run.run();
    for (int c = 0; c < 4; ++c) {
        double sum = 0, product = 0;
        const auto normal = [&](int i) {
            return (run.at(0, i / 36, c, i / 6 % 6, i % 6) - run.at(3, c)) * run.at(4, c);
        };
        for (int i = 0; i < batch * 36; ++i) {
            const double dy = run.at(1, i / 36, c, i / 6 % 6, i % 6);
            sum += dy;
            product += dy * normal(i);
        }
        CHECK(near(run.at(6, c), sum));
        CHECK(near(run.at(5, c), product));
        for (int i = 0; i < batch * 36; ++i) {
            const double dy = run.at(1, i / 36, c, i / 6 % 6, i % 6);
            const double wanted =
                run.at(2, c) * run.at(4, c) * (dy - (sum + normal(i) * product) / (batch * 36));
            REQUIRE(near(run.at(7, i / 36, c, i / 6 % 6, i % 6), wanted));
        }
    }
}

TEST_CASE("Adam inside a weight gradient") {
    const int batch = 6;
    KernelRun run("adam_weight_gradient", batch);
    run.at(2) = 0.01;
    run.integer(3) = 4;
    for (double& v : run.buffers[6].numbers) v = std::abs(v);
    const auto before = run.buffers;
    run.run();
    for (int i = 0; i < 12; ++i) {
        for (int o = 0; o < 5; ++o) {
            const auto at = static_cast<std::size_t>(i * 5 + o);
            double g = 0;
            for (int b = 0; b < batch; ++b) g += run.at(0, b, i) * run.at(1, b, o);
            const double b1 = double{0.9f}, b2 = double{0.999f};
            const double m = b1 * before[5].numbers[at] + g * double{0.1f};
            const double v = b2 * before[6].numbers[at] + g * g * double{0.001f};
            CHECK(near(run.at(5, i, o), m));
            CHECK(near(run.at(6, i, o), v));
            const double size = std::sqrt(v / (1 - std::pow(b2, 5))) + double{1e-8f};
            CHECK(near(run.at(4, i, o),
                       before[4].numbers[at] - 0.01 * (m / (1 - std::pow(b1, 5))) / size));
        }
    }
}
