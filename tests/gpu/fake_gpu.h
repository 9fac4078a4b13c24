// The fake driver as the tests see it, and the kernels of fake_program() for it, which are functions below.
#pragma once

#include <catch2/catch.hpp>

#include <dlfcn.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/gpu/fake_program.h"

namespace netc {

class FakeGpu {
public:
    // `setting`: VERSION=11080, and what else fake_cuda.cpp says; none is a GPU that works.
    explicit FakeGpu(const std::string& setting = {}) {
        const std::string prefix = "NETC_FAKE_CUDA_";
        for (const char* name : {"FAIL", "VERSION", "DEVICES", "CAPABILITY", "MEMORY"})
            unsetenv((prefix + name).c_str());
        const std::size_t equals = setting.find('=');
        if (equals != std::string::npos)
            setenv((prefix + setting.substr(0, equals)).c_str(), setting.substr(equals + 1).c_str(),
                   1);
        library_ = dlopen(NETC_FAKE_CUDA, RTLD_NOW | RTLD_LOCAL);
        REQUIRE(library_ != nullptr);
        // The first cuInit resets as well.
        function<int(unsigned)>("cuInit")(0);
        function<void()>("netc_fake_reset")();
        *static_cast<Launch*>(dlsym(library_, "netc_fake_launch")) = launch;
    }

    std::string problems() const { return function<const char*()>("netc_fake_problems")(); }
    // Launches of graphs (L) and waits for events (W).
    std::string order() const { return function<const char*()>("netc_fake_order")(); }
    int calls(const std::string& name) const {
        return function<int(const char*)>("netc_fake_calls")(name.c_str());
    }

private:
    using Launch = void (*)(const char*, unsigned, unsigned, unsigned, void**);

    template <class F>
    F* function(const char* name) const {
        return reinterpret_cast<F*>(dlsym(library_, name));
    }
    template <class T>
    static T& at(void** parameters, std::size_t i) {
        return *static_cast<T*>(parameters[i]);
    }
    template <class T>
    static T* array(void** parameters, std::size_t i) {
        return reinterpret_cast<T*>(at<std::uint64_t>(parameters, i));
    }

    static void launch(const char* name, unsigned, unsigned, unsigned, void** p) {
        if (std::string(name) == "scale") {  // x, w, h, y: h = 2 x, y = w h
            const float *x = array<float>(p, 0), *w = array<float>(p, 1);
            float *h = array<float>(p, 2), *y = array<float>(p, 3);
            for (std::uint32_t i = 0; i < 2 * at<std::uint32_t>(p, 4); ++i) {
                h[i] = 2 * x[i];
                y[i] = w[i % 2] * h[i];
            }
        } else {  // ids, w, step, rate, loss
            const std::int32_t* ids = array<std::int32_t>(p, 0);
            float* w = array<float>(p, 1);
            for (std::uint32_t b = 0; b < at<std::uint32_t>(p, 5); ++b) {
                if (ids[b] == kDeviceFault) *array<std::int32_t>(p, 6) = 1;
            }
            w[0] += 1;
            *array<std::int64_t>(p, 2) += 1;
            *array<float>(p, 4) = w[0];
            if (ids[0] == kNoNumber) *array<float>(p, 4) = std::nanf("");
        }
    }

    void* library_ = nullptr;

public:
    static constexpr std::int32_t kDeviceFault = 77;  // an id that only the device finds wrong
    static constexpr std::int32_t kNoNumber =
        78;  // makes the loss of a batch that begins with it NaN
};

inline Result<GpuCode> fake_code(const Program& program, const std::vector<std::string>& entries,
                                 const GpuTarget& target) {
    GpuCode code;
    code.ptx = ".version 7.0\n.target " + target.name() + "\n";
    code.kernels.resize(program.kernels.size());
    for (const std::string& name : entries) {
        for (const Call& call : program.find(name)->calls) {
            std::vector<GpuLaunch>& launches = code.kernels[call.kernel].launches;
            if (!launches.empty()) continue;
            launches = {
                GpuLaunch{call.label, 128, call.label == "scale" ? 64 * 1024 : 0, {{{1, 0}, 64}}}};
            code.ptx += ".visible .entry " + call.label + "(\n";
            for (std::size_t i = 0; i < call.arguments.size(); ++i)
                code.ptx += ".param .u64 p" + std::to_string(i) + ",\n";
            code.ptx += ".param .u32 B,\n.param .u64 fault\n) { ret; }\n";
        }
    }
    return code;
}

inline Result<std::unique_ptr<GpuExecutable>> fake_executable(GpuOptions options = {},
                                                              EmitGpuCode emitter = fake_code,
                                                              const std::string& key = {}) {
    if (options.driver.empty()) options.driver = NETC_FAKE_CUDA;
    const auto make = []() -> Result<Program> { return fake_program(); };
    return gpu_jit_with({.key = key, .make = make}, options, std::move(emitter));
}

}  // namespace netc
