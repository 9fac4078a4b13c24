// links: backends ir
// labels: speed
// Prints what share of the multiply-add peak, measured in the same run, the kernels reach that training spends
// its time in. The floor for the product 512 x 512 x 512 is checked only where NETC_CHECK_SPEED is set: these
// machines are shared.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "backends/cpu/kernel_code.h"
#include "tests/cpu/fma_peak.h"
#include "tests/cpu/kernel_memory.h"

namespace netc {
namespace {

struct Case {
    const char* name;
    const char* text;
    std::int64_t batch;
    double operations;
};

const Case kCases[] = {
    {"product 512 x 512 x 512", R"(kernel {
  param x: in f32[B, 512]
  param w: in f32[512, 512]
  param y: out f32[B, 512]
  outer (b: B, o: 512)
  stage () {
    reduce (i: 512) sequential
    state s0: f32 = 0
    s0 -> fma(x[b, i], w[i, o], s0)
    store y[b, o] = s0
  }
})",
     512, 2.0 * 512 * 512 * 512},
    {"mlp forward 64 x 784 x 512", R"(kernel {
  param x: in f32[B, 784]
  param w: in f32[784, 512]
  param bias: in f32[512]
  param y: out f32[B, 512]
  outer (b: B, o: 512)
  stage () {
    reduce (i: 784) sequential
    state s0: f32 = 0
    s0 -> fma(x[b, i], w[i, o], s0)
    store y[b, o] = max(s0 + bias[o], 0)
  }
})",
     64, 2.0 * 64 * 784 * 512},
    {"mlp input gradient 64 x 512 x 512", R"(kernel {
  param dy: in f32[B, 512]
  param w: in f32[512, 512]
  param dx: out f32[B, 512]
  outer (b: B, i: 512)
  stage () {
    reduce (o: 512) sequential
    state s0: f32 = 0
    s0 -> fma(dy[b, o], w[i, o], s0)
    store dx[b, i] = s0
  }
})",
     64, 2.0 * 64 * 512 * 512},
    {"mlp weight gradient 784 x 512 x 64", R"(kernel {
  param x: in f32[B, 784]
  param dy: in f32[B, 512]
  param dw: out f32[784, 512]
  outer (i: 784, o: 512)
  stage () {
    reduce (b: B) sequential
    state s0: f32 = 0
    s0 -> fma(x[b, i], dy[b, o], s0)
    store dw[i, o] = s0
  }
})",
     64, 2.0 * 64 * 784 * 512},
    {"lenet conv1 forward", nullptr, 64, 2.0 * 64 * 6 * 28 * 28 * 25},
    {"lenet conv1 weight gradient", nullptr, 64, 2.0 * 64 * 6 * 28 * 28 * 25},
    {"lenet conv2 forward", R"(kernel {
  param x: in f32[B, 6, 14, 14] lanes
  param w: in f32[16, 6, 5, 5]
  param bias: in f32[16]
  param y: out f32[B, 16, 5, 5] lanes
  param a: out f32[B, 16, 10, 10] lanes
  local tile: f32[2, 2]
  outer (b: B, co: 16, py: 5, px: 5)
  stage (dy: 2, dx: 2) {
    reduce (ci: 6, ky: 5, kx: 5) sequential
    state s0: f32 = 0
    s0 -> fma(x[b, ci, 2*py + dy + ky, 2*px + dx + kx], w[co, ci, ky, kx], s0)
    let activated = tanh(s0 + bias[co])
    store tile[dy, dx] = activated
    store a[b, co, 2*py + dy, 2*px + dx] = activated
  }
  stage () {
    reduce (my: 2, mx: 2) sequential
    state s0: f32 = 0
    s0 -> s0 + tile[my, mx]
    store y[b, co, py, px] = s0 * 0.25
  }
})",
     64, 2.0 * 64 * 16 * 100 * 150},
    {"lenet conv2 input gradient", nullptr, 64, 2.0 * 64 * 16 * 100 * 150},
    {"lenet conv2 weight gradient", R"(kernel {
  param x: in f32[B, 6, 14, 14] lanes
  param dz: in f32[B, 16, 10, 10] lanes
  param dw: out f32[16, 6, 5, 5]
  outer (co: 16, ci: 6, ky: 5, kx: 5)
  stage () {
    reduce (b: B, y: 10, i: 10) lanes(b)
    state s0: f32 = 0
    s0 -> fma(dz[b, co, y, i], x[b, ci, y + ky, i + kx], s0)
    merge
    s0 -> s0 + s0'
    store dw[co, ci, ky, kx] = s0
  }
})",
     64, 2.0 * 64 * 16 * 100 * 150},
    {"lenet fc1 forward", R"(kernel {
  param x: in f32[B, 400] lanes
  param w: in f32[400, 120]
  param bias: in f32[120]
  param y: out f32[B, 120] lanes
  outer (b: B, o: 120)
  stage () {
    reduce (i: 400) sequential
    state s0: f32 = 0
    s0 -> fma(x[b, i], w[i, o], s0)
    store y[b, o] = tanh(s0 + bias[o])
  }
})",
     64, 2.0 * 64 * 400 * 120},
    {"lenet fc1 input gradient", R"(kernel {
  param dy: in f32[B, 120] lanes
  param w: in f32[400, 120]
  param dx: out f32[B, 400] lanes
  outer (b: B, i: 400)
  stage () {
    reduce (o: 120) sequential
    state s0: f32 = 0
    s0 -> fma(dy[b, o], w[i, o], s0)
    store dx[b, i] = s0
  }
})",
     64, 2.0 * 64 * 400 * 120},
    {"lenet fc1 weight gradient", R"(kernel {
  param x: in f32[B, 400] lanes
  param dy: in f32[B, 120]
  param dw: out f32[400, 120]
  outer (i: 400, o: 120)
  stage () {
    reduce (b: B) sequential
    state s0: f32 = 0
    s0 -> fma(x[b, i], dy[b, o], s0)
    store dw[i, o] = s0
  }
})",
     64, 2.0 * 64 * 400 * 120},
    {"input to lanes", R"(kernel {
  param x: in f32[B, 784]
  param y: out f32[B, 784] lanes
  outer (b: B, i: 784)
  stage () {
    store y[b, i] = x[b, i]
  }
})",
     64, 64.0 * 784},
    {"lanes to rows", R"(kernel {
  param x: in f32[B, 120] lanes
  param y: out f32[B, 120]
  outer (b: B, i: 120)
  stage () {
    store y[b, i] = x[b, i]
  }
})",
     64, 64.0 * 120},
};

std::string text_of(const Case& one) {
    if (one.text != nullptr) return one.text;
    const std::string name = one.name;
    const char* file = name == "lenet conv1 forward"           ? "conv1_training"
                       : name == "lenet conv1 weight gradient" ? "conv1_weight_gradient"
                                                               : "conv2_input_gradient";
    std::ifstream stream(NETC_SOURCE_DIR "/tests/data/kernels/" + std::string(file) + ".kernel");
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

TEST_CASE("shares of the multiply-add peak") {
    const auto machine = machine_for({"", "native", ""});
    REQUIRE(machine.ok());
    fmt::print("{} ({} bit vectors)\n", machine->cpu, machine->vector_bits);
    for (const Case& one : kCases) {
        if (const char* only = std::getenv("NETC_KERNEL")) {
            if (std::string(one.name).find(only) == std::string::npos) continue;
        }
        INFO(one.name);
        const auto kernel = parse_kernel(text_of(one));
        if (!kernel) FAIL(to_string(kernel.error()));
        const double compile_start = test::seconds_now();
        const bool show = std::getenv("NETC_ASSEMBLY") != nullptr;
        const auto code = compile_kernel(*kernel, nullptr, *machine, one.batch, std::nullopt, show);
        if (!code) FAIL(to_string(code.error()));
        const double compile = test::seconds_now() - compile_start;
        test::KernelMemory memory(*kernel, one.batch, 1);
        double best = 1e9;
        double peak = 0;
        for (int round = 0; round < 25; ++round) {
            if (round % 5 == 0) peak = std::max(peak, test::fma_peak(machine->avx512));
            const double start = test::seconds_now();
            int calls = 0;
            do {
                (*code)->run(memory.pointers(), one.batch);
                ++calls;
            } while (test::seconds_now() - start < 0.002);
            best = std::min(best, (test::seconds_now() - start) / calls);
        }
        const double rate = one.operations / best;
        fmt::print("{:36} {:9.1f} us {:7.1f} GFLOP/s {:5.1f} % of peak; compiled in {:.0f} ms\n",
                   one.name, best * 1e6, rate * 1e-9, 100 * rate / peak, compile * 1e3);
        if (std::getenv("NETC_SCHEDULE") != nullptr) {
            fmt::print("{}\n", to_text((*code)->kernel(), (*code)->schedule()));
        }
        if (show) fmt::print("{}\n", (*code)->assembly());
        if (std::getenv("NETC_CHECK_SPEED") != nullptr && &one == &kCases[0])
            CHECK(rate >= 0.7 * peak);
    }
}

}  // namespace
}  // namespace netc
