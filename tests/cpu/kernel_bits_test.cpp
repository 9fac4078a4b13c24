// links: backends ir
// Every kernel of tests/data/kernels in machine code: equal to the interpreter but for rounding, and the same
// bits for any legal schedule, for AVX2 and AVX-512, and in any chunks.
#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "backends/cpu/kernel_code.h"
#include "tests/cpu/kernel_memory.h"

namespace netc {
namespace {

struct Named {
    std::string name;
    Kernel kernel;
};

std::vector<Named> all_kernels() {
    std::vector<Named> kernels;
    for (const auto& file :
         std::filesystem::directory_iterator(NETC_SOURCE_DIR "/tests/data/kernels")) {
        if (const char* only = std::getenv("NETC_KERNEL")) {
            if (file.path().stem() != only) continue;
        }
        std::ifstream stream(file.path());
        std::ostringstream text;
        text << stream.rdbuf();
        Result<Kernel> kernel = parse_kernel(text.str());
        INFO(file.path().string());
        REQUIRE(kernel.ok());
        kernels.push_back({file.path().stem().string(), std::move(*kernel)});
    }
    std::sort(kernels.begin(), kernels.end(),
              [](const Named& a, const Named& b) { return a.name < b.name; });
    return kernels;
}

Machine machine_called(const std::string& cpu) {
    auto machine = machine_for({"", cpu, ""});
    if (!machine) FAIL(to_string(machine.error()));
    return *machine;
}

// LLVM takes minutes for some legal schedules, none of which the scheduler would choose.
bool compiles_soon(const Kernel& kernel, const Schedule& schedule, const Machine& machine) {
    constexpr std::size_t kMost = 20000;
    const auto count = count_instructions(kernel, schedule, machine);
    if (!count) FAIL(to_string(count.error()));
    return *count <= kMost;
}

Schedule random_schedule(const Kernel& kernel, const Machine& machine, std::mt19937& random) {
    const auto below = [&](std::size_t n) { return random() % n; };
    for (int attempt = 0; attempt < 200; ++attempt) {
        Schedule schedule = plain_schedule(kernel);
        std::shuffle(schedule.outer.begin(), schedule.outer.end(), random);
        for (AxisTile& tile : schedule.outer) tile.tile = 1 + static_cast<std::int64_t>(below(3));
        // Long rows, which are stored through registers where they lie across vectors.
        if (below(3) == 0 && !schedule.outer.empty())
            schedule.outer[below(schedule.outer.size())].tile =
                4 + static_cast<std::int64_t>(below(15));
        // No schedule that is chosen has tiles of more.
        std::int64_t points = 1;
        for (const AxisTile& tile : schedule.outer) points *= tile.tile;
        if (points > 64) continue;
        if (below(3) != 0 && !schedule.outer.empty()) {
            schedule.vector_axis = schedule.outer[below(schedule.outer.size())].axis;
        }
        for (std::size_t s = 0; s < kernel.stages.size(); ++s) {
            StageSchedule& how = schedule.stages[s];
            std::shuffle(how.own.begin(), how.own.end(), random);
            for (auto* list : {&how.own, &how.reduced}) {
                for (AxisTile& tile : *list) {
                    const Extent extent = kernel.axes[tile.axis].extent;
                    const std::size_t choice = below(3);
                    if (choice == 1) tile.tile = 2;
                    if (choice == 2 && extent.is_static() && extent.constant <= 8)
                        tile.tile = extent.constant;
                }
            }
            if (schedule.vector_axis || below(2) == 0) continue;
            std::vector<AxisId> possible = kernel.stages[s].axes;
            const auto& reduction = kernel.stages[s].reduction;
            if (reduction && reduction->order.kind == OrderKind::lanes) {
                possible.push_back(reduction->order.lane_axis);
            }
            if (!possible.empty()) how.vector_axis = possible[below(possible.size())];
        }
        const auto& first = kernel.stages[0].reduction;
        if (first && below(2) == 0) {
            // One axis in parts of up to four, or one value of it at a time and the next in parts.
            Schedule sliced = schedule;
            const auto depth = 1 + below(2);
            for (std::size_t i = 0; i < std::min<std::size_t>(depth, first->axes.size()); ++i)
                sliced.slices.push_back({first->axes[i], 1});
            sliced.slices.back().tile = 1 + static_cast<std::int64_t>(below(4));
            sliced.slice_level = below(schedule.outer.size() + 1);
            if (legal(kernel, sliced)) schedule = sliced;
        }
        if (below(2) == 0 && !schedule.outer.empty()) {
            Schedule blocked = schedule;
            blocked.block = {schedule.outer[below(schedule.outer.size())].axis,
                             1 + static_cast<std::int64_t>(below(3))};
            if (legal(kernel, blocked)) schedule = blocked;
        }
        for (std::uint32_t read = 0; read < kernel.reads.size() && below(2) == 0; ++read) {
            Schedule packed = schedule;
            packed.packs.push_back({read, 1 + below(schedule.outer.size() + 1)});
            if (legal(kernel, packed)) schedule = packed;
        }
        for (std::uint32_t param = 0; param < kernel.params.size(); ++param) {
            if (below(2) == 0) continue;
            Schedule streaming = schedule;
            streaming.streamed.push_back(param);
            if (legal(kernel, streaming)) schedule = streaming;
        }
        for (std::size_t s = 0; s < kernel.stages.size(); ++s) {
            Schedule by_lane = schedule;
            by_lane.stages[s].lane_by_lane = true;
            if (below(2) == 0 && legal(kernel, by_lane)) schedule = by_lane;
            for (std::uint32_t read = 0; read < kernel.reads.size(); ++read) {
                if (below(2) == 0) continue;
                Schedule asking = schedule;
                asking.stages[s].ahead.push_back(read);
                if (legal(kernel, asking)) schedule = asking;
            }
        }
        if (legal(kernel, schedule) && compiles_soon(kernel, schedule, machine)) return schedule;
    }
    return plain_schedule(kernel);
}

std::unique_ptr<KernelCode> compiled(const Kernel& kernel, const Schedule* how,
                                     const Machine& machine, std::int64_t hint) {
    auto code = compile_kernel(kernel, how, machine, hint);
    if (!code) FAIL(to_string(code.error()));
    return std::move(*code);
}

// The schedules and masks of AVX-512 in the instructions that this machine has.
Machine wide(Machine machine) {
    machine.avx512 = machine.x86;
    machine.vector_bits = 512;
    machine.vector_registers = 32;
    return machine;
}

constexpr std::int64_t kBatches[] = {1, 3, 16, 17, 40};

TEST_CASE("compiled kernels agree with the interpreter, for any schedule and processor") {
    std::mt19937 random(7);
    const Machine native = machine_called("native");
    std::vector<Machine> machines{machine_called("x86-64-v3")};
    machines.push_back(native.avx512 ? machine_called("x86-64-v4") : wide(native));
    for (const Named& named : all_kernels()) {
        INFO(named.name);
        const Kernel& kernel = named.kernel;
        const Schedule plain = plain_schedule(kernel);
        const auto simple = compiled(kernel, &plain, native, 16);
        std::vector<std::unique_ptr<KernelCode>> codes;
        codes.push_back(compiled(kernel, nullptr, native, 16));
        for (const Machine& machine : machines)
            codes.push_back(compiled(kernel, nullptr, machine, 40));
        for (int i = 0; i < 6; ++i) {
            const Schedule schedule = random_schedule(simple->kernel(), native, random);
            codes.push_back(compiled(kernel, &schedule, native, 16));
            if (i == 0) codes.push_back(compiled(kernel, &schedule, machines[0], 16));
            if (i == 1) codes.push_back(compiled(kernel, &schedule, machines[1], 16));
        }
        for (const std::int64_t batch : kBatches) {
            INFO("B = " << batch);
            test::KernelMemory expected(kernel, batch, 3);
            std::vector<WideBuffer> reference = expected.wide();
            const Result<bool> fault = interpret_kernel(kernel, reference, batch);
            REQUIRE(fault.ok());
            CHECK(simple->run(expected.pointers(), batch) == *fault);
            CHECK(expected.difference(reference, 5e-5) == "");
            for (const auto& code : codes) {
                INFO(to_text(code->kernel(), code->schedule()));
                test::KernelMemory memory(kernel, batch, 3);
                CHECK(code->run(memory.pointers(), batch) == *fault);
                CHECK(memory.difference(expected) == "");
                // What a caller gives is aligned as its elements are.
                test::KernelMemory moved(kernel, batch, 3, 4, 8);
                CHECK(code->run(moved.pointers(), batch) == *fault);
                CHECK(moved.difference(expected) == "");
                // In chunks, last first.
                test::KernelMemory pieces(kernel, batch, 3);
                const std::int64_t chunks =
                    chunk_rule(code->kernel(), code->schedule()).count(batch);
                for (std::int64_t to = chunks; to > 0; to -= 2) {
                    code->run(pieces.pointers(), batch, std::max<std::int64_t>(0, to - 2), to);
                }
                CHECK(pieces.difference(expected) == "");
            }
        }
    }
}

}  // namespace
}  // namespace netc
