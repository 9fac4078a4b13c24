// Runs passes one after another: verifies in between, prints and keeps the time where asked.
#pragma once

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

    // Runs one pass over the module. The first Error of a pass or of the verifier is the result.
    Status run(std::string_view name, Module& module, const std::function<Status(Module&)>& pass);
};

}  // namespace netc
