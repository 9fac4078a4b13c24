#include "passes/pass_runner.h"

#include <algorithm>
#include <chrono>

#include "ir/graph_text.h"
#include "ir/graph_verify.h"

namespace netc {

Status PassRunner::run(std::string_view name, Module& module,
                       const std::function<Status(Module&)>& pass) {
    const bool wanted = print && std::ranges::any_of(print_after, [&](const std::string& n) {
                            return n == name || n == "all";
                        });
    const std::string before = wanted ? to_text(module) : std::string{};
    const auto start = std::chrono::steady_clock::now();
    if (Status status = pass(module); !status) return status;
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    times.push_back({std::string(name), elapsed.count()});
    if (wanted) {
        const std::string after = to_text(module);
        print(after == before ? "# after " + std::string(name) + ": unchanged\n"
                              : "# after " + std::string(name) + "\n" + after);
    }
    if (verify) {
        if (Status status = netc::verify(module); !status) {
            status.error().message =
                "after pass " + std::string(name) + ": " + status.error().message;
            return status;
        }
    }
    return {};
}

}  // namespace netc
