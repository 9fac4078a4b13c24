// Trains a file with the netc that was built beside the tests and reads what it logged.
#pragma once

#include <catch2/catch.hpp>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/cli/run_command.h"

namespace netc {

inline Outcome run_patiently(const Command& command) {
    Process process(command);
    while (process.running()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return process.wait();
}

struct Trained {
    std::vector<nlohmann::json> epochs;
    std::string run;  // the run's directory

    double last(const std::string& metric) const {
        return epochs.back().at("metrics").at(metric).get<double>();
    }
    double best(const std::string& metric) const {
        double best = last(metric);
        for (const auto& epoch : epochs) {
            best = std::max(best, epoch.at("metrics").at(metric).get<double>());
        }
        return best;
    }
};

// `arguments` follow the verb: the file first.
inline Trained train_example(std::vector<std::string> arguments,
                             const TemporaryDirectory& directory) {
    Trained trained;
    trained.run = directory.file("run");
    const Outcome checked = run_patiently(netc_command({"check", arguments[0]}, directory.path()));
    INFO(checked.err);
    REQUIRE(checked.status == 0);
    arguments.insert(arguments.begin(), "train");
    for (const std::string& more : {std::string("--json"), std::string("--run"), trained.run}) {
        arguments.push_back(more);
    }
    const Outcome outcome = run_patiently(netc_command(arguments, directory.path()));
    INFO(outcome.out.substr(0, 2000) << outcome.err.substr(0, 4000));
    REQUIRE(outcome.signal == 0);
    REQUIRE(outcome.status == 0);
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = outcome.out.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
        trained.epochs.push_back(nlohmann::json::parse(outcome.out.substr(begin, end - begin)));
    }
    REQUIRE(!trained.epochs.empty());
    return trained;
}

inline std::string example(const std::string& name) {
    return std::string(NETC_SOURCE_DIR) + "/examples/" + name;
}

// Data beside the repository that is too large for it; empty where it is not.
inline std::string shared_data(const std::string& folder, const std::string& file) {
    const std::string path = std::string(NETC_SOURCE_DIR) + "/../shared/data/" + folder;
    return std::ifstream(path + "/" + file).good() ? path : std::string();
}

}  // namespace netc
