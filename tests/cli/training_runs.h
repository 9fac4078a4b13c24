// Runs of `a.net`, and what they leave: their log, their weights.
#pragma once

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include "runtime/files/safetensors.h"
#include "tests/cli/expect.h"
#include "tests/cli/interrupt.h"
#include "tests/cli/run_command.h"

namespace netc {

inline std::vector<nlohmann::json> log_of(const std::string& run) {
    std::vector<nlohmann::json> lines;
    std::istringstream text(file_text(run + "/log.jsonl"));
    for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
}

inline std::vector<float> tensor(const std::string& path, const std::string& name) {
    const Result<Safetensors> file = read_safetensors(path);
    REQUIRE(file);
    for (const Safetensors::Tensor& tensor : file->tensors) {
        if (tensor.name != name) continue;
        std::vector<float> values(tensor.size / sizeof(float));
        std::memcpy(values.data(), file->data(tensor).data(), tensor.size);
        return values;
    }
    FAIL(path << " has no " << name);
    return {};
}

inline void train(const TemporaryDirectory& directory, const std::string& run,
                  std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"train", "a.net", "--run", run, "--quiet"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    expect_success(run_netc(arguments, directory.path()));
}

}  // namespace netc
