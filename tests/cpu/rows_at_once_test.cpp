// links: backends ir
// How many rows of a kernel that sums along them are in a tile: what hides latency, fits the first-level cache and
// leaves memory one stream.
#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "backends/cpu/kernel_code.h"

namespace netc {
namespace {

// The centred square needs the row twice.
std::string variance(int columns) {
    return fmt::format(R"(kernel {{
  param x: in f32[B, {0}]
  param y: out f32[B]
  local mean: f32[]
  outer (b: B)
  stage () {{
    reduce (i: {0}) lanes(i)
    state s0: f32 = 0
    s0 -> s0 + x[b, i]
    merge
    s0 -> s0 + s0'
    store mean[] = s0 * 0.001
  }}
  stage () {{
    reduce (k: {0}) lanes(k)
    state s0: f32 = 0
    let v0 = x[b, k] - mean[]
    s0 -> s0 + v0 * v0
    merge
    s0 -> s0 + s0'
    store y[b] = s0
  }}
}})",
                       columns);
}

struct Case {
    int columns;
    std::int64_t batch;
    std::int64_t rows;
};

const Case kCases[] = {
    {256, 64, 4},      // latency
    {2048, 64, 2},     // three rows are more than two thirds of 32 KiB
    {65536, 4, 1},     // a row is more than the cache
    {1024, 16384, 1},  // from memory
};

TEST_CASE("rows of a tile") {
    Machine machine;
    machine.vector_bits = 512;
    machine.vector_registers = 32;
    for (const Case& one : kCases) {
        const Result<Kernel> kernel = parse_kernel(variance(one.columns));
        REQUIRE(kernel.ok());
        const Schedule chosen = schedule(*kernel, machine, one.batch);
        INFO(one.columns << " columns: " << to_text(*kernel, chosen));
        CHECK(chosen.outer[0].tile == one.rows);
        CHECK(chosen.stages[0].vector_axis == kernel->stages[0].reduction->order.lane_axis);
    }
}

}  // namespace
}  // namespace netc
