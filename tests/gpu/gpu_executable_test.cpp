// links: ir backends runtime
// Programs on a GPU by way of the fake driver: what is copied when, graphs, bad indices, the cache; and a session over
// them, as training uses it.
#include <catch2/catch.hpp>

#include <algorithm>

#include "runtime/train/session.h"
#include "tests/gpu/fake_gpu.h"
#include "tests/unit/temporary_directory.h"

using namespace netc;

namespace {

template <class T>
const std::byte* bytes(const std::vector<T>& values) {
    return reinterpret_cast<const std::byte*>(values.data());
}

float first_of(std::span<const std::byte> bytes) {
    float value = 0;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
}

class Bench {
public:
    explicit Bench(GpuOptions options = {}) {
        auto made = fake_executable(options);
        REQUIRE(made.ok());
        executable = std::move(*made);
        auto opened = Session::create(executable->program(), *executable);
        REQUIRE(opened.ok());
        session = std::move(*opened);
    }
    Session& operator*() { return *session; }
    Session* operator->() { return &*session; }
    const Session& read() const { return *session; }

    void set_weights(float a, float b) {
        const float values[] = {a, b};
        std::memcpy(session->variable(place()).data(), values, sizeof values);
    }
    float weight() const { return first_of(read().variable(place())); }
    Status train(const std::vector<std::int32_t>& ids) {
        const std::byte* const input[] = {bytes(ids)};
        return session->run("train_step", input, static_cast<std::int64_t>(ids.size()));
    }
    std::vector<float> forward(const std::vector<float>& x, const char* entry = "forward") {
        const std::byte* const input[] = {bytes(x)};
        REQUIRE(session->run(entry, input, static_cast<std::int64_t>(x.size() / 2)).ok());
        std::vector<float> y(x.size());
        const auto output = session->output(0);
        REQUIRE(output.size() == x.size() * sizeof(float));
        std::memcpy(y.data(), output.data(), output.size());
        REQUIRE(session->wait().ok());
        return y;
    }
    const VariablePlace& place() const { return executable->program().weights[0]; }

    std::unique_ptr<GpuExecutable> executable;
    std::optional<Session> session;
};

}  // namespace

TEST_CASE("weights go to the device and back when they are asked for") {
    const FakeGpu gpu;
    {
        Bench bench;
        bench.set_weights(3, 5);
        CHECK(bench.forward({1, 1, 2, 2}) == std::vector<float>{6, 10, 12, 20});
        const int copies = gpu.calls("cuMemcpyHtoDAsync_v2");
        REQUIRE(bench.train({1, 2, 3}).ok());
        CHECK(bench->number("loss") == 6);
        REQUIRE(bench.train({1, 2, 3}).ok());
        CHECK(bench->steps_done() == 6);
        const int back = gpu.calls("cuMemcpyDtoHAsync_v2");
        CHECK(bench.weight() == 9);
        CHECK(bench.weight() == 9);
        CHECK(gpu.calls("cuMemcpyDtoHAsync_v2") == back + 1);
        // The optimizer's state and hyper once; inputs so small are read where the host has them.
        CHECK(gpu.calls("cuMemcpyHtoDAsync_v2") == copies + 2);
        CHECK(bench.forward({1, 1}) == std::vector<float>{18, 10});
        // What the host writes after a step keeps what the device had beside it.
        const float seven = 7;
        std::memcpy(bench->variable(bench.place()).data() + 4, &seven, sizeof seven);
        CHECK(bench.forward({1, 1}) == std::vector<float>{18, 14});
        CHECK(bench.forward({1, 1}, "evaluate") == std::vector<float>{18, 14});
        auto slots = slot_tensors(bench.read());
        REQUIRE(slots.ok());
        std::int64_t steps = 0;
        std::memcpy(&steps, (*slots)[0].bytes.data(), sizeof steps);
        CHECK(steps == 6);
    }
    CHECK(gpu.problems() == "");
}

TEST_CASE("an entry at a batch is recorded once") {
    const FakeGpu gpu;
    {
        Bench bench;
        for (int i = 0; i < 5; ++i) {
            (void)bench.forward({1, 1, 2, 2});
            (void)bench.forward({1, 1});
        }
        CHECK(bench.executable->recorded() == 2);
        CHECK(gpu.calls("cuGraphInstantiateWithFlags") == 2);
        CHECK(gpu.calls("cuGraphLaunch") == 10);
        CHECK(gpu.calls("launch scale") == 10);
        // Two at once have a graph each, and no more.
        for (int i = 0; i < 6; ++i) REQUIRE(bench.train({1}).ok());
        CHECK(bench.executable->recorded() == 4);
        CHECK(gpu.calls("launch step") < 18);  // nobody waited for the last
        CHECK(bench->number("loss") == 18);
        CHECK(gpu.calls("launch step") == 18);  // three steps of a loop each
        // A larger workspace lies elsewhere: the graphs that knew the old one are made again.
        (void)bench.forward(std::vector<float>(80, 1.0F));
        CHECK(bench.executable->recorded() == 5);
        (void)bench.forward({1, 1});
        CHECK(bench.executable->recorded() == 6);
        // Many batches do not keep a graph each.
        for (std::size_t batch = 1; batch <= 80; ++batch)
            CHECK(bench.forward(std::vector<float>(2 * batch, 1.0F)).size() == 2 * batch);
    }
    CHECK(gpu.problems() == "");
}

TEST_CASE("of two runs under way the first is read while the second goes on") {
    const FakeGpu gpu;
    {
        Bench bench;
        for (int step = 1; step <= 4; ++step) {
            REQUIRE(bench.train({1}).ok());
            if (step == 1) continue;
            REQUIRE(bench->wait(1).ok());
            CHECK(bench->is_busy());
            CHECK(bench->number("loss") == static_cast<float>(3 * (step - 1)));
            CHECK(gpu.calls("launch step") == 3 * (step - 1));
        }
        REQUIRE(bench->wait().ok());
        CHECK_FALSE(bench->is_busy());
        CHECK(bench->number("loss") == 12);
        // Weights are those of the last one started, whichever was read.
        REQUIRE(bench.train({1}).ok());
        REQUIRE(bench.train({1}).ok());
        REQUIRE(bench->wait(1).ok());
        CHECK(bench.weight() == 18);
        CHECK(bench->number("loss") == 18);
    }
    CHECK(gpu.problems() == "");
}

TEST_CASE("large inputs are copied beside the run before") {
    const FakeGpu gpu;
    {
        Bench bench;
        bench.set_weights(1, 1);
        std::vector<float> x(20000);
        const std::byte* const input[] = {bytes(x)};
        for (int round = 0; round < 9; ++round) {
            std::fill(x.begin(), x.end(), static_cast<float>(round));
            REQUIRE(bench->run("forward", input, 10000).ok());
            if (round % 3 == 0) CHECK(first_of(bench->output(0)) == static_cast<float>(2 * round));
        }
        // Once a run, and twice for a branch of each of the two graphs.
        CHECK(gpu.calls("cuStreamWaitEvent") == 9 + 2 * 2);
        CHECK(bench->wait().ok());
    }
    CHECK(gpu.problems() == "");
}

TEST_CASE("bad indices") {
    const FakeGpu gpu;
    {
        Bench bench;
        bench.set_weights(1, 1);
        // Found before anything is written.
        for (const std::int32_t bad : {-1, 100}) {
            const Status status = bench.train({1, bad});
            REQUIRE_FALSE(status.ok());
            CHECK(status.error().status == kExitRun);
            CHECK(status.error().message == index_out_of_range("train_step").message);
        }
        CHECK(bench.weight() == 1);
        CHECK(gpu.calls("launch step") == 0);
        // Found by a kernel: whoever waits is told, and told once.
        REQUIRE(bench.train({FakeGpu::kDeviceFault}).ok());
        const Status status = bench->wait();
        REQUIRE_FALSE(status.ok());
        CHECK(status.error().message == index_out_of_range("train_step").message);
        CHECK(bench->wait().ok());
        REQUIRE(bench.train({1}).ok());
        CHECK(bench->wait().ok());
        // Reading a number first does not lose it.
        REQUIRE(bench.train({FakeGpu::kDeviceFault}).ok());
        (void)bench->number("loss");
        CHECK_FALSE(bench->wait().ok());
        REQUIRE(bench.train({FakeGpu::kDeviceFault}).ok());
        (void)bench.weight();
        CHECK_FALSE(weight_tensors(bench.read()).ok());
        CHECK(weight_tensors(bench.read()).ok());
        // Nor does going on with others.
        REQUIRE(bench.train({FakeGpu::kDeviceFault}).ok());
        REQUIRE(bench.train({1}).ok());
        CHECK_FALSE(bench.train({1}).ok());
    }
    CHECK(gpu.problems() == "");
}

TEST_CASE("a device that is lost gives no weights") {
    const FakeGpu gpu("FAIL=cuEventSynchronize:2:719");
    {
        Bench bench;
        REQUIRE(bench.train({1}).ok());
        REQUIRE(bench->wait().ok());
        REQUIRE(bench.train({1}).ok());
        const auto tensors = weight_tensors(bench.read());
        REQUIRE_FALSE(tensors.ok());
        CHECK(tensors.error().status == kExitRun);
        CHECK(tensors.error().message.find("the GPU stopped") == 0);
        CHECK_FALSE(bench.train({1}).ok());
    }
    CHECK(gpu.problems() == "");
}

TEST_CASE("tensor maps are made for where memory lies when launches are recorded") {
    const FakeGpu gpu;
    const auto emitter = [](const Program& program, const std::vector<std::string>& entries,
                            const GpuTarget& target) {
        Result<GpuCode> code = fake_code(program, entries, target);
        const std::string last = ".param .u64 fault\n";
        for (std::size_t at = 0; (at = code->ptx.find(last, at)) != std::string::npos;
             at += last.size())
            code->ptx.insert(at + last.size() - 1, ",\n.param .align 64 .b8 map[128]");
        // Of the weights: two numbers, brought four at a time.
        for (GpuKernel& kernel : code->kernels)
            for (GpuLaunch& launch : kernel.launches)
                launch.tensors = {{1, DType::f32, 0, {{{0, 2}, 1, 4}, {{1, 0}, 4, 1}}}};
        return code;
    };
    {
        auto made = fake_executable({}, emitter);
        REQUIRE(made.ok());
        auto session = Session::create((*made)->program(), **made);
        REQUIRE(session.ok());
        for (const std::size_t batch : {std::size_t{1}, std::size_t{3}, std::size_t{3}}) {
            const std::vector<float> x(2 * batch, 1);
            const std::byte* const input[] = {bytes(x)};
            REQUIRE(session->run("forward", input, static_cast<std::int64_t>(batch)).ok());
            REQUIRE(session->wait().ok());
        }
        CHECK(gpu.calls("cuTensorMapEncodeTiled") == 2);
        CHECK(gpu.calls("launch scale") == 3);
    }
    CHECK(gpu.problems() == "");
    // The driver refuses one: the call fails, and says so.
    const FakeGpu refusing("FAIL=cuTensorMapEncodeTiled:1:1");
    auto made = fake_executable({}, emitter);
    REQUIRE(made.ok());
    auto session = Session::create((*made)->program(), **made);
    REQUIRE(session.ok());
    const std::vector<float> x{1, 1};
    const std::byte* const input[] = {bytes(x)};
    const Status status = session->run("forward", input, 1);
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().message.find("while describing a tensor") != std::string::npos);
}

TEST_CASE("what is too large for a GPU") {
    const FakeGpu gpu;
    Bench bench;
    const std::byte* const none[] = {nullptr};
    std::byte* const out[] = {nullptr};
    CallMemory memory;
    memory.inputs = none;
    memory.outputs = out;
    Status status = bench.executable->run("forward", memory, std::int64_t{1} << 30);
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().status == kExitRun);
    CHECK(status.error().message ==
          "scale: a tensor of 2147483648 elements is too large for a GPU");
    status = bench.executable->run("forward", memory, std::int64_t{1} << 32);
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().status == kExitRun);
    CHECK_FALSE(bench.executable->run("nothing", memory, 1).ok());
}

TEST_CASE("the cache has PTX and machine code") {
    const TemporaryDirectory directory;
    GpuOptions options;
    options.cache_directory = directory.file("cache");
    int emitted = 0;
    const auto emitter = [&](const Program& program, const std::vector<std::string>& entries,
                             const GpuTarget& target) {
        ++emitted;
        return fake_code(program, entries, target);
    };
    const auto load = [&](const std::string& key, const std::string& setting = {}) {
        const FakeGpu gpu(setting);
        emitted = 0;
        {
            auto made = fake_executable(options, emitter, key);
            REQUIRE(made.ok());
            auto session = Session::create((*made)->program(), **made);
            REQUIRE(session.ok());
            const std::vector<float> x{1, 1};
            const std::byte* const input[] = {bytes(x)};
            REQUIRE(session->run("evaluate", input, 1).ok());
            CHECK(session->output(0).size() == 8);
        }
        CHECK(gpu.problems() == "");
        return std::pair(emitted, gpu.calls("cuLinkComplete"));
    };
    // `evaluate` is compiled when it first runs.
    CHECK(load("a") == std::pair(2, 2));
    CHECK(load("a") == std::pair(0, 0));
    CHECK(load("b") == std::pair(2, 0));  // the same code of another program
    CHECK(load("") == std::pair(2, 0));
    CHECK(load("a", "VERSION=13000") == std::pair(0, 2));
    CHECK(load("a", "CAPABILITY=80") == std::pair(2, 2));
}
