// links: runtime ir
// quantize: what it prints and writes, and that the verbs which take weights compute in integers with it.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include <cmath>

#include "runtime/files/files.h"
#include "runtime/files/safetensors.h"
#include "tests/cli/expect.h"
#include "tests/cli/networks.h"
#include "tests/cli/run_command.h"

using namespace netc;
using nlohmann::json;

namespace {

// The second convolution reads what is negative too, with padding around it.
const std::string kImages = R"(net 1
model Images(x: f32[B, 1, 28, 28]) -> f32[B, 10] =
  x |> conv(6, k=3, stride=2, pad=1) |> tanh |> conv(8, k=3, stride=2, pad=1) |> relu
    |> flatten |> linear(10)
train Images {
  target y: i32[B]
  data      = digits(n = 600)
  split     = random(valid = 0.3, seed = 1)
  loss      = cross_entropy(out, y)
  optimizer = adam(lr = 0.01)
  epochs    = 4
  metric acc = accuracy(out, y)
}
)";

std::string run(const TemporaryDirectory& directory, const std::vector<std::string>& arguments) {
    const Outcome outcome = run_netc(arguments, directory.path());
    expect_success(outcome);
    return outcome.out;
}

}  // namespace

TEST_CASE("quantize writes weights that eval, predict, bench and compile take in integers") {
    const TemporaryDirectory directory;
    directory.write("images.net", kImages);
    run(directory, {"train", "images.net", "--run", "run", "--quiet"});
    const json made = json::parse(run(directory, {"quantize", "images.net", "--weights", "run",
                                                  "-o", "q.safetensors", "--json"}));
    CHECK(made["contractions"] == 3);
    CHECK(made["samples"] == 420);
    CHECK(made["rows"] == 180);
    const double before = made["before"]["loss"], after = made["after"]["loss"];
    CHECK(before != after);
    CHECK(std::abs(before - after) < 0.05 + 0.1 * before);
    CHECK(made["before"]["acc"].get<double>() - made["after"]["acc"].get<double>() < 0.03);

    const auto file = read_safetensors(directory.file("q.safetensors"));
    REQUIRE(file.ok());
    const json ranges = json::parse(file->metadata.at("netc.ranges"));
    CHECK(ranges["conv_1"][0] == 0);
    CHECK(ranges["conv_2"][0].get<double>() < 0);
    CHECK(ranges["linear_1"][1].get<double>() > 0);

    const json seen = json::parse(run(directory, {"eval", "images.net", "--weights",
                                                  "q.safetensors", "--on", "train", "--json"}));
    CHECK(seen["rows"] == 420);
    const std::string kernels = run(directory, {"bench", "images.net", "--mode=infer", "--weights",
                                                "q.safetensors", "--kernels", "--batch=2"});
    CHECK(kernels.find("cast") != std::string::npos);
    run(directory, {"compile", "images.net", "--weights", "q.safetensors",
                    "--emit=obj,header,weights", "--train=no", "-o", "images.o"});
    CHECK(run(directory, {"quantize", "images.net", "--weights", "run", "-o", "q.safetensors",
                          "--samples", "64"})
              .find("64 samples") != std::string::npos);
}

TEST_CASE("with --percentile, values of few samples are left out of a range, at either end") {
    const TemporaryDirectory directory;
    directory.write("line.net", "net 1\n"
                                "model Line(x: f32[B, 2]) -> f32[B, 1] = x |> linear(1)\n"
                                "train Line {\n  target y: f32[B, 1]\n"
                                "  data   = csv(\"line.csv\", x = cols(0, 1), y = col(2))\n"
                                "  loss   = mse(out, y)\n  epochs = 1\n}\n");
    // 200 samples (i, -i), more than three batches; with 100 percent all of them count.
    std::string table;
    for (int i = 1; i <= 200; ++i) table += std::to_string(i) + "," + std::to_string(-i) + ",0\n";
    directory.write("line.csv", table);
    run(directory, {"init", "line.net", "-o", "w.safetensors"});
    const struct {
        const char* percent;
        double reach;
    } cases[] = {{"100", 200}, {"99.75", 200}, {"99.5", 199}, {"90", 180}, {"50", 100}};
    for (const auto& [percent, reach] : cases) {
        INFO(percent);
        run(directory, {"quantize", "line.net", "--weights", "w.safetensors", "-o", "q.safetensors",
                        "--percentile", percent});
        const auto file = read_safetensors(directory.file("q.safetensors"));
        REQUIRE(file.ok());
        const json ranges = json::parse(file->metadata.at("netc.ranges"));
        CHECK(ranges["linear_1"][0] == -reach);
        CHECK(ranges["linear_1"][1] == reach);
    }
    for (const char* wrong : {"101", "49", "nan", "inf"}) {
        INFO(wrong);
        expect_refusal(run_netc({"quantize", "line.net", "--weights", "w.safetensors", "-o", "q",
                                 "--percentile", wrong},
                                directory.path()),
                       2, {"--percentile"});
    }
}

TEST_CASE("quantize refuses what is quantized already") {
    const TemporaryDirectory directory;
    directory.write("images.net", kImages);
    run(directory, {"init", "images.net", "-o", "w.safetensors"});
    run(directory, {"quantize", "images.net", "--weights", "w.safetensors", "-o", "q.safetensors"});
    expect_refusal(
        run_netc({"quantize", "images.net", "--weights", "q.safetensors", "-o", "r.safetensors"},
                 directory.path()),
        2, {"quantized already"});
}
