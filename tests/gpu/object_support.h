// An emitted GPU object in the test's own process, where the fake driver is the one that it finds; its kernels run on
// the emulator.
#pragma once

#include <catch2/catch.hpp>

#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "backends/gpu/gpu_code.h"
#include "frontend/frontend.h"
#include "frontend/render.h"
#include "passes/pipeline.h"
#include "tests/unit/temporary_directory.h"

namespace netc {

inline Program program_of(const std::string& text, bool train,
                          std::optional<Precision> precision = {}) {
    SourceMap sources;
    Diagnostics diagnostics;
    Result<CheckedFile> file = check_text("test.net", text, {}, sources, diagnostics);
    if (!file) FAIL(text << "\n" << render(diagnostics, sources));
    CompileOptions options;
    options.entries = {"init", "prepare", "forward"};
    if (train) options.entries.insert(options.entries.end(), {"gradient", "train_step"});
    options.batch_hint = 64;  // sums over it are split
    options.for_gpu = options.for_object = true;
    options.precision = precision;
    PassRunner run;
    Result<Program> program =
        compile(file->models.at(0), train ? &file->sections.at(0) : nullptr, options, run);
    if (!program) FAIL(to_string(program.error()));
    return std::move(*program);
}

// Each kernel of a program by itself: what the fake driver launches.
class HostKernels {
public:
    explicit HostKernels(const Program& program) : kernels_(program.kernels) {
        Result<GpuCode> code = emit_gpu_code(program, {}, GpuTarget{});
        REQUIRE(code.ok());
        code_ = std::move(code->kernels);
        Program each = program;
        each.entries.clear();
        for (std::uint32_t k = 0; k < kernels_.size(); ++k) {
            Entry entry;
            entry.name = std::to_string(k);
            Call call;
            call.kernel = k;
            call.label = entry.name;
            for (std::uint32_t i = 0; i < kernels_[k].params.size(); ++i) {
                BufferRef buffer;
                buffer.region = RegionKind::output;
                buffer.number = i;
                call.arguments.push_back(buffer);
            }
            entry.calls.push_back(call);
            each.entries.push_back(entry);
        }
        auto made = emulate_gpu(each);
        if (!made) FAIL(to_string(made.error()));
        executable_ = std::move(*made);
        current() = this;
    }
    HostKernels(const HostKernels&) = delete;
    HostKernels& operator=(const HostKernels&) = delete;
    ~HostKernels() { current() = nullptr; }

    std::size_t scratch_used() const { return scratch_used_; }  // bytes, by all launches

    // For netc_fake_launch.
    static void launch(const char* name, unsigned, unsigned, unsigned, void** parameters) {
        if (current() != nullptr) current()->run(name, parameters);
    }

private:
    static HostKernels*& current() {
        static HostKernels* one = nullptr;
        return one;
    }
    void run(const std::string& symbol, void** parameters) {
        const std::string prefix = "netc_kernel_";
        REQUIRE(symbol.starts_with(prefix));
        const std::string number = symbol.substr(prefix.size());
        const auto k = static_cast<std::size_t>(std::stoi(number));
        const std::size_t count = kernels_[k].params.size();
        // The emulator runs all launches of a kernel at once, with scratch memory of its own; ours is nobody else's.
        for (std::size_t i = 0; i < code_[k].scratch.size(); ++i) {
            const auto bytes = static_cast<std::size_t>(GpuKernel::scratch_bytes(
                code_[k].scratch[i],
                value<std::uint32_t>(parameters[count + code_[k].scratch.size()])));
            std::memset(reinterpret_cast<void*>(value<std::uint64_t>(parameters[count + i])), 0xff,
                        bytes);
            scratch_used_ += bytes;
        }
        if (symbol != code_[k].launches.back().symbol) return;
        std::vector<std::byte*> arrays;
        for (std::size_t i = 0; i < count; ++i)
            arrays.push_back(reinterpret_cast<std::byte*>(value<std::uint64_t>(parameters[i])));
        const std::size_t batch = count + code_[k].scratch.size();
        CallMemory memory;
        memory.outputs = arrays;
        const Status status =
            executable_->run(std::to_string(k), memory, value<std::uint32_t>(parameters[batch]));
        if (status) return;
        REQUIRE(status.error().status == kExitRun);  // a bad index
        *reinterpret_cast<std::int32_t*>(value<std::uint64_t>(parameters[batch + 1])) = 1;
    }
    template <class T>
    static T value(const void* from) {
        T made{};
        std::memcpy(&made, from, sizeof made);
        return made;
    }

    std::vector<Kernel> kernels_;
    std::vector<GpuKernel> code_;
    std::unique_ptr<Executable> executable_;
    std::size_t scratch_used_ = 0;
};

// What FakeGpu of fake_gpu.h is to netc's own runtime.
class FakeDriver {
public:
    explicit FakeDriver(const std::string& setting = {}) {
        const std::string prefix = "NETC_FAKE_CUDA_";
        for (const char* name : {"FAIL", "VERSION", "DEVICES", "CAPABILITY", "MEMORY"})
            unsetenv((prefix + name).c_str());
        const std::size_t equals = setting.find('=');
        if (equals != std::string::npos)
            setenv((prefix + setting.substr(0, equals)).c_str(), setting.substr(equals + 1).c_str(),
                   1);
        library_ = dlopen(NETC_FAKE_CUDA, RTLD_NOW | RTLD_LOCAL);
        REQUIRE(library_ != nullptr);
        function<int(unsigned)>("cuInit")(0);
        function<void()>("netc_fake_reset")();
        using Launch = void (*)(const char*, unsigned, unsigned, unsigned, void**);
        *static_cast<Launch*>(dlsym(library_, "netc_fake_launch")) = HostKernels::launch;
    }
    std::string problems() const { return function<const char*()>("netc_fake_problems")(); }
    int calls(const std::string& name) const {
        return function<int(const char*)>("netc_fake_calls")(name.c_str());
    }
    // A function of the driver itself.
    template <class F>
    F* function(const char* name) const {
        return reinterpret_cast<F*>(dlsym(library_, name));
    }

private:
    void* library_ = nullptr;
};

// Emitted, linked, loaded.
class LoadedObject {
public:
    LoadedObject(const Program& program, const std::string& prefix, bool train,
                 const std::string& gpu = {})
        : prefix_(prefix) {
        ObjectOptions options;
        options.prefix = prefix;
        options.source_name = prefix + ".net";
        options.train = train;
        options.seed = 3;
        options.gpu = gpu;
        options.threads = 1;
        const auto make = [&program]() -> Result<Program> { return program; };
        Result<ObjectFiles> files = emit_gpu_object({.key = {}, .make = make}, options);
        if (!files) FAIL(to_string(files.error()));
        files_ = std::move(*files);
        directory_.write(prefix + ".h", files_.header);
        const std::string object = directory_.write(prefix + ".o", files_.object);
        const std::string library = directory_.file(prefix + ".so");
        REQUIRE(std::system(("cc -shared -Wl,-z,text -o " + library + " " + object).c_str()) == 0);
        library_ = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (library_ == nullptr) FAIL(dlerror());
    }
    LoadedObject(const LoadedObject&) = delete;
    LoadedObject& operator=(const LoadedObject&) = delete;
    ~LoadedObject() { dlclose(library_); }

    // PREFIX_name(arguments), which gives a status or a size.
    template <class R = int, class... Args>
    R call(const std::string& name, Args... arguments) const {
        auto* function =
            reinterpret_cast<R (*)(Args...)>(dlsym(library_, (prefix_ + "_" + name).c_str()));
        INFO(name);
        REQUIRE(function != nullptr);
        return function(arguments...);
    }
    const ObjectFiles& files() const { return files_; }
    const TemporaryDirectory& directory() const { return directory_; }

private:
    std::string prefix_;
    ObjectFiles files_;
    TemporaryDirectory directory_;
    void* library_ = nullptr;
};

}  // namespace netc
