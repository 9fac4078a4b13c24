// links: runtime ir
// Settings of a train section that steer a run: restarts, when it measures, logs and saves, what fits the data.
#include <catch2/catch.hpp>

#include <cctype>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <map>
#include <random>
#include <sstream>

#include "tests/cli/networks.h"
#include "tests/cli/training_runs.h"

using namespace netc;

namespace {

// kMoons with other settings at its end.
std::string moons_with(const std::string& settings) {
    const std::string save = "  save      = best(by = max(\"valid.acc\"))\n";
    std::string text = kMoons;
    text.replace(text.find(save), save.size(), settings);
    return text;
}

}  // namespace

TEST_CASE("each restart is a run with the next seed, the best of all is kept") {
    const TemporaryDirectory directory;
    directory.write("a.net", moons_with("  restarts  = 3\n"));
    const Outcome outcome = run_netc({"train", "a.net", "--run", "three"}, directory.path());
    expect_success(outcome);
    directory.write("a.net", moons_with(""));
    double best = 1e9;
    std::string best_run;
    for (const char* seed : {"0", "1", "2"}) {
        const std::string run = std::string("seed") + seed;
        train(directory, run, {"--seed", seed});
        for (const nlohmann::json& line : log_of(directory.file(run))) {
            const double loss = line["metrics"]["valid.loss"].get<double>();
            if (loss < best) best_run = run;
            best = std::min(best, loss);
        }
    }
    const auto weights = [&](const std::string& file) {
        return tensor(directory.file(file), "linear_1.weight");
    };
    CHECK(weights("three/best.safetensors") == weights(best_run + "/best.safetensors"));
    CHECK(weights("three/last.safetensors") == weights("seed2/last.safetensors"));
    const std::string number = std::to_string(best_run.back() - '0' + 1);
    CHECK(outcome.err.find("restart " + number + " is the best") != std::string::npos);
    CHECK(log_of(directory.file("three")).size() == 18);
}

TEST_CASE("`matmul` in the section is --matmul, which stands above it, and above `precision`") {
    const TemporaryDirectory directory;
    const auto trained = [&](const std::string& settings, const std::vector<std::string>& words) {
        static int count = 0;
        const std::string run = "run" + std::to_string(++count);
        directory.write("a.net", moons_with(settings));
        train(directory, run, words);
        return tensor(directory.file(run + "/last.safetensors"), "linear_1.weight");
    };
    const auto plain = trained("", {});
    for (const std::string mode : {"bf16", "bf16x3", "bf16x6"}) {
        INFO(mode);
        const auto asked = trained("", {"--matmul", mode});
        CHECK(asked != plain);
        CHECK(trained("  matmul = " + mode + "\n", {}) == asked);
        CHECK(trained("  precision = bf16\n  matmul = " + mode + "\n", {}) == asked);
        CHECK(trained("  matmul = " + mode + "\n", {"--matmul", "f32"}) == plain);
    }
    CHECK(trained("  precision = bf16\n  matmul = f32\n", {}) == plain);
}

TEST_CASE("restarts go on where they were") {
    const TemporaryDirectory directory;
    directory.write("a.net", moons_with("  restarts = 4\n  stop = patience(2ep)\n"
                                        "  save = every(2ep, \"kept\")\n"));
    train(directory, "whole", {"--epochs", "40"});
    std::minstd_rand random(11);
    bool interrupted = false;
    for (int i = 0; i < 6; ++i) {
        std::filesystem::remove_all(directory.file("part"));
        Process process(netc_command(
            {"train", "a.net", "--run", "part", "--epochs", "40", "--quiet"}, directory.path()));
        if (!wait_for_log(process, directory.file("part"))) continue;
        std::this_thread::sleep_for(std::chrono::milliseconds(random() % 40));
        process.send(SIGINT);
        const Outcome outcome = process.wait();
        if (outcome.status == 130) {
            interrupted = true;
            expect_success(
                run_netc({"train", "a.net", "--resume", "part", "--epochs", "40", "--quiet"},
                         directory.path()));
        }
        expect_same_run(directory.file("part"), directory.file("whole"));
    }
    WARN("interrupted: " << interrupted);
}

TEST_CASE("it measures, logs and saves as often as the section says") {
    const TemporaryDirectory directory;
    // 480 training rows, 15 steps an epoch, 6 epochs.
    SECTION("in steps") {
        directory.write("a.net", moons_with("  validate = every(20st)\n  log = every(6st)\n"
                                            "  save = every(40st)\n"));
        train(directory, "run");
        std::vector<int> measured, logged;
        for (const nlohmann::json& line : log_of(directory.file("run"))) {
            const int step = line["step"].get<int>();
            if (!line.contains("metrics")) {
                logged.push_back(step);
            } else if (line["metrics"].contains("valid.loss")) {
                measured.push_back(step);
            }
        }
        CHECK(measured == std::vector<int>{20, 40, 60, 80, 90});
        CHECK(logged.size() == 15);
        CHECK(logged.front() == 6);
        CHECK(std::filesystem::exists(directory.file("run/step-40.safetensors")));
        CHECK(std::filesystem::exists(directory.file("run/step-80.safetensors")));
        CHECK_FALSE(std::filesystem::exists(directory.file("run/step-20.safetensors")));
        // The weights of that moment.
        train(directory, "forty", {"--steps", "40"});
        CHECK(tensor(directory.file("run/step-40.safetensors"), "linear_2.weight") ==
              tensor(directory.file("forty/last.safetensors"), "linear_2.weight"));
    }
    SECTION("in epochs") {
        directory.write("a.net", moons_with("  validate = every(2ep)\n  log = every(0.5ep)\n"
                                            "  save = every(3ep, \"w.safetensors\")\n"));
        train(directory, "run");
        int measured = 0, between = 0;
        for (const nlohmann::json& line : log_of(directory.file("run"))) {
            if (!line.contains("metrics")) ++between;
            if (line.contains("metrics") && line["metrics"].contains("valid.acc")) ++measured;
        }
        CHECK(measured == 3);
        CHECK(between == 12);
        CHECK(std::filesystem::exists(directory.file("run/w-3.safetensors")));
        CHECK(std::filesystem::exists(directory.file("run/w-6.safetensors")));
    }
    SECTION("in time") {
        directory.write("a.net", moons_with("  validate = every(1h)\n  log = every(1h)\n"
                                            "  save = every(1h)\n"));
        train(directory, "run");
        int measured = 0;
        for (const nlohmann::json& line : log_of(directory.file("run"))) {
            REQUIRE(line.contains("metrics"));
            measured += line["metrics"].contains("valid.acc") ? 1 : 0;
        }
        CHECK(measured == 1);  // at the end
    }
    SECTION("patience counts epochs, however often it measures") {
        directory.write("a.net", moons_with("  validate = every(5st)\n"
                                            "  stop = patience(2ep, on = min(\"valid.loss\"))\n"));
        train(directory, "run", {"--epochs", "500"});
        const auto log = log_of(directory.file("run"));
        double best = 1e9;
        int best_step = 0;
        for (const nlohmann::json& line : log) {
            if (!line["metrics"].contains("valid.loss")) continue;
            const double loss = line["metrics"]["valid.loss"].get<double>();
            if (loss < best) best_step = line["step"].get<int>();
            best = std::min(best, loss);
        }
        CHECK(log.back()["step"].get<int>() == best_step + 30);
    }
}

TEST_CASE("a resumed run may find its end, its log and its metrics changed") {
    const TemporaryDirectory directory;
    directory.write("a.net", moons_with("  log = every(7st)\n"));
    train(directory, "run", {"--epochs", "2"});
    std::string changed = moons_with(
        "  validate = every(1ep)  # a comment\n\n  save = best(by = min(\"valid.loss\"))\n"
        "  stop = patience(50ep)\n  metric auc = whole(auc(out, y))\n");
    changed.replace(changed.find("epochs    = 6"), 13, "epochs = 8");
    directory.write("a.net", changed);
    expect_success(run_netc({"train", "a.net", "--resume", "run", "--quiet"}, directory.path()));
    const auto log = log_of(directory.file("run"));
    CHECK(log.back()["epoch"] == 8);
    CHECK(log.back()["metrics"].contains("valid.auc"));
    changed.replace(changed.find("momentum = 0.9"), 14, "momentum = 0.8");
    directory.write("a.net", changed);
    expect_refusal(run_netc({"train", "a.net", "--resume", "run"}, directory.path()), 3,
                   {"the source"});
}

TEST_CASE("the best weights have the name that the section gives them, and `best`") {
    const TemporaryDirectory directory;
    directory.write("a.net", moons_with("  save = best(\"good\", by = max(\"valid.acc\"))\n"));
    train(directory, "run");
    CHECK(file_text(directory.file("run/good.safetensors")) ==
          file_text(directory.file("run/best.safetensors")));
}

TEST_CASE("a run whose state is lost is not begun again over its weights") {
    const TemporaryDirectory directory;
    directory.write("a.net", moons_with(""));
    train(directory, "run", {"--epochs", "2"});
    const std::string last = file_text(directory.file("run/last.safetensors"));
    std::filesystem::remove(directory.file("run/state.safetensors"));
    expect_refusal(run_netc({"train", "a.net", "--resume", "run"}, directory.path()), 3,
                   {"state.safetensors", "--load"});
    CHECK(file_text(directory.file("run/last.safetensors")) == last);
    expect_refusal(
        run_netc({"train", "a.net", "--resume", "run", "--load", "run"}, directory.path()), 2,
        {"--resume", "--load"});
}

TEST_CASE("a batch that does not fit the number of rows is told with its place") {
    const TemporaryDirectory directory;
    std::string text = moons_with("  drop_last = true\n");
    text.replace(text.find("batch     = 32"), 14, "batch = 5000");
    directory.write("a.net", text);
    expect_refusal(run_netc({"train", "a.net", "--run", "run"}, directory.path()), 1,
                   {"E0613", "a.net:11:11", "480", "5000"});
    CHECK_FALSE(std::filesystem::exists(directory.file("run")));
    text.replace(text.find("batch = 5000"), 12, "batch = 95  ");
    text.replace(text.find("drop_last = true"), 16, "");
    directory.write("a.net", text);
    const Outcome outcome = run_netc({"train", "a.net", "--run", "run"}, directory.path());
    expect_success(outcome);
    CHECK(outcome.err.find("W0604") != std::string::npos);
}

TEST_CASE("the rows of a patient stay together, whoever names the column") {
    const TemporaryDirectory directory;
    std::string csv = "a,b,patient,y\n";
    for (int i = 0; i < 60; ++i) {
        csv += fmt::format("{},{},p{},{}\n", i % 7, i % 5, i / 4, i % 2);
    }
    directory.write("people.csv", csv);
    for (const char* group : {"\"patient\"", "col(\"patient\")"}) {
        INFO(group);
        directory.write("a.net", fmt::format(R"(net 1
model People(x: f32[B, 2]) -> f32[B, 2] = x |> linear(2)
train People {{
  target y: i32[B]
  data   = csv("people.csv", x = cols("a", "b"), y = col("y"))
  split  = random(0.5, 0.5, group = {})
  loss   = cross_entropy(out, y)
  epochs = 1
}}
)",
                                             group));
        std::filesystem::remove_all(directory.file("run"));
        train(directory, "run");
        const std::string rows = file_text(directory.file("run/rows.txt"));
        INFO(rows);
        std::map<int, std::string> part_of;
        std::istringstream words(rows);
        std::string part, word;
        while (words >> word) {
            if (std::isdigit(static_cast<unsigned char>(word[0])) == 0) {
                part = word;
            } else if (part != "rows") {
                int first = 0, last = 0;  // 4-15
                if (std::sscanf(word.c_str(), "%d-%d", &first, &last) < 2) last = first;
                for (int row = first; row <= last; ++row) part_of[row] = part;
            }
        }
        REQUIRE(part_of.size() == 60);
        for (const auto& [row, of] : part_of) {
            CHECK(part_of.at(row / 4 * 4) == of);
        }
    }
    directory.write("a.net", moons_with("").replace(moons_with("").find("random("), 7,
                                                    "random(group = \"patient\", "));
    expect_refusal(run_netc({"check", "a.net"}, directory.path()), 1, {"E0101", "patient"});
}
