// links: frontend passes backends ir
// Emitted GPU objects where the driver fails, and what the object file itself holds and needs.
#include <catch2/catch.hpp>

#include <cstdint>
#include <set>
#include <sstream>

#include "tests/cli/expect.h"
#include "tests/cli/run_command.h"
#include "tests/gpu/object_support.h"

using namespace netc;

namespace {

const std::string kDense =
    "net 1\nmodel M(x: f32[B, 6]) -> f32[B, 3] = x |> linear(4) |> tanh |> linear(3)\n"
    "train M {\n target t: f32[B, 3]\n loss = mse(out, t)\n optimizer = sgd(lr = 0.1)\n"
    " batch = 4\n epochs = 1\n}\n";
const std::string kWords =
    "net 1\nmodel M(word: i32[B]) -> f32[B, 2] = word |> embedding(6, 4) |> linear(2)\n";

int opened(const LoadedObject& object, int device = 0) {
    void* gpu = &gpu;
    const int status = object.call("gpu_open", device, &gpu);
    CHECK((status == 0) == (gpu != nullptr));
    CHECK(object.call("gpu_close", gpu) == 0);
    return status;
}

// Opens, makes weights, trains a step; the first status that is not 0.
int trained(const LoadedObject& object, const Program& program) {
    void* gpu = nullptr;
    int status = object.call("gpu_open", 0, &gpu);
    if (status != 0) return status;
    const std::size_t sizes[] = {static_cast<std::size_t>(program.weights_size),
                                 static_cast<std::size_t>(program.optimizer_size),
                                 object.call<std::size_t>("train_workspace", std::size_t{4})};
    void* regions[3] = {};
    for (int i = 0; i < 3 && status == 0; ++i)
        status = object.call("gpu_allocate", gpu, sizes[i], &regions[i]);
    if (status == 0) status = object.call("init", gpu, regions[0], regions[1], std::uint64_t{3});
    const std::vector<float> x(4 * 6, 0.5F), t(4 * 3, 0.25F);
    float loss = 0;
    const void* hyper = nullptr;
    if (status == 0)
        status = object.call("train_step", gpu, regions[0], regions[1], x.data(), t.data(),
                             std::size_t{4}, hyper, regions[2], &loss);
    const int code = object.call("gpu_driver_error", gpu);
    CHECK((status < 0) == (code != 0));
    for (void* each : regions) (void)object.call("gpu_free", gpu, each);
    (void)object.call("gpu_close", gpu);
    return status;
}

std::string shell(const std::string& command, const TemporaryDirectory& directory,
                  const std::vector<std::string>& environment = {}) {
    const Outcome outcome =
        run_command({{"sh", "-c", command}, directory.path(), {}, {}, environment});
    INFO(command << "\n" << outcome.err);
    REQUIRE(outcome.status == 0);
    return outcome.out;
}

}  // namespace

TEST_CASE("a driver, a GPU and code that do not fit are told apart") {
    const Program program = program_of(kDense, true);
    const LoadedObject object(program, "net", true), hopper(program, "net", true, "sm_90a"),
        newer(program, "net", true, "sm_90");
    const HostKernels kernels(program);
    const auto with = [&](const char* setting, const LoadedObject& which, int device = 0) {
        const FakeDriver driver(setting);
        const int status = opened(which, device);
        CHECK(driver.problems() == "");
        return status;
    };
    CHECK(with("", object) == 0);
    CHECK(with("", hopper) == 0);
    CHECK(with("VERSION=11080", object) == -2);
    CHECK(with("", object, 1) == -3);
    CHECK(with("", object, -1) == -3);
    CHECK(with("DEVICES=2", object, 1) == 0);
    CHECK(with("DEVICES=0", object) == -3);
    CHECK(with("CAPABILITY=75", object) == -5);
    CHECK(with("CAPABILITY=80", newer) == -5);
    CHECK(with("CAPABILITY=100", newer) == 0);
    CHECK(with("CAPABILITY=100", hopper) == -5);
    CHECK(with("MEMORY=64", object) == -4);
    void* nowhere = nullptr;
    CHECK(object.call("gpu_open", 0, nowhere) == -8);
}

TEST_CASE("whatever the driver refuses becomes a status, and nothing is left") {
    const Program program = program_of(kDense, true);
    const LoadedObject object(program, "net", true);
    const HostKernels kernels(program);
    const std::pair<int, int> codes[] = {{2, -4},   {34, -1},  {803, -1}, {100, -3},
                                         {46, -3},  {218, -5}, {500, -5}, {700, -6},
                                         {719, -6}, {999, -6}, {1, -7},   {400, -7}};
    for (const char* function :
         {"cuInit", "cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetAttribute",
          "cuDevicePrimaryCtxRetain", "cuCtxPushCurrent_v2", "cuCtxPopCurrent_v2",
          "cuModuleLoadDataEx", "cuModuleGetFunction", "cuFuncGetAttribute", "cuStreamCreate",
          "cuMemAlloc_v2", "cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2", "cuMemcpyDtoDAsync_v2",
          "cuMemsetD8Async", "cuStreamSynchronize", "cuLaunchKernel"}) {
        for (const auto& [code, status] : codes) {
            INFO(function << " " << code);
            const FakeDriver driver("FAIL=" + std::string(function) + ":1:" + std::to_string(code));
            CHECK(trained(object, program) == status);
            // A context whose push or pop fails cannot be tidy.
            if (!std::string(function).starts_with("cuCtx")) CHECK(driver.problems() == "");
        }
    }
    // Later calls of the same functions too.
    for (const char* function : {"cuMemAlloc_v2", "cuLaunchKernel", "cuStreamSynchronize",
                                 "cuMemcpyDtoHAsync_v2", "cuMemcpyHtoDAsync_v2"}) {
        for (int call = 2;; ++call) {
            INFO(function << ":" << call);
            const FakeDriver driver("FAIL=" + std::string(function) + ":" + std::to_string(call) +
                                    ":700");
            const int status = trained(object, program);
            CHECK(driver.problems() == "");
            if (driver.calls(function) < call) {
                CHECK(status == 0);
                break;
            }
            if (status == 0) break;  // it failed in close
            CHECK(status == -6);
        }
    }
}

TEST_CASE("bad indices: refused without a stream, told by the wait in one") {
    const Program program = program_of(kWords, false);
    const LoadedObject object(program, "words", false);
    const HostKernels kernels(program);
    const FakeDriver driver;
    void *gpu = nullptr, *stream = nullptr, *none = nullptr;
    REQUIRE(object.call("gpu_open", 0, &gpu) == 0);
    void* memory[5] = {};
    const std::size_t batch = 4;
    const std::size_t sizes[] = {static_cast<std::size_t>(program.weights_size),
                                 static_cast<std::size_t>(program.prepared_size),
                                 object.call<std::size_t>("forward_workspace", batch), 64, 64};
    for (int i = 0; i < 5; ++i)
        REQUIRE(object.call("gpu_allocate", gpu, sizes[i], &memory[i]) == 0);
    REQUIRE(object.call("init", gpu, memory[0], none, std::uint64_t{3}) == 0);
    REQUIRE(object.call("prepare", gpu, memory[0], memory[1]) == 0);
    const std::vector<std::int32_t> good{0, 5, 2, 1}, bad{0, 6, 2, 1};
    std::vector<float> scores(8);
    const auto plain = [&](const std::vector<std::int32_t>& words) {
        return object.call("forward", gpu, memory[1], words.data(), scores.data(), batch,
                           memory[2]);
    };
    CHECK(plain(good) == 0);
    CHECK(plain(bad) == 5);
    REQUIRE(driver.function<int(void*)>("cuCtxSetCurrent")(&gpu) == 0);
    REQUIRE(driver.function<int(void**, unsigned)>("cuStreamCreate")(&stream, 1) == 0);
    const auto streamed = [&](const std::vector<std::int32_t>& words) {
        REQUIRE(object.call("gpu_upload", gpu, memory[3], static_cast<const void*>(words.data()),
                            std::size_t{16}) == 0);
        CHECK(object.call("forward_on", gpu, stream, memory[1], memory[3], memory[4], batch,
                          memory[2]) == 0);
        return object.call("gpu_wait", gpu, stream);
    };
    CHECK(streamed(good) == 0);
    CHECK(streamed(bad) == 5);
    CHECK(streamed(good) == 0);  // told once
    const std::vector<float> wanted = scores;
    std::vector<float> found(8);
    REQUIRE(object.call("gpu_download", gpu, static_cast<void*>(found.data()),
                        static_cast<const void*>(memory[4]), std::size_t{32}) == 0);
    CHECK(plain(good) == 0);
    CHECK(found == scores);
    // Not at a multiple of 64.
    CHECK(object.call("forward_on", gpu, stream, memory[1],
                      static_cast<void*>(static_cast<char*>(memory[3]) + 4), memory[4], batch,
                      memory[2]) == 2);
    driver.function<int(void*)>("cuStreamDestroy_v2")(stream);
    driver.function<int(void*)>("cuCtxSetCurrent")(nullptr);
    for (void* each : memory) CHECK(object.call("gpu_free", gpu, each) == 0);
    CHECK(object.call("gpu_close", gpu) == 0);
    CHECK(driver.problems() == "");
}

TEST_CASE("the object needs libc and dlopen; two link into one program") {
    const Program dense = program_of(kDense, true), words = program_of(kWords, false);
    const LoadedObject one(dense, "one", true), two(words, "two", false);
    const TemporaryDirectory directory;
    for (const LoadedObject* each : {&one, &two}) {
        const bool first = each == &one;
        directory.write(first ? "one.o" : "two.o", each->files().object);
        directory.write(first ? "one.h" : "two.h", each->files().header);
        CHECK(each->files().ptx.find(".target sm_80") != std::string::npos);
    }
    std::set<std::string> undefined;
    std::istringstream needs(shell("nm -u one.o two.o | awk 'NF == 2 {print $2}'", directory));
    for (std::string name; needs >> name;) undefined.insert(name);
    const std::set<std::string> allowed{"calloc", "dlopen", "dlsym",  "free",
                                        "memcmp", "memcpy", "memset", "memmove"};
    for (const std::string& name : undefined) {
        INFO(name);
        CHECK(allowed.contains(name));
    }
    CHECK(shell("nm -g --defined-only one.o | awk 'NF == 3 && $3 !~ /^one_/'", directory).empty());
    // No data that is written, or that a loader has to change.
    CHECK(shell("size -A one.o | awk '$1 ~ /^\\.(data|bss)/ && $2 > 0'", directory).empty());
    const std::string relocations = shell("readelf -rW one.o", directory);
    CHECK(relocations.find("'.rela.text") != std::string::npos);  // there is something to look at
    for (const char* section : {"'.rela.data", "'.rela.rodata"})
        CHECK(relocations.find(section) == std::string::npos);

    directory.write("main.c", R"C(
#include <stdio.h>
#include <string.h>
#include "one.h"
#include "two.h"
int main(void) {
    one_gpu *a = NULL;
    two_gpu *b = NULL;
    size_t count = 0;
    const int first = one_gpu_open(0, &a), second = two_gpu_open(0, &b);
    printf("%d %d %d\n", first, second, strcmp(one_strerror(first), two_strerror(second)));
    printf("%s, %s, %s\n", one_strerror(ONE_OK), one_strerror(ONE_E_DRIVER), one_strerror(ONE_E_ARGUMENT));
    printf("%s, %s, %s\n", one_strerror(-9), one_strerror(8), one_strerror(-2147483647 - 1));
    printf("%s ", one_tensors(&count)->name);
    printf("%d\n", (int)count);
    printf("%d %d\n", one_forward_workspace(4) % ONE_ALIGN == 0, two_optimizer_size() == TWO_OPTIMIZER_SIZE);
    one_gpu_close(a);
    two_gpu_close(b);
    return 0;
}
)C");
    const std::string strict = " -Wall -Wextra -pedantic -Wshadow -Werror -I. main.c one.o two.o ";
    shell("cc -std=c99 -Wstrict-prototypes" + strict + "-o two_models", directory);
    shell("cp main.c main.cpp && c++ -std=c++11 -Wall -Wextra -pedantic -Werror -I. -c main.cpp",
          directory);
    const std::string rest =
        "no error, there is no NVIDIA driver, or it does not work, a null pointer where one is not "
        "allowed\nunknown status, unknown status, unknown status\n";
    shell("mkdir with without && ln -s " NETC_FAKE_CUDA " with/libcuda.so.1", directory);
    const std::string found =
        shell("./two_models", directory, {"LD_LIBRARY_PATH=" + directory.file("with")});
    CHECK(found.starts_with("0 0 0\n" + rest));
    INFO(found);
    CHECK(found.ends_with("4\n1 1\n"));
    // What is no driver is one that does not work.
    shell("echo nothing > without/libcuda.so.1", directory);
    CHECK(shell("./two_models", directory, {"LD_LIBRARY_PATH=" + directory.file("without")})
              .starts_with("-1 -1 0\n" + rest));
}
