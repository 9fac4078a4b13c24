// links: ir
// netc compile --target=nvptx64 as a user calls it, and the example around such an object.
#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/cli/expect.h"
#include "tests/cli/run_command.h"

using namespace netc;

namespace {

const std::string kNet =
    "net 1\n## Two points.\nmodel Tiny(x: f32[B, 2]) -> f32[B, 1] = x |> linear(3) |> tanh |> "
    "linear(1)\n";

std::string text_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

Outcome compile(const TemporaryDirectory& directory, std::vector<std::string> options) {
    std::vector<std::string> arguments{"compile", "tiny.net", "-o", "tiny.o"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return run_netc(arguments, directory.path());
}

}  // namespace

TEST_CASE("three files, with --gpu for other devices, the same from the cache") {
    const TemporaryDirectory directory;
    directory.write("tiny.net", kNet);
    expect_success(compile(directory, {"--target=nvptx64", "--cache", "kept"}));
    const std::string object = text_of(directory.file("tiny.o")),
                      header = text_of(directory.file("tiny.h")),
                      ptx = text_of(directory.file("tiny.ptx"));
    CHECK(ptx.find(".target sm_80") != std::string::npos);
    CHECK(header.find("Two points.") != std::string::npos);
    CHECK(header.find("int tiny_forward_on(tiny_gpu *gpu, void *stream,") != std::string::npos);
    CHECK(object.find(ptx) != std::string::npos);
    expect_success(compile(directory, {"--target=nvptx64", "--cache", "kept"}));
    CHECK((text_of(directory.file("tiny.o")) == object));
    expect_success(compile(directory, {"--target=nvptx64", "--cache", "off"}));
    CHECK((text_of(directory.file("tiny.o")) == object));
    CHECK(text_of(directory.file("tiny.h")) == header);

    expect_success(compile(directory, {"--target=nvptx64", "--gpu", "sm_90a", "--cache", "kept"}));
    CHECK(text_of(directory.file("tiny.ptx")).find(".target sm_90a") != std::string::npos);
    CHECK(text_of(directory.file("tiny.h")).find("Compiled for sm_90a.") != std::string::npos);

    // The weights are the CPU's.
    expect_success(run_netc({"init", "tiny.net", "-o", "w.safetensors"}, directory.path()));
    const std::vector<std::string> weights{"--weights", "w.safetensors", "--emit=header,weights"};
    expect_success(compile(directory, weights));
    const std::string region = text_of(directory.file("tiny.weights"));
    std::vector<std::string> for_gpu = weights;
    for_gpu.push_back("--target=nvptx64");
    std::filesystem::remove(directory.file("tiny.ptx"));
    expect_success(compile(directory, for_gpu));
    CHECK((text_of(directory.file("tiny.weights")) == region));
    CHECK_FALSE(std::filesystem::exists(directory.file("tiny.ptx")));
}

TEST_CASE("options of the CPU are refused for a GPU, and --gpu without one") {
    const TemporaryDirectory directory;
    directory.write("tiny.net", kNet);
    for (const std::vector<std::string>& options :
         std::vector<std::vector<std::string>>{{"--target=nvptx64", "--check-finite"},
                                               {"--target=nvptx64", "--report"},
                                               {"--target=nvptx64", "--cpu", "x86-64-v3"},
                                               {"--target=nvptx64", "--emit=obj,asm"},
                                               {"--target=nvptx64", "--emit=llvm"},
                                               {"--target=nvptx64", "--gpu", "sm_70"},
                                               {"--gpu", "sm_80"},
                                               {"--emit=obj,ptx"}}) {
        INFO(options.back());
        const Outcome outcome = compile(directory, options);
        CHECK(outcome.status == 2);
        CHECK(outcome.err.find("error") != std::string::npos);
        CHECK_FALSE(std::filesystem::exists(directory.file("tiny.o")));
    }
}

TEST_CASE("the example trains where the driver finds a GPU, and says so where there is none") {
    const TemporaryDirectory directory;
    const std::string source = NETC_SOURCE_DIR "/examples/";
    expect_success(
        run_netc({"compile", source + "lenet5.net", "--target=nvptx64", "-o", "lenet5.o"},
                 directory.path()));
    const auto shell = [&](const std::string& command, std::vector<std::string> environment = {}) {
        return run_command({{"sh", "-c", command}, directory.path(), {}, {}, environment});
    };
    expect_success(shell("cc -std=c99 -Wall -Wextra -pedantic -Werror -I. " + source +
                         "embed_gpu/main.c lenet5.o -ldl -o digits_gpu"));
    directory.write("samples", std::string(20 * (4 + 4 * 28 * 28), '\0'));
    expect_success(shell("mkdir none fake && echo > none/libcuda.so.1 && ln -s " NETC_FAKE_CUDA
                         " fake/libcuda.so.1"));
    const Outcome without =
        shell("./digits_gpu samples", {"LD_LIBRARY_PATH=" + directory.file("none")});
    CHECK(without.status == 0);
    CHECK(without.out ==
          "This needs an NVIDIA GPU: there is no NVIDIA driver, or it does not work. Nothing was "
          "trained.\n");
    // The fake computes nothing, but every call is made.
    const std::string fake = "LD_LIBRARY_PATH=" + directory.file("fake");
    const Outcome with = shell("./digits_gpu samples", {fake});
    CHECK(with.status == 0);
    CHECK(with.out.find("epoch 10") != std::string::npos);
    CHECK(with.out.find(" of 4 digits right") != std::string::npos);
    const Outcome stopped =
        shell("./digits_gpu samples", {fake, "NETC_FAKE_CUDA_FAIL=cuLaunchKernel:40:719"});
    CHECK(stopped.status == 1);
    CHECK(stopped.err ==
          "digits_gpu: the GPU stopped; the process has to start again (719 of the driver)\n");
}
