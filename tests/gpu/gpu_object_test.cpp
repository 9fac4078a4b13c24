// links: frontend passes backends ir
// Emitted GPU objects on the fake driver: results in both forms against the emulator, every check and every error of the
// driver as a code, nothing left behind, and what the object file itself holds.
#include <catch2/catch.hpp>

#include <cstdint>
#include <set>
#include <sstream>

#include "tests/cli/run_command.h"
#include "tests/gpu/object_support.h"

using namespace netc;

namespace {

using ByteList = std::vector<std::byte>;
constexpr std::size_t kBatch = 40;

const std::string kImages =
    "net 1\nmodel M(x: f32[B, 1, 8, 8]) -> f32[B, 3] =\n"
    "  x |> conv(2, k=3, pad=1) |> tanh |> avg_pool(2) |> flatten |> dropout(0.2) |> linear(3)\n"
    "train M {\n target y: i32[B]\n loss = cross_entropy(out, y)\n"
    " optimizer = sgd(lr = 0.05, momentum = 0.9)\n batch = 4\n epochs = 1\n}\n";
const std::string kSequences = "net 1\nmodel M(x: f32[B, 5, 3]) -> f32[B, 2] {\n"
                               " let h = x |> lstm(4)\n return h[:, -1] |> linear(2)\n}\n"
                               "train M {\n target y: i32[B]\n loss = cross_entropy(out, y)\n"
                               " optimizer = adam(lr = 0.01)\n batch = 4\n epochs = 1\n}\n";
const std::string kWide = "net 1\nmodel M(x: f32[B, 64]) -> f32[B, 2] =\n"
                          "  x |> linear(128) |> tanh |> linear(128) |> tanh |> linear(2)\n"
                          "train M {\n target y: i32[B]\n loss = cross_entropy(out, y)\n"
                          " optimizer = sgd(lr = 0.05)\n batch = 4\n epochs = 1\n}\n";
// In a loop, each step of which works on memory of its own.
const std::string kWideSequences = "net 1\nmodel M(x: f32[B, 3, 64]) -> f32[B, 2] {\n"
                                   " let h = x |> lstm(64)\n return h[:, -1] |> linear(2)\n}\n"
                                   "train M {\n target y: i32[B]\n loss = cross_entropy(out, y)\n"
                                   " optimizer = sgd(lr = 0.05)\n batch = 4\n epochs = 1\n}\n";
const std::string kWords =
    "net 1\nmodel M(word: i32[B]) -> f32[B, 2] = word |> embedding(6, 4) |> linear(2)\n";

std::vector<float> numbers(std::size_t count) {
    std::vector<float> values;
    for (std::size_t i = 0; i < count; ++i)
        values.push_back(static_cast<float>((i * 37 + 11) % 101) / 50.0F - 1);
    return values;
}

std::size_t input_size(const Program& program) {
    std::size_t count = 1;
    for (const Extent& dim : program.find("forward")->inputs[0].dims)
        count *= static_cast<std::size_t>(dim.at(kBatch));
    return count;
}
std::size_t output_size(const Program& program) {
    std::size_t count = 1;
    for (const Extent& dim : program.find("forward")->outputs[0].dims)
        count *= static_cast<std::size_t>(dim.at(kBatch));
    return count;
}

// All that some calls gave.
struct Results {
    std::vector<float> losses, scores;
    ByteList weights, gradients;
};

constexpr int kSteps = 3;
const std::vector<std::int32_t> kLabels = [] {
    std::vector<std::int32_t> labels;
    for (std::size_t i = 0; i < kBatch; ++i) labels.push_back(static_cast<std::int32_t>(i % 2));
    return labels;
}();

// By the emulator: init, gradient, three steps, prepare, forward.
Results emulated(const Program& program) {
    auto made = emulate_gpu(program);
    if (!made) FAIL(to_string(made.error()));
    Executable& executable = **made;
    std::size_t most = 64;
    for (const Entry& entry : program.entries)
        most = std::max(most, static_cast<std::size_t>(entry.workspace.at(kBatch)));
    struct alignas(64) Line {
        std::byte bytes[64];
    };
    const auto lines = [](std::int64_t size) {
        return std::vector<Line>(static_cast<std::size_t>(size) / 64 + 1);
    };
    auto weights = lines(program.weights_size), prepared = lines(program.prepared_size),
         optimizer = lines(program.optimizer_size), hyper = lines(64),
         workspace = lines(static_cast<std::int64_t>(most));
    CallMemory memory;
    memory.weights = weights[0].bytes;
    memory.prepared = prepared[0].bytes;
    memory.optimizer = optimizer[0].bytes;
    memory.workspace = workspace[0].bytes;
    memory.hyper = hyper[0].bytes;
    const std::uint64_t seed = 3;
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(memory.hyper + kHyperSeed, &seed, sizeof seed);
    std::memcpy(memory.hyper + kHyperRate, &nan, sizeof nan);
    const auto run = [&](const char* entry, std::int64_t batch, std::vector<const std::byte*> in,
                         std::vector<std::byte*> out) {
        memory.inputs = in;
        memory.outputs = out;
        const Status status = executable.run(entry, memory, batch);
        if (!status) FAIL(entry << ": " << to_string(status.error()));
    };
    const auto bytes = []<class T>(std::vector<T>& values) {
        return reinterpret_cast<std::byte*>(values.data());
    };
    Results outcome;
    std::vector<float> x = numbers(input_size(program));
    std::vector<std::int32_t> y = kLabels;
    run("init", 1, {}, {});
    std::vector<std::byte*> gradient_outputs;
    std::vector<float> loss(1);
    outcome.gradients.resize(static_cast<std::size_t>(program.weights_size), std::byte{0x11});
    for (const EntryArgument& output : program.find("gradient")->outputs) {
        gradient_outputs.push_back(bytes(loss));
        for (const VariablePlace& place : program.weights)
            if ("grad:" + place.name == output.name)
                gradient_outputs.back() = outcome.gradients.data() + place.offset;
    }
    run("gradient", kBatch, {bytes(x), bytes(y)}, gradient_outputs);
    outcome.losses = loss;
    for (int step = 0; step < kSteps; ++step) {
        run("train_step", kBatch, {bytes(x), bytes(y)}, {bytes(loss)});
        outcome.losses.push_back(loss[0]);
    }
    run("prepare", 1, {}, {});
    outcome.scores.resize(output_size(program));
    run("forward", kBatch, {bytes(x)}, {bytes(outcome.scores)});
    const auto* const first = reinterpret_cast<const std::byte*>(weights.data());
    outcome.weights.assign(first, first + program.weights_size);
    return outcome;
}

// A handle and memory of one, all given back at the end.
class Session {
public:
    explicit Session(const LoadedObject& object) : object_(object) {
        REQUIRE(object.call("gpu_open", 0, &gpu_) == 0);
        REQUIRE(gpu_ != nullptr);
    }
    ~Session() {
        for (void* each : memory_) CHECK(object_.call("gpu_free", gpu_, each) == 0);
        CHECK(object_.call("gpu_close", gpu_) == 0);
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    void* gpu() const { return gpu_; }

    void* memory(std::size_t size) {
        void* made = nullptr;
        REQUIRE(object_.call("gpu_allocate", gpu_, size, &made) == 0);
        memory_.push_back(made);
        return made;
    }
    template <class T>
    void* memory(const std::vector<T>& values) {
        void* const made = memory(values.size() * sizeof(T));
        REQUIRE(object_.call("gpu_upload", gpu_, made, static_cast<const void*>(values.data()),
                             values.size() * sizeof(T)) == 0);
        return made;
    }
    template <class T>
    std::vector<T> read(void* from, std::size_t count) {
        std::vector<T> values(count);
        REQUIRE(object_.call("gpu_download", gpu_, static_cast<void*>(values.data()),
                             static_cast<const void*>(from), count * sizeof(T)) == 0);
        return values;
    }

private:
    const LoadedObject& object_;
    void* gpu_ = nullptr;
    std::vector<void*> memory_;
};

// The regions of an object, in the device.
struct Regions {
    Regions(const LoadedObject& object, const Program& program, Session& session)
        : weights(session.memory(static_cast<std::size_t>(program.weights_size))),
          prepared(session.memory(static_cast<std::size_t>(program.prepared_size))),
          optimizer(session.memory(static_cast<std::size_t>(program.optimizer_size))),
          workspace(session.memory(std::max(object.call<std::size_t>("forward_workspace", kBatch),
                                            object.call<std::size_t>("train_workspace", kBatch)))) {
    }
    void *weights, *prepared, *optimizer, *workspace;
};

const void* kNoHyper = nullptr;

Results without_stream(const LoadedObject& object, const Program& program) {
    Session session(object);
    const Regions r(object, program, session);
    void* const gpu = session.gpu();
    const auto size = static_cast<std::size_t>(program.weights_size);
    void* const gradients = session.memory(ByteList(size, std::byte{0x11}));
    const std::vector<float> x = numbers(input_size(program));
    Results outcome;
    float loss = 0;
    REQUIRE(object.call("init", gpu, r.weights, r.optimizer, std::uint64_t{3}) == 0);
    REQUIRE(object.call("gradient", gpu, r.weights, x.data(), kLabels.data(), kBatch, kNoHyper,
                        r.workspace, &loss, gradients) == 0);
    outcome.losses = {loss};
    for (int step = 0; step < kSteps; ++step) {
        REQUIRE(object.call("train_step", gpu, r.weights, r.optimizer, x.data(), kLabels.data(),
                            kBatch, kNoHyper, r.workspace, &loss) == 0);
        outcome.losses.push_back(loss);
    }
    REQUIRE(object.call("prepare", gpu, r.weights, r.prepared) == 0);
    outcome.scores.resize(output_size(program));
    REQUIRE(object.call("forward", gpu, r.prepared, x.data(), outcome.scores.data(), kBatch,
                        r.workspace) == 0);
    outcome.weights = session.read<std::byte>(r.weights, size);
    outcome.gradients = session.read<std::byte>(gradients, size);
    return outcome;
}

Results in_stream(const LoadedObject& object, const Program& program, const FakeDriver& driver) {
    Session session(object);
    const Regions r(object, program, session);
    void *const gpu = session.gpu(), *stream = nullptr;
    const auto size = static_cast<std::size_t>(program.weights_size);
    void* const gradients = session.memory(ByteList(size, std::byte{0x11}));
    void* const x = session.memory(numbers(input_size(program)));
    void* const y = session.memory(kLabels);
    void* const scores = session.memory(output_size(program) * sizeof(float));
    void* const losses = session.memory(64 * (kSteps + 1));
    const auto loss = [&](int i) { return static_cast<char*>(losses) + 64 * i; };
    // A stream of the caller's, whose context is current outside of our calls.
    REQUIRE(driver.function<int(void*)>("cuCtxSetCurrent")(&session) == 0);
    REQUIRE(driver.function<int(void**, unsigned)>("cuStreamCreate")(&stream, 1) == 0);
    REQUIRE(object.call("init_on", gpu, stream, r.weights, r.optimizer, std::uint64_t{3}) == 0);
    REQUIRE(object.call("gradient_on", gpu, stream, r.weights, x, y, kBatch, kNoHyper, r.workspace,
                        loss(0), gradients) == 0);
    const int allocated = driver.calls("cuMemAlloc_v2"),
              waited = driver.calls("cuStreamSynchronize");
    for (int step = 0; step < kSteps; ++step)
        REQUIRE(object.call("train_step_on", gpu, stream, r.weights, r.optimizer, x, y, kBatch,
                            kNoHyper, r.workspace, loss(step + 1)) == 0);
    REQUIRE(object.call("prepare_on", gpu, stream, r.weights, r.prepared) == 0);
    REQUIRE(object.call("forward_on", gpu, stream, r.prepared, x, scores, kBatch, r.workspace) ==
            0);
    // Asynchronous, without memory of its own.
    CHECK(driver.calls("cuMemAlloc_v2") == allocated);
    CHECK(driver.calls("cuStreamSynchronize") == waited);
    REQUIRE(object.call("gpu_wait", gpu, stream) == 0);
    Results outcome;
    for (const float each : session.read<float>(losses, 16 * (kSteps + 1)))
        outcome.losses.push_back(each);
    for (int i = 0; i <= kSteps; ++i)
        outcome.losses[static_cast<std::size_t>(i)] =
            outcome.losses[static_cast<std::size_t>(16 * i)];
    outcome.losses.resize(kSteps + 1);
    outcome.scores = session.read<float>(scores, output_size(program));
    outcome.weights = session.read<std::byte>(r.weights, size);
    outcome.gradients = session.read<std::byte>(gradients, size);
    REQUIRE(driver.function<int(void*)>("cuStreamDestroy_v2")(stream) == 0);
    driver.function<int(void*)>("cuCtxSetCurrent")(nullptr);
    return outcome;
}

void check_same(const Results& found, const Results& wanted) {
    CHECK(found.losses == wanted.losses);
    CHECK(found.scores == wanted.scores);
    // Regions begin with a header, which the emulator does not write.
    const auto same = [](const ByteList& a, const ByteList& b) {
        return a.size() == b.size() && std::equal(a.begin() + 64, a.end(), b.begin() + 64);
    };
    CHECK(same(found.weights, wanted.weights));
    CHECK(same(found.gradients, wanted.gradients));
}

}  // namespace

TEST_CASE("both forms give the bits of the emulator and leave nothing behind") {
    const bool images = GENERATE(true, false);
    const Program program = program_of(images ? kImages : kSequences, true);
    const Results wanted = emulated(program);
    CHECK(wanted.losses[kSteps] < wanted.losses[1]);
    const LoadedObject object(program, "net", true);
    const FakeDriver driver;
    const HostKernels kernels(program);
    check_same(without_stream(object, program), wanted);
    CHECK(driver.problems() == "");
    check_same(in_stream(object, program, driver), wanted);
    CHECK(driver.problems() == "");
    if (images) CHECK(kernels.scratch_used() > 0);
}

TEST_CASE("an object has the driver describe what its kernels copy as boxes of tensors") {
    const bool layers = GENERATE(true, false);
    const Program program = program_of(layers ? kWide : kWideSequences, true, Precision::bf16);
    const Results wanted = emulated(program);
    const LoadedObject object(program, "net", true, "sm_90a");
    const FakeDriver driver;
    const HostKernels kernels(program);
    check_same(without_stream(object, program), wanted);
    CHECK(driver.problems() == "");
    const int described = driver.calls("cuTensorMapEncodeTiled");
    CHECK(described > 0);
    check_same(in_stream(object, program, driver), wanted);
    CHECK(driver.calls("cuTensorMapEncodeTiled") == 2 * described);
    CHECK(driver.problems() == "");
}

TEST_CASE("wrong arguments are refused before anything is written") {
    const Program program = program_of(kImages, true);
    const LoadedObject object(program, "net", true);
    const FakeDriver driver;
    const HostKernels kernels(program);
    {
        Session session(object);
        const Regions r(object, program, session);
        void* const gpu = session.gpu();
        const std::vector<float> x = numbers(input_size(program));
        std::vector<float> scores(output_size(program), 5);
        float loss = 7;
        const auto step = [&](void* weights, void* optimizer, const float* images,
                              const std::int32_t* labels, std::size_t batch, void* workspace) {
            return object.call("train_step", gpu, weights, optimizer, images, labels, batch,
                               kNoHyper, workspace, &loss);
        };
        const auto behind = [](void* memory) -> void* { return static_cast<char*>(memory) + 4; };
        void* const none = nullptr;
        const int before = driver.calls("cuLaunchKernel");
        REQUIRE(object.call("gpu_upload", gpu, r.weights, static_cast<const void*>(x.data()),
                            std::size_t{64}) == 0);
        REQUIRE(object.call("gpu_upload", gpu, r.optimizer, static_cast<const void*>(x.data()),
                            std::size_t{64}) == 0);
        CHECK(step(r.weights, r.optimizer, x.data(), kLabels.data(), kBatch, r.workspace) == 1);
        CHECK(driver.calls("cuLaunchKernel") == before);
        REQUIRE(object.call("init", gpu, none, r.optimizer, std::uint64_t{3}) == 0);
        CHECK(step(r.weights, r.optimizer, x.data(), kLabels.data(), kBatch, r.workspace) == 1);
        CHECK(driver.calls("cuLaunchKernel") == before);
        REQUIRE(object.call("init", gpu, r.weights, none, std::uint64_t{3}) == 0);
        const int begun = driver.calls("cuLaunchKernel");
        const ByteList weights =
            session.read<std::byte>(r.weights, static_cast<std::size_t>(program.weights_size));

        CHECK(step(none, r.optimizer, x.data(), kLabels.data(), kBatch, r.workspace) == 2);
        CHECK(step(behind(r.weights), r.optimizer, x.data(), kLabels.data(), kBatch, r.workspace) ==
              2);
        CHECK(step(r.weights, none, x.data(), kLabels.data(), kBatch, r.workspace) == 2);
        CHECK(step(r.weights, r.optimizer, x.data(), kLabels.data(), kBatch, none) == 2);
        CHECK(step(r.weights, r.optimizer, x.data(), kLabels.data(), 0, r.workspace) == 3);
        CHECK(step(r.weights, r.optimizer, x.data(), kLabels.data(), std::size_t{1} << 40,
                   r.workspace) == 3);
        CHECK(step(r.weights, r.optimizer, x.data(), kLabels.data(), std::size_t{1} << 30,
                   r.workspace) == 3);
        CHECK(object.call<std::size_t>("train_workspace", std::size_t{1} << 30) == SIZE_MAX);
        CHECK(step(r.weights, r.optimizer, nullptr, kLabels.data(), kBatch, r.workspace) == -8);
        std::vector<std::int32_t> labels = kLabels;
        for (const std::int32_t bad : {3, -1}) {
            labels[2] = bad;
            CHECK(step(r.weights, r.optimizer, x.data(), labels.data(), kBatch, r.workspace) == 5);
        }
        CHECK(object.call("init", gpu, behind(r.weights), none, std::uint64_t{3}) == 2);
        CHECK(object.call("forward", gpu, r.prepared, x.data(), scores.data(), kBatch,
                          r.workspace) == 1);  // never prepared
        CHECK(object.call("forward", none, r.prepared, x.data(), scores.data(), kBatch,
                          r.workspace) == -8);
        CHECK(driver.calls("cuLaunchKernel") == begun);
        CHECK(loss == 7);
        CHECK(scores == std::vector<float>(scores.size(), 5));
        CHECK(session.read<std::byte>(r.weights, weights.size()) == weights);
        // The loss is not everybody's.
        CHECK(object.call("train_step", gpu, r.weights, r.optimizer, x.data(), kLabels.data(),
                          kBatch, kNoHyper, r.workspace, none) == 0);
        CHECK(object.call("gpu_allocate", gpu, SIZE_MAX, &loss) == -4);
        CHECK(object.call("gpu_upload", gpu, none, static_cast<const void*>(x.data()),
                          std::size_t{4}) == -8);
        CHECK(object.call("gpu_free", gpu, none) == 0);
    }
    void* null = nullptr;
    CHECK(object.call("gpu_close", null) == 0);
    CHECK(object.call("gpu_wait", null, null) == -8);
    CHECK(driver.problems() == "");
}
