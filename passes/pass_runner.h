// Runs passes one after another: verifies in between, prints and keeps the time where asked.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "ir/result.h"

namespace netc {

struct PassTime {
    std::string name;
    double seconds = 0;
};

struct PassRunner {
    bool verify = true;
    std::vector<std::string> print_after;         // names of passes, or "all"
    std::function<void(std::string_view)> print;  // gets the text
    std::vector<PassTime> times;                  // in the order of running, filled by `run`
    std::string choices;                          // what passes chose and why, for --report

    // Runs one pass over the module. The first Error of a pass or of the verifier is the result.
    Status run(std::string_view name, Module& module, const std::function<Status(Module&)>& pass);

    // Keeps the time of what is no pass over a module: lowering.
    template <class Work>
    auto time(std::string_view name, Work work) {
        const auto start = std::chrono::steady_clock::now();
        auto result = work();
        const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
        times.push_back({std::string(name), elapsed.count()});
        return result;
    }
};

}  // namespace netc
