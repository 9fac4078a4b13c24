// links: ir backends
// Programs in the interpreter: regions, inputs, outputs, variables, and the same through Executable.
#include <catch2/catch.hpp>

#include <cmath>
#include <cstring>
#include <vector>

#include "backends/backend.h"
#include "backends/interpreter.h"

using namespace netc;

namespace {

// forward: h = tanh(x @ w), in the workspace as batch lanes; y = h * h with one i32 by table lookup.
Program small_program() {
    Program program;
    const char* const texts[] = {
        "kernel { param x: in f32[B, 3] param w: in f32[3, 2] param h: out f32[B, 2] lanes outer "
        "(b: B, o: 2)"
        " stage () { reduce (k: 3) sequential state s0: f32 = 0 s0 -> fma(x[b, k], w[k, o], s0)"
        " store h[b, o] = tanh(s0) } }",
        "kernel { param h: in f32[B, 2] lanes param ids: in i32[B] param t: in f32[4] param rate: "
        "in f32[] "
        "param y: out f32[B, 2] outer (b: B, o: 2)"
        " stage () { store y[b, o] = h[b, o] * h[b, o] + t[at(ids[b])] * rate[] } }"};
    for (const char* text : texts) {
        program.kernels.push_back(*parse_kernel(text));
        program.kernel_texts.push_back(to_text(program.kernels.back()));
    }
    program.weights = {{.name = "w", .dims = {3, 2}, .offset = 64, .size = 24},
                       {.name = "t", .dims = {4}, .offset = 128, .size = 16}};
    program.weights_size = 192;
    Entry entry;
    entry.name = "forward";
    entry.inputs = {{.name = "x", .dims = {{1, 0}, {0, 3}}, .doc = ""},
                    {.name = "ids", .dtype = DType::i32, .dims = {{1, 0}}, .doc = ""}};
    entry.outputs = {{.name = "y", .dims = {{1, 0}, {0, 2}}, .doc = ""}};
    const BufferRef h{.region = RegionKind::workspace, .offset = {.constant = 64}};
    const auto ref = [](RegionKind region, std::uint32_t number, std::int64_t offset) {
        return BufferRef{.region = region, .number = number, .offset = {.constant = offset}};
    };
    entry.calls.push_back(
        {.kernel = 0,
         .arguments = {ref(RegionKind::input, 0, 0), ref(RegionKind::weights, 0, 64), h},
         .label = "dense"});
    entry.calls.push_back(
        {.kernel = 1,
         .arguments = {h, ref(RegionKind::input, 1, 0), ref(RegionKind::weights, 0, 128),
                       ref(RegionKind::hyper, 0, kHyperRate), ref(RegionKind::output, 0, 0)},
         .label = "square"});
    entry.workspace = {.constant = 64, .per_16 = 128};
    program.entries.push_back(entry);
    return program;
}

const std::vector<double> kW = {0.5, -1, 0.25, 2, -0.75, 1}, kT = {1, 2, 3, 4};
const std::vector<double> kX = {1, 2, 3, -1, 0.5, 0.25}, kIds = {3, 0};

double wanted(int b, int o) {
    double sum = 0;
    for (int k = 0; k < 3; ++k) {
        sum += kX[static_cast<std::size_t>(b * 3 + k)] * kW[static_cast<std::size_t>(k * 2 + o)];
    }
    const double t = kT[static_cast<std::size_t>(kIds[static_cast<std::size_t>(b)])];
    return std::tanh(sum) * std::tanh(sum) + t * 0.5;
}

}  // namespace

TEST_CASE("a program in double precision") {
    Result<Interpretation> made = Interpretation::make(small_program());
    REQUIRE(made.ok());
    Interpretation& program = *made;
    program.set_hyper(1, 1, 0.5);
    REQUIRE(program.set_variable("w", kW).ok());
    REQUIRE(program.set_variable("t", kT).ok());
    CHECK(*program.variable("w") == kW);
    REQUIRE(program.set_input("forward", "x", kX).ok());
    CHECK_FALSE(program.run("forward", 2).ok());
    REQUIRE(program.set_input("forward", "ids", kIds).ok());
    REQUIRE(program.run("forward", 2).ok());
    const std::vector<double> y = *program.output("forward", "y");
    for (int i = 0; i < 4; ++i)
        CHECK(std::abs(y[static_cast<std::size_t>(i)] - wanted(i / 2, i % 2)) < 1e-15);
    const double bad[] = {4, 0};
    REQUIRE(program.set_input("forward", "ids", bad).ok());
    const Status status = program.run("forward", 2);
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().status == kExitRun);
    CHECK_FALSE(program.variable("nothing").ok());
    CHECK_FALSE(program.run("backward", 1).ok());
}

TEST_CASE("the interpreter as an executable") {
    Result<std::unique_ptr<Executable>> made = interpret(small_program());
    REQUIRE(made.ok());
    alignas(64) std::byte weights[192] = {}, workspace[192] = {}, hyper[64] = {};
    const auto put = [](std::byte* to, const std::vector<double>& values) {
        for (double value : values) {
            const auto single = static_cast<float>(value);
            std::memcpy(to, &single, 4);
            to += 4;
        }
    };
    put(weights + 64, kW);
    put(weights + 128, kT);
    put(hyper + kHyperRate, {0.5});
    float x[6], y[4] = {};
    put(reinterpret_cast<std::byte*>(x), kX);
    const std::int32_t ids[] = {3, 0};
    const std::byte* const inputs[] = {reinterpret_cast<const std::byte*>(x),
                                       reinterpret_cast<const std::byte*>(ids)};
    std::byte* const outputs[] = {reinterpret_cast<std::byte*>(y)};
    CallMemory memory;
    memory.weights = weights, memory.workspace = workspace, memory.hyper = hyper;
    memory.inputs = inputs, memory.outputs = outputs;
    REQUIRE((*made)->run("forward", memory, 2).ok());
    for (int i = 0; i < 4; ++i) CHECK(std::abs(double{y[i]} - wanted(i / 2, i % 2)) < 1e-6);
}
