// Reads a kernel of tests/data/kernels, gives it random buffers, runs it in the interpreter.
#pragma once

#include <catch2/catch.hpp>

#include <cmath>
#include <cstdint>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "backends/interpreter.h"
#include "ir/kernel.h"

namespace netc::test {

inline std::string kernel_text(const std::string& name) {
    const std::string folder = NETC_SOURCE_DIR "/tests/data/kernels/";
    std::ifstream file(folder + name + ".kernel");
    REQUIRE(file);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// Parsed, verified, and the same after printing and reading back.
inline Kernel read_kernel(const std::string& name) {
    INFO(name);
    Result<Kernel> kernel = parse_kernel(kernel_text(name));
    if (!kernel) FAIL(to_string(kernel.error()));
    const Status status = verify(*kernel);
    if (!status) FAIL(to_string(status.error()));
    const std::string text = to_text(*kernel);
    Result<Kernel> again = parse_kernel(text);
    INFO(text);
    if (!again) FAIL(to_string(again.error()));
    CHECK(to_text(*again) == text);
    CHECK(verify(*again).ok());
    return *again;
}

class KernelRun {
public:
    KernelRun(const std::string& name, std::int64_t batch)
        : kernel(read_kernel(name)), batch(batch), buffers(kernel.params.size()) {
        std::mt19937 random(static_cast<unsigned>(name.size()));
        std::uniform_real_distribution<double> uniform(-1, 1);
        for (std::size_t k = 0; k < buffers.size(); ++k) {
            const Param& param = kernel.params[k];
            const auto count = static_cast<std::size_t>(element_count(param, batch));
            if (is_float(param.dtype)) {
                buffers[k].numbers.resize(count);
                // What an output holds before must not matter.
                for (double& x : buffers[k].numbers) {
                    x = param.direction == Direction::out ? std::nan("") : uniform(random);
                }
            } else {
                buffers[k].integers.resize(count);
            }
        }
    }

    bool run() {
        Result<bool> fault = interpret_kernel(kernel, buffers, batch);
        if (!fault) FAIL(to_string(fault.error()));
        return *fault;
    }

    template <class... Indices>
    double& at(std::size_t param, Indices... indices) {
        return buffers[param].numbers[offset(param, indices...)];
    }
    template <class... Indices>
    std::int64_t& integer(std::size_t param, Indices... indices) {
        return buffers[param].integers[offset(param, indices...)];
    }

    Kernel kernel;
    std::int64_t batch;
    std::vector<WideBuffer> buffers;

private:
    template <class... Indices>
    std::size_t offset(std::size_t param, Indices... indices) const {
        return static_cast<std::size_t>(
            element_offset(kernel.params[param], {static_cast<std::int64_t>(indices)...}, batch));
    }
};

inline bool near(double a, double b) { return std::abs(a - b) <= 1e-11 * (1 + std::abs(b)); }

}  // namespace netc::test
