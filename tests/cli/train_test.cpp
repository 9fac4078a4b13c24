// links: runtime ir
// netc train as a user meets it: what it learns, what it writes, which bits.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "runtime/files/files.h"
#include "runtime/files/safetensors.h"
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

std::vector<nlohmann::json> lines_of(const std::string& text) {
    std::vector<nlohmann::json> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        lines.push_back(nlohmann::json::parse(line, nullptr, false));
        INFO(line);
        REQUIRE(lines.back().is_object());
    }
    return lines;
}

Safetensors weights(const std::string& path) {
    Result<Safetensors> file = read_safetensors(path);
    INFO(path);
    REQUIRE(file.ok());
    return std::move(*file);
}

void check_same_tensors(const Safetensors& a, const Safetensors& b) {
    REQUIRE(a.tensors.size() == b.tensors.size());
    for (const Safetensors::Tensor& tensor : a.tensors) {
        INFO(tensor.name);
        REQUIRE(b.find(tensor.name) != nullptr);
        REQUIRE(b.find(tensor.name)->size == tensor.size);
        CHECK(std::memcmp(a.data(tensor).data(), b.data(*b.find(tensor.name)).data(),
                          tensor.size) == 0);
    }
}

}  // namespace

TEST_CASE("xor is learned, and all of a run is in its directory") {
    const TemporaryDirectory directory;
    directory.write("xor.net", kXor);
    const Outcome outcome = run_netc({"train", "xor.net", "--run", "run"}, directory.path());
    expect_success(outcome);
    for (const char* name : {"run/last.safetensors", "run/best.safetensors",
                             "run/state.safetensors", "run/source.net", "run/log.jsonl"}) {
        INFO(name);
        CHECK(std::filesystem::exists(directory.file(name)));
    }
    CHECK(contents(directory.file("run/source.net")) == kXor);
    const auto log = lines_of(contents(directory.file("run/log.jsonl")));
    REQUIRE(log.size() == 500);
    for (std::size_t i = 0; i < log.size(); ++i) {
        for (const char* key :
             {"epoch", "step", "loss", "metrics", "lr", "seconds", "samples_per_second"}) {
            INFO(key);
            REQUIRE(log[i].contains(key));
        }
        REQUIRE(log[i]["epoch"] == i + 1);
        REQUIRE(log[i]["step"] == i + 1);
    }
    CHECK(log.back()["loss"].get<double>() < 0.05);
    CHECK(log.back()["metrics"]["acc"] == 1.0);
    CHECK(log.back()["lr"].get<double>() == Approx(0.05));

    const Outcome eval =
        run_netc({"eval", "xor.net", "--weights", "run", "--json"}, directory.path());
    expect_success(eval);
    CHECK(nlohmann::json::parse(eval.out)["metrics"]["acc"] == 1.0);
}

TEST_CASE("the bits depend neither on the number of threads nor on the run") {
    const TemporaryDirectory directory;
    directory.write("moons.net", kMoons);
    std::string first;
    for (const char* threads : {"1", "2", "3", "1"}) {
        std::filesystem::remove_all(directory.file("run"));
        expect_success(
            run_netc({"train", "moons.net", "--run", "run", "--threads", threads, "--quiet"},
                     directory.path()));
        const std::string bits = contents(directory.file("run/last.safetensors"));
        if (first.empty()) first = bits;
        INFO(threads << " threads");
        CHECK(bits == first);
    }
}

TEST_CASE("the compile cache changes nothing, whatever has become of it") {
    const TemporaryDirectory directory;
    directory.write("moons.net", kMoons);
    std::filesystem::create_directory(directory.file("cache"));
    std::string first;
    for (const char* state : {"empty", "filled", "noise", "cut off"}) {
        INFO(state);
        for (const auto& entry : std::filesystem::recursive_directory_iterator(
                 directory.file("cache"),
                 std::filesystem::directory_options::skip_permission_denied)) {
            if (!entry.is_regular_file()) continue;
            std::string bytes = contents(entry.path());
            if (state == std::string("noise"))
                bytes.replace(bytes.size() / 2, 8, "\x13\x57\x9b\xdf\x02\x46\x8a\xce");
            if (state == std::string("cut off")) bytes.resize(bytes.size() / 2);
            std::ofstream(entry.path(), std::ios::binary) << bytes;
        }
        std::filesystem::remove_all(directory.file("run"));
        Command train =
            netc_command({"train", "moons.net", "--run", "run", "--quiet"}, directory.path());
        train.environment = {"NETC_CACHE_DIR=" + directory.file("cache")};
        expect_success(run_command(train));
        const std::string bits = contents(directory.file("run/last.safetensors"));
        if (first.empty()) first = bits;
        CHECK(bits == first);
    }
}

TEST_CASE("every epoch is a line of JSON where that is asked for") {
    const TemporaryDirectory directory;
    directory.write("moons.net", kMoons);
    const Outcome outcome =
        run_netc({"train", "moons.net", "--run", "run", "--json"}, directory.path());
    expect_success(outcome);
    const auto lines = lines_of(outcome.out);
    REQUIRE(lines.size() == 6);
    for (const auto& line : lines) {
        CHECK(line["step"].get<int>() == line["epoch"].get<int>() * 15);
        CHECK(line["metrics"].contains("valid.acc"));
        CHECK(line["metrics"].contains("valid.loss"));
        CHECK(line["penalty"].get<double>() > 0);
    }
    CHECK(lines.back()["loss"].get<double>() < lines.front()["loss"].get<double>());
}

TEST_CASE("the command line overrides the section, and the weights remember") {
    const TemporaryDirectory directory;
    directory.write("moons.net", kMoons);
    expect_success(run_netc({"train", "moons.net", "--run", "a", "--epochs", "2", "--batch", "96",
                             "--seed", "7", "--set", "width=5", "--quiet"},
                            directory.path()));
    CHECK(lines_of(contents(directory.file("a/log.jsonl"))).back()["step"] == 10);
    const Safetensors file = weights(directory.file("a/last.safetensors"));
    CHECK(file.metadata.at("netc.model") == "Moons");
    REQUIRE(file.find("linear_1.weight") != nullptr);
    CHECK(file.find("linear_1.weight")->size == 2 * 5 * 4);

    // `width` need not be said again.
    expect_success(run_netc({"eval", "moons.net", "--weights", "a"}, directory.path()));

    expect_success(run_netc(
        {"train", "moons.net", "--run", "b", "--steps", "4", "--log-every", "1", "--quiet"},
        directory.path()));
    CHECK(lines_of(contents(directory.file("b/log.jsonl"))).back()["step"] == 4);

    // The section asks for it: six steps a line of its own every two, and the end of the run.
    std::string logged = kMoons;
    logged.replace(logged.find("  batch"), 0, "  log = every(2st)\n");
    directory.write("logged.net", logged);
    expect_success(run_netc({"train", "logged.net", "--run", "c", "--steps", "6", "--quiet"},
                            directory.path()));
    std::vector<std::int64_t> steps;
    for (const auto& line : lines_of(contents(directory.file("c/log.jsonl"))))
        steps.push_back(line["step"].get<std::int64_t>());
    CHECK(std::ranges::count(steps, 2) == 1);
    CHECK(std::ranges::count(steps, 4) == 1);
    CHECK(steps.back() == 6);
    expect_refusal(
        run_netc({"train", "moons.net", "--epochs", "1", "--steps", "1"}, directory.path()), 2,
        {"--epochs"});
}

TEST_CASE("init writes what training starts from") {
    const TemporaryDirectory directory;
    std::string still = kMoons;  // a rate of zero: the parameters stay where they began
    still.replace(still.find("lr = 0.1"), 8, "lr = 0.0");
    directory.write("still.net", still);
    expect_success(run_netc({"init", "still.net", "--seed", "11", "-o", "start.safetensors"},
                            directory.path()));
    expect_success(run_netc({"train", "still.net", "--run", "run", "--seed", "11", "--steps", "1"},
                            directory.path()));
    check_same_tensors(weights(directory.file("start.safetensors")),
                       weights(directory.file("run/last.safetensors")));
    expect_success(run_netc({"init", "still.net", "--seed", "12", "-o", "other.safetensors"},
                            directory.path()));
    CHECK(contents(directory.file("other.safetensors")) !=
          contents(directory.file("start.safetensors")));
}

TEST_CASE("--load starts from weights, --partial from those that fit") {
    const TemporaryDirectory directory;
    std::string still = kMoons;
    still.replace(still.find("lr = 0.1"), 8, "lr = 0.0");
    directory.write("still.net", still);
    expect_success(
        run_netc({"init", "still.net", "--seed", "3", "-o", "w.safetensors"}, directory.path()));
    expect_success(
        run_netc({"train", "still.net", "--run", "a", "--load", "w.safetensors", "--steps", "1"},
                 directory.path()));
    check_same_tensors(weights(directory.file("w.safetensors")),
                       weights(directory.file("a/last.safetensors")));

    const std::vector<std::string> narrow = {"train",   "still.net", "--run",  "b",
                                             "--set",   "width=3",   "--load", "w.safetensors",
                                             "--steps", "1"};
    expect_refusal(run_netc(narrow, directory.path()), 3,
                   {"w.safetensors", "another model", "linear_1.weight"});
    CHECK_FALSE(std::filesystem::exists(directory.file("b")));
    std::vector<std::string> partial = narrow;
    partial.push_back("--partial");
    const Outcome taken = run_netc(partial, directory.path());
    expect_success(taken);
    CHECK(taken.err.find("taken") != std::string::npos);
}

TEST_CASE("a loss that is not finite ends the run with its step; the last good checkpoint stays") {
    const TemporaryDirectory directory;
    std::string wild = R"(net 1
model Wild(x: f32[B, 2]) -> f32[B, 1] = x |> linear(4) |> linear(1)
train Wild {
  target t: f32[B, 1]
  data      = inline(x = [[1000,0], [0,1000]], t = [[1], [2]])
  loss      = mse(out, t)
  optimizer = sgd(lr = 1e6)
  epochs    = 200
  batch     = 2
}
)";
    directory.write("wild.net", wild);
    const Outcome outcome =
        run_netc({"train", "wild.net", "--run", "run", "--quiet"}, directory.path());
    expect_refusal(outcome, 4, {"step", "learning rate"});
}

TEST_CASE("f64 is trained in f64: the rate, its schedule, the norm of what is clipped") {
    const TemporaryDirectory directory;
    const auto trained = [&](const std::string& factor, const std::string& optimizer) {
        directory.write(
            "a.net",
            "net 1\nmodel M(x: f64[B]) -> f64[B] { param w: f64[] = ones() return x * w }\n"
            "train M {\n target t: f64[B]\n dtype = f64\n data = inline(x = [" +
                factor + "], t = [0])\n loss = mean(out * " + factor +
                " + t)\n optimizer = " + optimizer + "\n steps = 1\n}\n");
        const std::string run =
            "run" + std::to_string(std::hash<std::string>{}(factor + optimizer));
        expect_success(run_netc({"train", "a.net", "--run", run, "--quiet"}, directory.path()));
        const Safetensors file = weights(directory.file(run + "/last.safetensors"));
        double w = 0;
        std::memcpy(&w, file.data(*file.find("w")).data(), sizeof w);
        return w;
    };
    CHECK(trained("1", "sgd(lr = 0.1)") == 1 - 0.1);
    CHECK(trained("1", "sgd(lr = step(0.3, gamma = 0.5, every = 1st))") == 1 - 0.3);
    // 1e24 squared is no number of f32.
    CHECK(trained("1e12", "sgd(lr = 0.5, clip = 1.0)") == Approx(0.5).epsilon(1e-14));
    // The first step of Adam is the rate, but for epsilon beside the gradient.
    CHECK(trained("1e12", "adam(lr = 0.1)") == Approx(0.9).epsilon(1e-14));
}

TEST_CASE("the learning curve is drawn") {
    const TemporaryDirectory directory;
    directory.write("moons.net", kMoons);
    expect_success(
        run_netc({"train", "moons.net", "--run", "run", "--quiet", "--plot"}, directory.path()));
    CHECK(contents(directory.file("run/curve.svg")).starts_with("<svg"));
    // A killed process may leave half a line.
    const std::string log = directory.file("run/log.jsonl");
    directory.write("run/log.jsonl", contents(log) + R"({"epoch": 7, "st)");
    expect_success(run_netc({"plot", "run", "-o", "again.svg"}, directory.path()));
    CHECK(contents(directory.file("again.svg")) == contents(directory.file("run/curve.svg")));
}
