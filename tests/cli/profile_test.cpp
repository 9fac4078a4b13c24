// links: runtime ir
// What a run costs: --profile times its kernels and changes no bit, bench counts the terms that exist.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "runtime/files/files.h"
#include "tests/cli/expect.h"
#include "tests/cli/networks.h"
#include "tests/cli/run_command.h"

using namespace netc;

namespace {

std::string contents(const std::string& path) {
    const Result<std::string> text = read_file(path);
    INFO(path);
    REQUIRE(text.ok());
    return *text;
}

}  // namespace

TEST_CASE("--profile: a table or a file, the same bits") {
    TemporaryDirectory directory;
    REQUIRE(write_file_atomically(directory.file("net.net"), kMoons).ok());
    const auto train = [&](const char* run, const char* option) {
        std::vector<std::string> command{"train", "net.net", "--epochs", "2", "--run", run};
        if (*option != '\0') command.insert(command.begin() + 1, option);
        return run_netc(command, directory.path());
    };
    REQUIRE(train("plain", "").status == 0);
    const Outcome table = train("table", "--profile");
    REQUIRE(table.status == 0);
    CHECK(count_of(table.err, " train_step: ") >= 3);
    CHECK(count_of(table.err, " evaluate: ") >= 1);
    REQUIRE(train("file", "--profile=trace.json").status == 0);
    const std::string weights = contents(directory.file("plain/last.safetensors"));
    CHECK(contents(directory.file("table/last.safetensors")) == weights);
    CHECK(contents(directory.file("file/last.safetensors")) == weights);

    const auto trace =
        nlohmann::json::parse(contents(directory.file("trace.json")), nullptr, false);
    REQUIRE(trace.is_object());
    std::int64_t steps = 0, calls = 0;
    for (const auto& kernel : trace["kernels"]) {
        CHECK(kernel["seconds"].get<double>() >= 0);
        calls += kernel["calls"].get<std::int64_t>();
        if (kernel["entry"] == "train_step") steps = kernel["calls"].get<std::int64_t>();
    }
    CHECK(steps == 2 * 480 / 32);
    CHECK(static_cast<std::int64_t>(trace["traceEvents"].size()) == calls);
}

TEST_CASE("--profile: a file that cannot be written") {
    TemporaryDirectory directory;
    REQUIRE(write_file_atomically(directory.file("net.net"), kXor).ok());
    const Outcome outcome =
        run_netc({"train", "net.net", "--epochs", "1", "--run", "r", "--profile=nowhere/t.json"},
                 directory.path());
    CHECK(outcome.status == 3);
    CHECK(outcome.err.find("nowhere/t.json") != std::string::npos);
}

TEST_CASE("bench: terms under the padding of a convolution do not exist") {
    // A kernel of 3 on 4 places with padding 1 has 2 + 3 + 3 + 2 taps along each axis.
    TemporaryDirectory directory;
    REQUIRE(write_file_atomically(
                directory.file("net.net"),
                "net 1\nmodel P(x: f32[B, 1, 4, 4]) -> f32[B, 1, 4, 4] = x |> conv(1)\n")
                .ok());
    const Outcome outcome =
        run_netc({"bench", "net.net", "--mode", "infer", "--json"}, directory.path());
    REQUIRE(outcome.status == 0);
    const auto json = nlohmann::json::parse(outcome.out, nullptr, false);
    REQUIRE(json.is_array());
    const double flops = json[0]["gflops"].get<double>() * json[0]["seconds_min"].get<double>();
    CHECK(flops * 1e9 == Approx(2 * 10 * 10));
}
