// links: runtime ir
// --check-finite: names the first layer that leaves the real numbers, and changes no bit.
#include <catch2/catch.hpp>

#include <cmath>
#include <cstring>
#include <limits>

#include "runtime/files/files.h"
#include "runtime/files/safetensors.h"
#include "tests/cli/expect.h"
#include "tests/cli/networks.h"
#include "tests/cli/run_command.h"

using namespace netc;

namespace {

// What each network does to its numbers, and what must be named.
struct Broken {
    const char* layer;  // the second line of the file
    const char *value, *pass, *place;
};

const Broken kBroken[] = {
    {"log(x |> linear(3) |> abs |> neg)", "NaN", "forward pass", "net.net:3"},
    {"exp(x * 1000.0 + 1000.0) |> linear(3)", "infinity", "forward pass", "net.net:3"},
    // Forward all is zero; the root's derivative there is not finite.
    {"sqrt((x |> linear(3)) * 0.0)", "NaN", "backward pass", "net.net:3"},
};

std::string program(const char* layer) {
    return std::string("net 1\nmodel Net(x: f32[B, 2]) -> f32[B, 3] =\n  ") + layer + R"(
train Net {
  target t: f32[B, 3]
  data      = inline(x = [[0,0], [0,1], [1,0], [1,1]], t = [[0,0,0], [1,1,1], [1,1,1], [0,0,0]])
  loss      = mse(out, t)
  optimizer = sgd(lr = 0.05)
  epochs    = 3
  batch     = 4
}
)";
}

void put(const std::string& path, const std::string& text) {
    REQUIRE(write_file_atomically(path, text).ok());
}

}  // namespace

TEST_CASE("the first NaN or infinity is named: step, pass, line") {
    for (const Broken& broken : kBroken) {
        INFO(broken.layer);
        TemporaryDirectory directory;
        put(directory.file("net.net"), program(broken.layer));
        for (const auto& [option, value] :
             {std::pair("--threads", "1"), {"--threads", "3"}, {"--device", "gpu-emulator"}}) {
            const Outcome outcome = run_netc({"train", "net.net", "--check-finite", option, value,
                                              "--run", std::string("run-") + value},
                                             directory.path());
            INFO(outcome.err);
            expect_refusal(outcome, 4, {"step 1", broken.value, broken.pass, broken.place});
        }
    }
}

TEST_CASE("a NaN among the inputs is the input's") {
    TemporaryDirectory directory;
    put(directory.file("net.net"), kXor);
    REQUIRE(run_netc({"init", "net.net", "--seed", "1", "-o", "w"}, directory.path()).status == 0);
    REQUIRE(put_npy(directory.file("x.npy"), {1, 2},
                    std::vector<float>{1, std::numeric_limits<float>::quiet_NaN()}));
    const std::vector<std::string> predict{"predict", "net.net", "--weights",
                                           "w",       "--input", "x=x.npy"};
    CHECK(run_netc(predict, directory.path()).status == 0);
    std::vector<std::string> checked = predict;
    checked.push_back("--check-finite");
    expect_refusal(run_netc(checked, directory.path()), 4, {"NaN", "the input `x`"});
}

TEST_CASE("places are those of the file at hand, whatever the compile cache holds") {
    TemporaryDirectory directory;
    put(directory.file("a.net"), program(kBroken[0].layer));
    std::string moved = program(kBroken[0].layer);
    moved.replace(moved.find("=\n  log"), 7, "=\n\n log");  // as long, a line further down
    put(directory.file("b.net"), moved);
    for (const char* file : {"a.net", "b.net"}) {
        const std::string place = file + std::string(*file == 'a' ? ":3" : ":4");
        const Outcome outcome = run_netc({"train", file, "--check-finite", "--cache", "cache",
                                          "--run", std::string("run-") + file},
                                         directory.path());
        INFO(outcome.err);
        expect_refusal(outcome, 4, {place.c_str()});
    }
}

TEST_CASE("no stored bit changes") {
    for (const std::string& source : {kXor, kMoons}) {
        TemporaryDirectory directory;
        put(directory.file("net.net"), source);
        std::string first;
        for (const char* threads : {"1", "2"}) {
            for (const bool check : {false, true}) {
                const std::string run = std::string("run") + threads + (check ? "c" : "");
                std::vector<std::string> command{"train",     "net.net", "--epochs", "4",
                                                 "--threads", threads,   "--run",    run};
                if (check) command.push_back("--check-finite");
                const Outcome outcome = run_netc(command, directory.path());
                INFO(outcome.err);
                REQUIRE(outcome.status == 0);
                const auto weights = read_file(directory.file(run + "/last.safetensors"));
                REQUIRE(weights.ok());
                if (first.empty()) first = *weights;
                CHECK(*weights == first);
            }
        }
    }
}

TEST_CASE("an object returns E_NAN and says where") {
    TemporaryDirectory directory;
    put(directory.file("net.net"), program(kBroken[2].layer));
    const Outcome compiled =
        run_netc({"compile", "net.net", "--check-finite", "-o", "net.o"}, directory.path());
    INFO(compiled.err);
    REQUIRE(compiled.status == 0);
    put(directory.file("main.c"), R"(#include "net.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void *region(size_t size) { return aligned_alloc(NET_ALIGN, (size + NET_ALIGN) / NET_ALIGN * NET_ALIGN); }
int main(void) {
    void *weights = region(NET_WEIGHTS_SIZE), *optimizer = region(NET_OPTIMIZER_SIZE);
    void *prepared = region(NET_PREPARED_SIZE);
    void *workspace = region(NET_TRAIN_WORKSPACE(2) + NET_FORWARD_WORKSPACE(2));
    const float x[4] = {0, 1, 1, 0}, t[6] = {0, 1, 0, 1, 0, 1};
    float out[6], loss;
    if (net_init(weights, optimizer, 1) != NET_OK || net_prepare(weights, prepared) != NET_OK) return 1;
    if (net_forward(prepared, x, out, 2, workspace) != NET_OK) return 2;
    if (net_train_step(weights, optimizer, x, t, 2, NULL, workspace, &loss) != NET_E_NAN) return 3;
    puts(net_not_finite(workspace));
    if (net_forward(prepared, (const float[4]){0, 1, 0.0f / (float)(loss > 1e30f), 0}, out, 2, workspace) != NET_E_NAN) return 4;
    puts(net_not_finite(workspace));
    return 0;
}
)");
    const Outcome linked = run_command(
        {{"cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "main.c", "net.o", "-o", "main"},
         directory.path(),
         "",
         "",
         {}});
    INFO(linked.err);
    REQUIRE(linked.status == 0);
    const Outcome ran = run_command({{"./main"}, directory.path(), "", "", {}});
    INFO(ran.out << ran.err);
    CHECK(ran.status == 0);
    CHECK(ran.out.find("backward pass, net.net:3") != std::string::npos);
    CHECK(ran.out.find("the input `x`") != std::string::npos);
}
