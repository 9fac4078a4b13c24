// links: backends ir
// Which operands of tiled sums are boxes of a tensor, and of which one.
#include <catch2/catch.hpp>

#include <bit>
#include <cstring>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "backends/gpu/tile_schedule.h"

using namespace netc;

namespace {

// A product of bf16 with these reads, in f32.
std::string product(const std::string& params, const std::string& outer, const std::string& sum,
                    const std::string& a, const std::string& b, const std::string& result) {
    return "kernel {\n" + params + "  outer " + outer + "\n  stage () {\n    reduce " + sum +
           "    state s0: f32 = 0\n    s0 -> fma(cast(" + a + ", f32), cast(" + b +
           ", f32), s0)\n    store " + result + " = s0\n  }\n}\n";
}

// Of each operand its dimensions: extent:stride, and the box in parentheses where a tile walks it.
std::string boxes(const std::string& text, std::int64_t batch) {
    const Result<Kernel> kernel = parse_kernel(text);
    if (!kernel) FAIL(kernel.error().message << "\n" << text);
    GpuThresholds thresholds = kTilesEverywhere;
    thresholds.warpgroups = thresholds.tensor_copies = true;
    const auto how = tile_schedule(*kernel, batch, thresholds);
    REQUIRE(how);
    std::string all;
    for (const TileTensor& tensor : how->tensors) {
        all += all.empty() ? "" : "; ";
        for (const GpuTensor::Dim& dim : tensor.view.dims) {
            all += std::to_string(dim.extent.at(batch)) + ":" + std::to_string(dim.stride);
            if (dim.box > 1) all += "(" + std::to_string(dim.box) + ")";
            all += " ";
        }
        all += "from " + std::to_string(tensor.view.start);
    }
    return all;
}

// What the kernel stores in its last parameter, on the emulator: the factors are small integers, which sums in f32 keep.
std::vector<float> results(const std::string& text, std::int64_t batch,
                           const GpuThresholds& thresholds) {
    Program program;
    program.kernels = {*parse_kernel(text)};
    program.batch_hint = batch;
    Entry& entry = program.entries.emplace_back();
    entry.name = "product";
    Call& call = entry.calls.emplace_back();
    const std::vector<Param>& params = program.kernels[0].params;
    std::vector<std::vector<float>> memory;  // aligned to 4; copies of boxes want 64
    std::vector<std::byte*> arrays;
    for (std::uint32_t k = 0; k < params.size(); ++k) {
        call.arguments.push_back({RegionKind::output, k, {}});
        const auto count = static_cast<std::size_t>(element_count(params[k], batch));
        std::vector<float>& own = memory.emplace_back(count + 32, -1);
        const auto address = reinterpret_cast<std::uintptr_t>(own.data());
        auto* const start = reinterpret_cast<std::byte*>(own.data()) + (64 - address % 64) % 64;
        arrays.push_back(start);
        for (std::size_t i = 0; k + 1 < params.size() && i < count; ++i) {
            const auto number = static_cast<float>((i * 7 + i / 5 + k) % 9) - 4;
            const auto half =
                static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(number) >> 16);
            std::memcpy(start + 2 * i, &half, 2);
        }
    }
    const auto executable = emulate_gpu(program, thresholds);
    if (!executable) FAIL(executable.error().message);
    CallMemory all;
    all.outputs = arrays;
    const Status status = (*executable)->run("product", all, batch);
    if (!status) FAIL(status.error().message);
    std::vector<float> found(static_cast<std::size_t>(element_count(params.back(), batch)));
    std::memcpy(found.data(), arrays.back(), found.size() * sizeof(float));
    return found;
}

}  // namespace

TEST_CASE("operands that are boxes of a tensor") {
    const std::string matrices =
        "  param p0: in bf16[B, 72]\n  param p1: in bf16[72, 88]\n  param p2: out f32[B, 88]\n";
    const auto plain = [&](const std::string& a, const std::string& b) {
        return product(matrices, "(i0: B, i1: 88)", "(k0: 72) sequential\n", a, b, "p2[i0, i1]");
    };
    SECTION("rows and columns, and zeros behind the last step") {
        CHECK(boxes(plain("p0[i0, k0]", "p1[k0, i1]"), 100) ==
              "72:1(32) 100:72(64) from 0; 88:1(32) 72:88(32) from 0");
    }
    SECTION("from the last term to the first, before it is turned round: not") {
        CHECK(boxes(plain("p0[i0, -k0 + 71]", "p1[-k0 + 71, i1]"), 100) == "");
    }
    SECTION("samples and places that go on are one dimension, and so are several summed axes") {
        const std::string text =
            product("  param p0: in bf16[B, 24, 4, 16]\n  param p1: in bf16[4, 16, 64]\n"
                    "  param p2: out f32[B, 24, 64]\n",
                    "(i0: B, i1: 24, i2: 64)", "(k0: 4, k1: 16) sequential\n", "p0[i0, i1, k0, k1]",
                    "p1[k0, k1, i2]", "p2[i0, i1, i2]");
        CHECK(boxes(text, 10) == "64:1(32) 240:64(64) from 0; 64:1(32) 64:64(32) from 0");
    }
    SECTION("a batch of products has a dimension for each of its axes") {
        const std::string text =
            product("  param p0: in bf16[B, 128, 3, 64]\n  param p1: in bf16[B, 128, 3, 64]\n"
                    "  param p2: out f32[B, 3, 128, 128]\n",
                    "(i0: B, i1: 3, i2: 128, i3: 128)", "(k0: 64) sequential\n",
                    "p0[i0, i2, i1, k0]", "p1[i0, i3, i1, k0]", "p2[i0, i1, i2, i3]");
        CHECK(boxes(text, 2).starts_with("64:1(64) 3:64 128:192("));
        CHECK(boxes(text, 2).ends_with(" 2:24576 from 0"));
    }
    SECTION("a guard is the bound of the dimension that all of its axes move along") {
        // Parts of a sum: their last one is shorter.
        const std::string text = product(
            "  param p0: in bf16[B, 64]\n  param p1: in bf16[B, 64]\n"
            "  param p2: out f32[3, 64, 64]\n",
            "(i0: 3, i1: 64, i2: 64)", "(k0: 64) sequential\n      guard 0 <= 64*i0 + k0 < B\n",
            "p0[64*i0 + k0, i1]", "p1[64*i0 + k0, i2]", "p2[i0, i1, i2]");
        CHECK(boxes(text, 150) == "64:1(64) 150:64(64) from 0; 64:1(32) 150:64(64) from 0");
    }
    SECTION("a window's padding, where tiles lie within its rows") {
        const std::string text =
            product("  param p0: in bf16[B, 128, 64]\n  param p1: in bf16[3, 64, 64]\n"
                    "  param p2: out f32[B, 128, 64]\n",
                    "(i0: B, i1: 128, i2: 64)",
                    "(k0: 3, k1: 64) sequential\n      guard 0 <= i1 + k0 - 1 < 128\n",
                    "p0[i0, i1 + k0 - 1, k1]", "p1[k0, k1, i2]", "p2[i0, i1, i2]");
        CHECK(boxes(text, 4).starts_with("64:1(64) 128:64("));
        CHECK(boxes(text, 4).ends_with("; 64:1(32) 192:64(64) from 0"));
    }
    SECTION("what is no box") {
        // Rows of 74 bytes; strides that the batch decides; a guard that divides.
        CHECK(boxes(product("  param p0: in bf16[B, 37]\n  param p1: in bf16[37, 64]\n"
                            "  param p2: out f32[B, 64]\n",
                            "(i0: B, i1: 64)", "(k0: 37) sequential\n", "p0[i0, k0]", "p1[k0, i1]",
                            "p2[i0, i1]"),
                    64) == "");
        CHECK(boxes(product("  param p0: in bf16[64, B]\n  param p1: in bf16[64, 64]\n"
                            "  param p2: out f32[B, 64]\n",
                            "(i0: B, i1: 64)", "(k0: 64) sequential\n", "p0[k0, i0]", "p1[k0, i1]",
                            "p2[i0, i1]"),
                    64) == "");
        // A bound that lies behind the end of memory.
        const auto bounded = [](const std::string& limit) {
            return product("  param p0: in bf16[150, 64]\n  param p1: in bf16[150, 64]\n"
                           "  param p2: out f32[2, 64, 64]\n",
                           "(i0: 2, i1: 64, i2: 64)",
                           "(k0: 64) sequential\n      guard 0 <= 64*i0 + k0 < " + limit + "\n",
                           "p0[64*i0 + k0, i1]", "p1[64*i0 + k0, i2]", "p2[i0, i1, i2]");
        };
        CHECK(boxes(bounded("100"), 64) != "");
        CHECK(boxes(bounded("200"), 64) == "");
        // Steps of two places at a time, and tiles that would go on in the next row.
        CHECK(boxes(product("  param p0: in bf16[B, 40, 64]\n  param p1: in bf16[20, 64, 64]\n"
                            "  param p2: out f32[B, 64]\n",
                            "(i0: B, i1: 64)", "(k0: 20, k1: 24) sequential\n", "p0[i0, 2*k0, k1]",
                            "p1[k0, k1, i1]", "p2[i0, i1]"),
                    64) == "");
    }
}

TEST_CASE("boxes give what threads bring") {
    struct Row {
        const char* name;
        std::string text;
        std::int64_t batch;
    };
    const std::string parts = product("  param p0: in bf16[B, 72]\n  param p1: in bf16[B, 136]\n"
                                      "  param p2: out f32[3, 72, 136]\n",
                                      "(i0: 3, i1: 72, i2: 136)",
                                      "(k0: 64) sequential\n      guard 0 <= 64*i0 + k0 < B\n",
                                      "p0[64*i0 + k0, i1]", "p1[64*i0 + k0, i2]", "p2[i0, i1, i2]");
    const std::string padding =
        product("  param p0: in bf16[B, 128, 64]\n  param p1: in bf16[3, 64, 40]\n"
                "  param p2: out f32[B, 128, 40]\n",
                "(i0: B, i1: 128, i2: 40)",
                "(k0: 3, k1: 64) sequential\n      guard 0 <= i1 + k0 - 1 < 128\n",
                "p0[i0, i1 + k0 - 1, k1]", "p1[k0, k1, i2]", "p2[i0, i1, i2]");
    const std::string windows =
        product("  param p0: in bf16[B, 24, 64]\n  param p1: in bf16[5, 64, 40]\n"
                "  param p2: out f32[B, 20, 40]\n",
                "(i0: B, i1: 20, i2: 40)", "(k0: 5, k1: 64) sequential\n", "p0[i0, i1 + k0, k1]",
                "p1[k0, k1, i2]", "p2[i0, i1, i2]");
    const std::string heads =
        product("  param p0: in bf16[B, 40, 3, 16]\n  param p1: in bf16[B, 24, 3, 16]\n"
                "  param p2: out f32[B, 3, 40, 24]\n",
                "(i0: B, i1: 3, i2: 40, i3: 24)", "(k0: 16) sequential\n", "p0[i0, i2, i1, k0]",
                "p1[i0, i3, i1, k0]", "p2[i0, i1, i2, i3]");
    const std::string one =
        product("  param p0: in bf16[1, 128, 8, 64]\n  param p1: in bf16[8, 64, 264]\n"
                "  param p2: out f32[128, 264]\n",
                "(i0: 128, i1: 264)", "(k0: 8, k1: 64) sequential\n", "p0[0, i0, k0, k1]",
                "p1[k0, k1, i1]", "p2[i0, i1]");
    for (const Row& row : {Row{"parts", parts, 150}, Row{"padding", padding, 3},
                           Row{"heads", heads, 2}, Row{"several summed axes", one, 1}}) {
        INFO(row.name);
        GpuThresholds thresholds = kTilesEverywhere;
        thresholds.part_terms = std::int64_t{1} << 40;
        const std::vector<float> wanted = results(row.text, row.batch, thresholds);
        CHECK(boxes(row.text, row.batch) != "");
        thresholds.warpgroups = thresholds.tensor_copies = true;
        CHECK(results(row.text, row.batch, thresholds) == wanted);
    }
    // Rows of twenty points are no tiles of 64: threads bring them.
    CHECK(boxes(windows, 7) == "");
}
