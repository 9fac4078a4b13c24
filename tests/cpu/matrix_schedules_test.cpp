// links: backends ir
// Every kernel of tests/data/kernels whose sums matrix units can make, in their machine code: near the interpreter,
// and the same bits for any legal schedule by matrices, any batch hint and in any chunks. Where this processor has no
// such units, tile_emulator.h runs the instructions.
#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "backends/cpu/kernel_code.h"
#include "backends/cpu/matrix_sum.h"
#include "tests/cpu/kernel_memory.h"
#include "tests/cpu/tile_emulator.h"

namespace netc {
namespace {

constexpr std::int64_t kBatches[] = {1, 3, 16, 21};

std::vector<std::pair<std::string, Kernel>> matrix_kernels() {
    std::vector<std::pair<std::string, Kernel>> kernels;
    for (const auto& file :
         std::filesystem::directory_iterator(NETC_SOURCE_DIR "/tests/data/kernels")) {
        std::ifstream stream(file.path());
        std::ostringstream text;
        text << stream.rdbuf();
        Result<Kernel> kernel = parse_kernel(text.str());
        INFO(file.path().string());
        REQUIRE(kernel.ok());
        const bool has_form = std::ranges::any_of(kernel->stages, [&](const Stage& stage) {
            return matrix_sum(*kernel, stage).has_value();
        });
        if (has_form) kernels.emplace_back(file.path().stem(), std::move(*kernel));
    }
    std::ranges::sort(kernels, {}, [](const auto& named) { return named.first; });
    return kernels;
}

// Other tiles, rows along another axis, another order of the loops, blocks of rows.
Schedule another(const Kernel& kernel, Schedule schedule, std::mt19937& random) {
    const auto below = [&](std::size_t n) { return random() % n; };
    for (int attempt = 0; attempt < 200; ++attempt) {
        Schedule tried = schedule;
        std::ranges::shuffle(tried.outer, random);
        for (AxisTile& tile : tried.outer) {
            constexpr std::int64_t kTiles[] = {1, 1, 2, 3, 5, 17};
            tile.tile = kTiles[below(tile.axis == *tried.vector_axis ? 4 : 6)];
        }
        for (StageSchedule& how : tried.stages) {
            if (how.matrix_rows && below(2) == 0) {
                how.matrix_rows = kernel.outer[below(kernel.outer.size())];
                for (StageSchedule& other : tried.stages) {
                    if (other.matrix_rows) other.matrix_rows = how.matrix_rows;
                }
            }
        }
        const std::int64_t block = static_cast<std::int64_t>(below(3));
        tried.block.reset();
        for (const StageSchedule& how : tried.stages) {
            if (how.matrix_rows && block > 0) tried.block = {*how.matrix_rows, block};
        }
        if (!legal(kernel, tried)) tried.block.reset();
        if (legal(kernel, tried)) return tried;
    }
    return schedule;
}

std::unique_ptr<KernelCode> compiled(const Kernel& kernel, const Schedule* how,
                                     const Machine& machine, std::int64_t hint) {
    auto code = compile_kernel(kernel, how, machine, hint);
    if (!code) FAIL(to_string(code.error()));
    return std::move(*code);
}

}  // namespace

TEST_CASE("sums by matrices have one result, for any schedule") {
    const auto machine = machine_for({"", "native", test::kTileFeatures});
    REQUIRE(machine.ok());
    if (!machine->avx512) {
        WARN("no AVX-512: the code around tiles can not run here");
        return;
    }
    const test::TileEmulator emulator;
    std::mt19937 random(11);
    const auto kernels = matrix_kernels();
    CHECK(kernels.size() >= 4);
    bool blocks = false;
    for (const auto& [name, kernel] : kernels) {
        INFO(name);
        std::vector<std::unique_ptr<KernelCode>> codes;
        for (const std::int64_t hint : {16, 3})
            codes.push_back(compiled(kernel, nullptr, *machine, hint));
        const Schedule chosen = codes[0]->schedule();
        CHECK(std::ranges::any_of(
            chosen.stages, [](const StageSchedule& how) { return how.matrix_rows.has_value(); }));
        for (int i = 0; i < 6; ++i) {
            const Schedule schedule = another(codes[0]->kernel(), chosen, random);
            blocks = blocks || schedule.block.has_value();
            codes.push_back(compiled(kernel, &schedule, *machine, 16));
        }
        for (const std::int64_t batch : kBatches) {
            INFO("B = " << batch);
            test::KernelMemory expected(kernel, batch, 3);
            std::vector<WideBuffer> reference = expected.wide();
            REQUIRE(interpret_kernel(kernel, reference, batch).ok());
            codes[0]->run(expected.pointers(), batch);
            CHECK(expected.difference(reference, 5e-5) == "");
            for (const auto& code : codes) {
                INFO(to_text(code->kernel(), code->schedule()));
                test::KernelMemory memory(kernel, batch, 3);
                code->run(memory.pointers(), batch);
                CHECK(memory.difference(expected) == "");
                // In chunks, last first.
                test::KernelMemory pieces(kernel, batch, 3);
                const std::int64_t chunks =
                    chunk_rule(code->kernel(), code->schedule()).count(batch);
                for (std::int64_t to = chunks; to > 0; to -= 2)
                    code->run(pieces.pointers(), batch, std::max<std::int64_t>(0, to - 2), to);
                CHECK(pieces.difference(expected) == "");
            }
        }
    }
    CHECK(blocks);
}

}  // namespace netc
