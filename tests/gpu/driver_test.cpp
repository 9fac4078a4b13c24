// links: ir backends
// NVIDIA's driver by way of a fake of it: what its errors become, and that nothing is left behind.
#include <catch2/catch.hpp>

#include "tests/gpu/fake_gpu.h"

using namespace netc;

namespace {

Error error_of(const GpuOptions& options = {}) {
    auto made = fake_executable(options);
    REQUIRE_FALSE(made.ok());
    CHECK_FALSE(made.error().help.empty());
    return made.error();
}

GpuOptions at(const std::string& driver, int device) {
    GpuOptions options;
    options.driver = driver;
    options.device = device;
    return options;
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

// Everything that a run of training does: load, several runs at once, other batches, memory back.
Status use_everything() {
    auto made = fake_executable();
    if (!made) return made.error();
    Executable& executable = **made;
    alignas(64) std::byte weights[128] = {}, optimizer[128] = {}, prepared[64] = {}, hyper[64] = {};
    // Inputs of the larger batch are copied in a stream of their own.
    constexpr std::int64_t kLarge = 10000;
    const std::vector<float> x(2 * kLarge);
    std::vector<float> y(2 * kLarge);
    float loss = 0;
    const std::vector<std::int32_t> ids(kLarge);
    for (const std::int64_t batch : {std::int64_t{4}, kLarge}) {
        const auto call = [&](const char* name, const void* input, void* output) {
            const std::byte* in[] = {static_cast<const std::byte*>(input)};
            std::byte* out[] = {static_cast<std::byte*>(output)};
            const CallMemory memory{weights, prepared, optimizer, nullptr, hyper, in, out};
            return executable.start(name, memory, batch);
        };
        for (int i = 0; i < 3; ++i) {
            if (Status s = call("train_step", ids.data(), &loss); !s) return s;
        }
        if (Status s = executable.wait(); !s) return s;
        for (const char* name : {"forward", "evaluate"}) {
            if (Status s = call(name, x.data(), y.data()); !s) return s;
            if (Status s = executable.wait(); !s) return s;
        }
    }
    return executable.fetch(RegionKind::weights, weights, 0, sizeof weights);
}

}  // namespace

TEST_CASE("no driver, an old one, no GPU") {
    const Error none = error_of(at("/nowhere/libcuda.so.1", 0));
    CHECK(none.status == kExitRun);
    CHECK(contains(none.message, "no driver for an NVIDIA GPU"));
    CHECK(contains(none.message, "/nowhere/libcuda.so.1"));
    {
        const FakeGpu gpu("VERSION=11080");
        const Error old = error_of();
        CHECK(old.status == kExitRun);
        CHECK(contains(old.message, "too old: it is for CUDA 11.8"));
    }
    {
        const FakeGpu gpu("DEVICES=0");
        CHECK(error_of().status == kExitRun);
        CHECK(contains(error_of().message, "no such GPU"));
    }
    {
        const FakeGpu gpu("DEVICES=2");
        const Error seventh = error_of(at({}, 7));
        CHECK(seventh.status == kExitRun);
        CHECK(seventh.message ==
              "there is no GPU 7: the driver finds 2\n  gpu:0 Fake GPU 0\n  gpu:1 Fake GPU 1");
        CHECK(gpu.problems().empty());
    }
}

TEST_CASE("the code is for the GPU") {
    std::string target;
    const auto emitter = [&](const Program& program, const std::vector<std::string>& entries,
                             const GpuTarget& wanted) {
        target = wanted.name();
        return fake_code(program, entries, wanted);
    };
    const auto target_of = [&](const char* capability, const char* wanted) {
        const FakeGpu gpu(std::string("CAPABILITY=") + capability);
        GpuOptions options;
        options.target = wanted;
        const auto made = fake_executable(options, emitter);
        return made ? target : std::to_string(made.error().status);
    };
    CHECK(target_of("90", "") == "sm_90a");
    CHECK(target_of("90", "sm_80") == "sm_80");
    CHECK(target_of("90", "sm_90") == "sm_90");
    CHECK(target_of("86", "") == "sm_80");
    CHECK(target_of("100", "") == "sm_80");
    CHECK(target_of("100", "sm_90") == "sm_90");
    CHECK(target_of("100", "sm_90a") == "2");
    CHECK(target_of("80", "sm_90") == "2");
    CHECK(target_of("75", "") == "4");
}

TEST_CASE("memory that is too small") {
    const FakeGpu gpu("MEMORY=1000");
    const Status status = use_everything();
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().status == kExitRun);
    CHECK(contains(status.error().message, "no memory on Fake GPU 0 for the"));
    CHECK(contains(status.error().message, "are free"));
    CHECK(contains(status.error().help, "--batch"));
    CHECK(gpu.problems().empty());
}

TEST_CASE("every error of every function is reported, and nothing is left") {
    const char* const functions[] = {"cuInit",
                                     "cuDeviceGetCount",
                                     "cuDeviceGet",
                                     "cuDeviceGetName",
                                     "cuDeviceGetAttribute",
                                     "cuDeviceTotalMem_v2",
                                     "cuMemAlloc_v2",
                                     "cuDevicePrimaryCtxRetain",
                                     "cuCtxSetCurrent",
                                     "cuMemHostAlloc",
                                     "cuMemcpyHtoDAsync_v2",
                                     "cuMemcpyDtoHAsync_v2",
                                     "cuMemsetD8Async",
                                     "cuModuleLoadDataEx",
                                     "cuModuleGetFunction",
                                     "cuStreamCreate",
                                     "cuFuncSetAttribute",
                                     "cuFuncGetAttribute",
                                     "cuStreamSynchronize",
                                     "cuStreamBeginCapture_v2",
                                     "cuStreamEndCapture",
                                     "cuGraphLaunch",
                                     "cuGraphInstantiateWithFlags",
                                     "cuLaunchKernel",
                                     "cuStreamWaitEvent",
                                     "cuEventCreate",
                                     "cuEventRecord",
                                     "cuEventSynchronize"};
    std::map<std::string, int> calls;
    {
        const FakeGpu gpu;
        REQUIRE(use_everything().ok());
        CHECK(gpu.problems().empty());
        for (const char* name : functions) calls[name] = gpu.calls(name);
    }
    const std::pair<int, int> codes[] = {{1, kExitRun},   {2, kExitRun},   {46, kExitRun},
                                         {100, kExitRun}, {214, kExitRun}, {218, kExitInternal},
                                         {700, kExitRun}, {719, kExitRun}, {999, kExitRun}};
    for (const char* name : functions) {
        for (int call = 1; call <= calls[name]; ++call) {
            for (const auto& [code, wanted] : codes) {
                if (code != 1 && code != 700 && call > 1) continue;
                INFO(name << ", call " << call << ": " << code);
                const std::string failure =
                    std::string(name) + ":" + std::to_string(call) + ":" + std::to_string(code);
                const FakeGpu gpu("FAIL=" + failure);
                const Status status = use_everything();
                const std::string problems = gpu.problems();
                // What could not be made current cannot be given back.
                if (std::string(name) != "cuCtxSetCurrent") CHECK(problems == "");
                // Only the last use before the end has nobody to tell.
                if (status.ok()) {
                    CHECK(std::string(name) == "cuCtxSetCurrent");
                    continue;
                }
                CHECK(status.error().status == wanted);
                CHECK_FALSE(status.error().help.empty());
            }
        }
    }
}

TEST_CASE("what errors mean") {
    const auto message = [](const std::string& failure) {
        const FakeGpu gpu("FAIL=" + failure);
        const Status status = use_everything();
        REQUIRE_FALSE(status.ok());
        return status.error().message + "\n" + status.error().help;
    };
    CHECK(contains(message("cuInit:1:803"), "the NVIDIA driver does not work"));
    CHECK(contains(message("cuInit:1:100"), "there is no such GPU"));
    CHECK(contains(message("cuDevicePrimaryCtxRetain:1:46"), "in use by others"));
    CHECK(contains(message("cuMemAlloc_v2:1:2"), "no memory on Fake GPU 0 for the"));
    CHECK(
        contains(message("cuEventSynchronize:1:700"), "the GPU stopped, while running train_step"));
    CHECK(contains(message("cuEventSynchronize:1:700"), "--resume"));
    CHECK(contains(message("cuModuleLoadDataEx:1:218"), "this is a bug in netc"));
    // Without its linker the driver still loads PTX.
    const FakeGpu gpu("FAIL=cuLinkAddData_v2:1:218,cuLinkCreate_v2:2:1,cuLinkComplete:1:218");
    CHECK(use_everything().ok());
    CHECK(gpu.problems().empty());
}
