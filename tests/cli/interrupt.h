// A run that is long enough to be interrupted, and how two runs are compared.
#pragma once

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <filesystem>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "runtime/files/files.h"
#include "tests/cli/run_command.h"

namespace netc {

inline const std::string kLong = R"(net 1
model Long(x: f32[B, 2]) -> f32[B, 1] = x |> linear(32) |> tanh |> dropout(0.1) |> linear(32) |> relu |> linear(1)
train Long {
  target y: f32[B, 1]
  data      = moons(n = 1000, noise = 0.2, seed = 5)
  split     = random(train = 0.8, valid = 0.2)
  loss      = bce_with_logits(out, y)
  optimizer = adam(lr = 0.001)
  batch     = 20
  epochs    = 2500
  metric acc = binary_accuracy(out, y)
}
)";

inline std::vector<std::string> long_run(const std::string& run,
                                         const std::string& epochs = "2500") {
    return {"train", "long.net", "--run", run, "--epochs", epochs, "--quiet"};
}
inline std::vector<std::string> long_resume(const std::string& run,
                                            const std::string& epochs = "2500") {
    return {"train", "long.net", "--resume", run, "--epochs", epochs, "--quiet"};
}

inline std::string file_text(const std::string& path) {
    const Result<std::string> text = read_file(path);
    INFO(path);
    REQUIRE(text.ok());
    return *text;
}

// The log without what a clock says.
inline std::string log_text(const std::string& path) {
    std::istringstream stream(file_text(path));
    std::string all;
    for (std::string line; std::getline(stream, line);) {
        nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
        INFO(line);
        REQUIRE(json.is_object());
        json.erase("seconds");
        json.erase("samples_per_second");
        all += json.dump() + "\n";
    }
    return all;
}

// Weights, the best ones too, and the log.
inline void expect_same_run(const std::string& a, const std::string& b) {
    for (const char* name : {"/last.safetensors", "/best.safetensors"}) {
        INFO(name);
        CHECK((file_text(a + name) == file_text(b + name)));
    }
    CHECK(log_text(a + "/log.jsonl") == log_text(b + "/log.jsonl"));
    for (const auto& entry : std::filesystem::directory_iterator(a)) {
        INFO(entry.path());
        CHECK(entry.path().extension() != ".tmp");
    }
}

// Until the first epoch has ended. False when the process ended without one.
inline bool wait_for_log(Process& process, const std::string& run) {
    while (process.running()) {
        std::error_code ignored;
        if (std::filesystem::exists(run + "/log.jsonl", ignored)) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    UNSCOPED_INFO("stderr: " << process.wait().err);
    return false;
}

}  // namespace netc
