// links: runtime backends ir
// Programs through the JIT: equal to the interpreter, the same bits for any number of threads, from the cache
// and from the copy for the batch hint; faults; code as text.
#include <catch2/catch.hpp>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "backends/backend.h"
#include "runtime/train/session.h"

namespace netc {
namespace {

constexpr const char* kDense = R"(kernel {
  param x: in f32[B, 48]
  param w: in f32[48, 40]
  param y: out f32[B, 40]
  outer (b: B, o: 40)
  stage () {
    reduce (i: 48) sequential
    state s0: f32 = 0
    s0 -> fma(x[b, i], w[i, o], s0)
    store y[b, o] = tanh(s0)
  }
})";

constexpr const char* kMean = R"(kernel {
  param y: in f32[B, 40]
  param mean: out f32[40]
  outer (o: 40)
  stage () {
    reduce (b: B) lanes(b)
    state s0: f32 = 0
    s0 -> s0 + y[b, o]
    merge
    s0 -> s0 + s0'
    store mean[o] = s0
  }
})";

constexpr const char* kPick = R"(kernel {
  param table: in f32[40]
  param ids: in i32[B]
  param z: out f32[B]
  outer (b: B)
  stage () {
    store z[b] = table[at(ids[b])]
  }
})";

Kernel parsed(const char* text) {
    auto kernel = parse_kernel(text);
    if (!kernel) FAIL(to_string(kernel.error()));
    if (Status status = verify(*kernel); !status) FAIL(to_string(status.error()));
    return std::move(*kernel);
}

BufferRef at(RegionKind region, std::uint32_t number = 0, Bytes offset = {}) {
    return {region, number, offset};
}

// y = tanh(x @ w) in the workspace; its mean in output 0; picked elements of the mean in output 1.
Program make_program(std::int64_t hint) {
    Program program;
    program.name = "test";
    for (const char* text : {kDense, kMean}) {
        program.kernels.push_back(parsed(text));
        program.kernel_texts.push_back(to_text(program.kernels.back()));
    }
    Entry entry;
    entry.name = "forward";
    entry.inputs = {{"x", DType::f32, {Extent{1, 0}, Extent{0, 48}}, ""}};
    entry.outputs = {{"mean", DType::f32, {Extent{0, 40}}, ""}};
    const Bytes y{0, 0, 40 * 4};
    entry.calls.push_back({0,
                           {at(RegionKind::input), at(RegionKind::weights, 0, {64, 0, 0}),
                            at(RegionKind::workspace, 0, {0, 0, 0})},
                           "dense",
                           0});
    entry.calls.push_back(
        {1, {at(RegionKind::workspace, 0, {0, 0, 0}), at(RegionKind::output)}, "mean", 0});
    entry.workspace = y;
    entry.reads_weights = true;
    program.entries.push_back(entry);
    program.weights_size = 64 + 48 * 40 * 4;
    program.batch_hint = hint;
    return program;
}

struct Memory {
    explicit Memory(std::int64_t batch)
        : x(static_cast<std::size_t>(batch) * 48), mean(40, std::nanf("")) {
        weights = aligned(64 + 48 * 40 * 4, weights_bytes);
        workspace = aligned(static_cast<std::size_t>(batch) * 160 + 64, workspace_bytes);
        for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i) * 0.37f);
        auto* w = reinterpret_cast<float*>(weights + 64);
        for (int i = 0; i < 48 * 40; ++i) w[i] = std::cos(static_cast<float>(i) * 0.11f) * 0.2f;
    }
    static std::byte* aligned(std::size_t size, std::vector<std::byte>& bytes) {
        bytes.resize(size + 64);
        const auto start = reinterpret_cast<std::uintptr_t>(bytes.data());
        return bytes.data() + (64 - start % 64) % 64;
    }
    std::vector<float> run(Executable& executable, std::int64_t batch) {
        const std::byte* inputs[] = {reinterpret_cast<const std::byte*>(x.data())};
        std::byte* outputs[] = {reinterpret_cast<std::byte*>(mean.data())};
        CallMemory memory;
        memory.weights = weights;
        memory.workspace = workspace;
        memory.inputs = inputs;
        memory.outputs = outputs;
        const Status status = executable.run("forward", memory, batch);
        if (!status) FAIL(to_string(status.error()));
        return mean;
    }
    std::vector<float> x, mean;
    std::vector<std::byte> weights_bytes, workspace_bytes;
    std::byte* weights = nullptr;
    std::byte* workspace = nullptr;
};

std::unique_ptr<Executable> jitted(const Program& program, const JitOptions& options) {
    auto executable = jit(program, options);
    if (!executable) FAIL(to_string(executable.error()));
    return std::move(*executable);
}

TEST_CASE("a program gives the same bits for any number of threads and any copy") {
    for (const std::int64_t batch : {1, 5, 16, 33, 4000}) {
        INFO("B = " << batch);
        Memory memory(batch);
        JitOptions options;
        const auto first = memory.run(*jitted(make_program(64), options), batch);
        auto reference = interpret(make_program(64));
        REQUIRE(reference.ok());
        const auto exact = memory.run(**reference, batch);
        for (std::size_t i = 0; i < first.size(); ++i)
            CHECK(first[i] == Approx(exact[i]).margin(1e-4 * static_cast<double>(batch)));
        for (const int threads : {2, 3, 8}) {
            options.threads = threads;
            CHECK(memory.run(*jitted(make_program(64), options), batch) == first);
        }
        options.threads = 1;
        CHECK(memory.run(*jitted(make_program(batch), options), batch) == first);
    }
}

TEST_CASE("objects come from the cache, and damaged ones are made again") {
    const auto directory = std::filesystem::temp_directory_path() / "netc_code_cache_test";
    std::filesystem::remove_all(directory);
    JitOptions options;
    options.cache_directory = directory.string();
    Memory memory(7);
    const auto first = memory.run(*jitted(make_program(64), options), 7);
    std::size_t files = 0;
    for (const auto& file : std::filesystem::directory_iterator(directory)) {
        CHECK(file.path().extension() == ".o");
        ++files;
    }
    CHECK(files == 3);
    CHECK(memory.run(*jitted(make_program(64), options), 7) == first);
    for (const auto& file : std::filesystem::directory_iterator(directory)) {
        std::filesystem::resize_file(file.path(), std::filesystem::file_size(file.path()) / 2);
    }
    CHECK(memory.run(*jitted(make_program(64), options), 7) == first);
    for (const auto& file : std::filesystem::directory_iterator(directory)) {
        std::ofstream stream(file.path());
        stream << "not an object";
    }
    CHECK(memory.run(*jitted(make_program(64), options), 7) == first);
    std::filesystem::remove_all(directory);
    options.cache_directory = "/proc/no/such/place";
    CHECK(memory.run(*jitted(make_program(64), options), 7) == first);
}

TEST_CASE("a program whose code is in the cache is not made") {
    const auto directory = std::filesystem::temp_directory_path() / "netc_program_cache_test";
    std::filesystem::remove_all(directory);
    JitOptions options;
    options.cache_directory = directory.string();
    Memory memory(7);
    int made = 0;
    const auto run = [&](const std::string& key, int threads) {
        options.threads = threads;
        auto executable = jit({.key = key,
                               .make = [&]() -> Result<Program> {
                                   ++made;
                                   return make_program(64);
                               }},
                              options);
        if (!executable) FAIL(to_string(executable.error()));
        const Program& program = (*executable)->program();
        CHECK(program.find("forward")->calls[1].label == "mean");
        CHECK(program.weights_size == 64 + 48 * 40 * 4);
        return memory.run(**executable, 7);
    };
    const auto first = run("one", 1);
    CHECK(made == 1);
    CHECK(run("one", 1) == first);
    CHECK(run("one", 3) == first);
    CHECK(made == 1);
    run("two", 1);  // another program, though it has the same kernels
    CHECK(made == 2);
    run("", 1);
    CHECK(made == 3);
    // Whatever is lost or damaged, the result is the same.
    std::vector<std::filesystem::path> files;
    for (const auto& file : std::filesystem::directory_iterator(directory)) files.push_back(file);
    REQUIRE(files.size() == 5);  // two kernels, an entry, two programs
    for (const auto& file : files) {
        std::filesystem::remove(file);
        CHECK(run("one", 1) == first);
        std::ofstream(file) << "not code";
        CHECK(run("one", 2) == first);
    }
    std::filesystem::remove_all(directory);
}

TEST_CASE("an index that is out of range is an error") {
    Program program;
    program.name = "pick";
    program.kernels.push_back(parsed(kPick));
    program.kernel_texts.push_back(to_text(program.kernels[0]));
    Entry entry;
    entry.name = "forward";
    entry.inputs = {{"table", DType::f32, {Extent{0, 40}}, ""},
                    {"ids", DType::i32, {Extent{1, 0}}, ""}};
    entry.outputs = {{"z", DType::f32, {Extent{1, 0}}, ""}};
    entry.calls.push_back(
        {0,
         {at(RegionKind::input, 0), at(RegionKind::input, 1), at(RegionKind::output)},
         "pick",
         0});
    program.entries.push_back(entry);
    std::vector<float> table(40);
    for (int i = 0; i < 40; ++i) table[static_cast<std::size_t>(i)] = static_cast<float>(i);
    for (const int threads : {1, 2}) {
        JitOptions options;
        options.threads = threads;
        const auto executable = jitted(program, options);
        Result<Session> session = Session::create(program, *executable);
        REQUIRE(session.ok());
        for (const bool bad : {false, true, false}) {
            std::vector<std::int32_t> ids(37, 3);
            if (bad) ids[20] = 40;
            std::vector<float> z(37, -1);
            const std::byte* inputs[] = {reinterpret_cast<const std::byte*>(table.data()),
                                         reinterpret_cast<const std::byte*>(ids.data())};
            std::byte* outputs[] = {reinterpret_cast<std::byte*>(z.data())};
            CallMemory memory;
            memory.inputs = inputs;
            memory.outputs = outputs;
            const Status status = executable->run("forward", memory, 37);
            CHECK(status.ok() == !bad);
            if (!status) CHECK(status.error().status == kExitRun);
            // From its second call on, a session calls the function itself where there is but one thread.
            CHECK((executable->direct("forward", 37) != nullptr) == (threads == 1));
            for (int call = 0; call < 2; ++call) {
                const Status again = session->run("forward", inputs, 37);
                CHECK(again.ok() == !bad);
                if (!again) CHECK(to_string(again.error()) == to_string(status.error()));
                CHECK(std::memcmp(session->output(0).data(), z.data(), 37 * sizeof(float)) == 0);
            }
            for (std::size_t i = 0; i < 37; ++i) {
                if (bad && i == 20) {
                    CHECK(std::isnan(z[i]));
                } else {
                    CHECK(z[i] == 3.0f);
                }
            }
        }
    }
}

TEST_CASE("code is printed at every stage") {
    const Program program = make_program(64);
    const CpuTarget target{"", "x86-64-v4", ""};
    const auto schedule_text = print_code(program, "forward", CodeStage::schedule, target);
    REQUIRE(schedule_text.ok());
    CHECK(schedule_text->find("outer") != std::string::npos);
    const auto llvm_text = print_code(program, "forward", CodeStage::llvm, target);
    REQUIRE(llvm_text.ok());
    CHECK(llvm_text->find("llvm.fma") != std::string::npos);
    CHECK(llvm_text->find(" fast ") == std::string::npos);
    CHECK(llvm_text->find(" contract ") == std::string::npos);
    const auto assembly = print_code(program, "forward", CodeStage::assembly, target);
    REQUIRE(assembly.ok());
    CHECK(assembly->find("vfmadd") != std::string::npos);
    CHECK(assembly->find("tanhf") == std::string::npos);
}

TEST_CASE("a processor without multiply-add is refused") {
    JitOptions options;
    options.target.cpu = "x86-64-v2";
    const auto executable = jit(make_program(1), options);
    REQUIRE(!executable.ok());
    CHECK(executable.error().status == kExitUsage);
    options.target.cpu = "no-such-cpu";
    CHECK(!jit(make_program(1), options).ok());
}

}  // namespace
}  // namespace netc
