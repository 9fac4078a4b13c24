// links: ir backends
// Convolutional layers written as kernels by hand, against plain loops in double.
#include "tests/golden/kernel_fixture.h"

using namespace netc;
using namespace netc::test;

namespace {

bool inside(int at, int limit) { return at >= 0 && at < limit; }

double first_layer(KernelRun& run, int b, int co, int y, int x) {
    double sum = 0;
    for (int ky = 0; ky < 5; ++ky) {
        for (int kx = 0; kx < 5; ++kx) {
            if (!inside(y + ky - 2, 28) || !inside(x + kx - 2, 28)) continue;
            sum += run.at(0, b, 0, y + ky - 2, x + kx - 2) * run.at(1, co, 0, ky, kx);
        }
    }
    return std::tanh(sum + run.at(2, co));
}

void check_first_layer(const std::string& name, bool training, int batch) {
    KernelRun run(name, batch);
    CHECK_FALSE(run.run());
    for (int b = 0; b < batch; ++b) {
        for (int co = 0; co < 6; ++co) {
            for (int y = 0; y < 14; ++y) {
                for (int x = 0; x < 14; ++x) {
                    double mean = 0;
                    for (int tap = 0; tap < 4; ++tap) {
                        const int fy = 2 * y + tap / 2, fx = 2 * x + tap % 2;
                        const double value = first_layer(run, b, co, fy, fx);
                        mean += value / 4;
                        if (training) REQUIRE(near(run.at(4, b, co, fy, fx), value));
                    }
                    REQUIRE(near(run.at(3, b, co, y, x), mean));
                }
            }
        }
    }
}

}  // namespace

TEST_CASE("first layer of LeNet-5") {
    check_first_layer("conv1_inference", false, 3);
    check_first_layer("conv1_training", true, 17);
}

TEST_CASE("weight gradient of the first layer") {
    for (int batch : {2, 19}) {
        KernelRun run("conv1_weight_gradient", batch);
        run.run();
        for (int co = 0; co < 6; ++co) {
            for (int ky = 0; ky < 5; ++ky) {
                for (int kx = 0; kx < 5; ++kx) {
                    double sum = 0;
                    for (int b = 0; b < batch; ++b) {
                        for (int y = 0; y < 28; ++y) {
                            for (int x = 0; x < 28; ++x) {
                                if (!inside(y + ky - 2, 28) || !inside(x + kx - 2, 28)) continue;
                                const double a = run.at(1, b, co, y, x);
                                sum += run.at(2, b, co, y / 2, x / 2) / 4 * (1 - a * a) *
                                       run.at(0, b, 0, y + ky - 2, x + kx - 2);
                            }
                        }
                    }
                    REQUIRE(near(run.at(3, co, 0, ky, kx), sum));
                }
            }
        }
    }
}

TEST_CASE("input gradient of the second convolution") {
    KernelRun run("conv2_input_gradient", 2);
    run.run();
    for (int b = 0; b < 2; ++b) {
        for (int ci = 0; ci < 6; ++ci) {
            for (int y = 0; y < 14; ++y) {
                for (int x = 0; x < 14; ++x) {
                    double sum = 0;
                    for (int co = 0; co < 16; ++co) {
                        for (int tap = 0; tap < 25; ++tap) {
                            const int ky = tap / 5, kx = tap % 5;
                            if (!inside(y - ky, 10) || !inside(x - kx, 10)) continue;
                            sum += run.at(0, b, co, y - ky, x - kx) * run.at(1, co, ci, ky, kx);
                        }
                    }
                    REQUIRE(near(run.at(2, b, ci, y, x), sum));
                }
            }
        }
    }
}

TEST_CASE("input gradient of a strided convolution") {
    KernelRun run("strided_input_gradient", 2);
    run.run();
    std::vector<double> wanted(2 * 3 * 9 * 9);
    const auto at = [](int b, int ci, int y, int x) {
        return static_cast<std::size_t>(((b * 3 + ci) * 9 + y) * 9 + x);
    };
    for (int b = 0; b < 2; ++b) {
        for (int co = 0; co < 4; ++co) {
            for (int point = 0; point < 25; ++point) {
                for (int tap = 0; tap < 27; ++tap) {
                    const int ci = tap / 9, ky = tap / 3 % 3, kx = tap % 3;
                    const int y = 2 * (point / 5) + ky - 1, x = 2 * (point % 5) + kx - 1;
                    if (!inside(y, 9) || !inside(x, 9)) continue;
                    wanted[at(b, ci, y, x)] +=
                        run.at(0, b, co, point / 5, point % 5) * run.at(1, co, ci, ky, kx);
                }
            }
        }
    }
    for (int b = 0; b < 2; ++b) {
        for (int ci = 0; ci < 3; ++ci) {
            for (int y = 0; y < 9; ++y) {
                for (int x = 0; x < 9; ++x) {
                    REQUIRE(near(run.at(2, b, ci, y, x), wanted[at(b, ci, y, x)]));
                }
            }
        }
    }
}
