// netc_gpu_run: tests and measures, on the GPU of this machine, the networks whose files lie beside it, and writes one
// file of results. It needs NVIDIA's driver and nothing else. Status 0 where all results equal the CPU's, 1 where some
// do not, 4 where there is no GPU.
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <set>

#include <fmt/format.h>

#include "backends/gpu/gpu_executable.h"
#include "bench/gpu/report.h"
#include "runtime/train/session.h"

using namespace netc;
using namespace netc::gpu_bench;

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr const char* kUsage =
    "usage: netc_gpu_run [--only NAME,...] [--tests] [--out FILE] [--device N] [FOLDER]\n"
    "  --only    these networks, all by default\n"
    "  --tests   compare results and measure nothing\n"
    "  --out     default: FOLDER/results.md\n"
    "  FOLDER    of the files; default: where this program is\n";

struct Arguments {
    std::set<std::string> only;
    bool tests = false;
    fs::path out, folder;
    int device = 0;
};

std::optional<Arguments> arguments_of(int count, char** values) {
    Arguments made;
    for (int i = 1; i < count; ++i) {
        const std::string_view word = values[i];
        const bool takes = word == "--only" || word == "--out" || word == "--device";
        if (takes && i + 1 == count) return std::nullopt;
        if (word == "--only") {
            std::string_view names = values[++i];
            while (!names.empty()) {
                const std::size_t comma = std::min(names.find(','), names.size());
                made.only.emplace(names.substr(0, comma));
                names.remove_prefix(std::min(comma + 1, names.size()));
            }
        } else if (word == "--out") {
            made.out = values[++i];
        } else if (word == "--device") {
            made.device = std::atoi(values[++i]);
        } else if (word == "--tests") {
            made.tests = true;
        } else if (word.starts_with("-")) {
            return std::nullopt;
        } else {
            made.folder = word;
        }
    }
    std::error_code unreadable;
    if (made.folder.empty())
        made.folder = fs::read_symlink("/proc/self/exe", unreadable).parent_path();
    if (made.out.empty()) made.out = made.folder / "results.md";
    return made;
}

std::optional<Workload> read_workload(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(file), {});
    ArchiveReader reader(bytes);
    Workload workload;
    reader(workload);
    if (!reader.ok() || !reader.at_end()) return std::nullopt;
    return workload;
}

const PackedCode& code_for(const Workload& workload, const Device& device) {
    const std::string wanted = device.capability() == 90 ? "sm_90a" : "sm_80";
    for (const PackedCode& code : workload.code) {
        if (code.target == wanted) return code;
    }
    return workload.code.front();
}

std::vector<const std::byte*> pointers_of(const std::vector<std::vector<std::byte>>& inputs) {
    std::vector<const std::byte*> pointers;
    for (const auto& input : inputs) pointers.push_back(input.data());
    return pointers;
}

// The calls that the CPU did, in the same order.
Status compare(const Workload& workload, Session& session, Outcome& outcome) {
    const auto check = [&](const std::string& name, DType dtype, std::span<const std::byte> bytes,
                           std::uint64_t wanted) {
        outcome.compared += 1;
        if (workload.bound > 0) return;  // other bits, by the mode: losses are compared below
        if (hash_of(dtype, bytes.data(), bytes.size()) != wanted) outcome.different.push_back(name);
    };
    for (std::size_t c = 0; c < workload.calls.size(); ++c) {
        const Expected& call = workload.calls[c];
        const Entry& entry = *workload.program.find(call.entry);
        std::vector<std::vector<std::byte>> inputs;
        if (call.inputs.empty()) inputs = inputs_of(entry, call.batch, call.seed);
        for (const std::string& bytes : call.inputs) {
            const auto* from = reinterpret_cast<const std::byte*>(bytes.data());
            inputs.emplace_back(from, from + bytes.size());
        }
        if (Status s = session.run(call.entry, pointers_of(inputs), call.batch); !s) return s;
        if (Status s = session.wait(); !s) return s;
        for (std::size_t k = 0; k < entry.outputs.size(); ++k) {
            const std::span<const std::byte> bytes = session.output(k);
            check(fmt::format("{} of call {}", entry.outputs[k].name, c + 1),
                  entry.outputs[k].dtype, bytes, call.outputs[k]);
            float first = 0;
            if (call.firsts.empty() || bytes.size() < sizeof first ||
                entry.outputs[k].dtype != DType::f32)
                continue;
            std::memcpy(&first, bytes.data(), sizeof first);
            const double off = std::abs(static_cast<double>(first) - call.firsts[k]);
            const double relative = off / std::max(1e-30, std::abs(call.firsts[k]));
            if (!(relative <= outcome.largest)) outcome.largest = relative;
            if (workload.bound > 0 && !(relative <= workload.bound))
                outcome.different.push_back(
                    fmt::format("{} of call {}", entry.outputs[k].name, c + 1));
        }
    }
    if (workload.calls.empty()) return {};
    const Session& read = session;
    std::size_t number = 0;
    for (const auto* places : {&workload.program.weights, &workload.program.slots}) {
        for (const VariablePlace& place : *places)
            check(place.name, place.dtype, read.variable(place), workload.variables.at(number++));
    }
    return session.wait();
}

Status measure(const Workload& workload, const SharedDevice& device, const PackedCode& code,
               Session& session, Outcome& outcome) {
    constexpr double kSeconds = 0.4;
    const Entry& entry = *workload.program.find(workload.entry);
    const auto inputs = inputs_of(entry, workload.batch, 0);
    const auto pointers = pointers_of(inputs);
    const auto timed = [&](bool waits) {
        return median_seconds(kSeconds, [&, waits](std::int64_t times) -> Status {
            for (std::int64_t i = 0; i < times; ++i) {
                if (Status s = session.run(workload.entry, pointers, workload.batch); !s) return s;
                if (!waits) continue;
                if (Status s = session.wait(); !s) return s;
            }
            return session.wait();
        });
    };
    const Result<double> step = timed(false);
    if (!step) return step.error();
    outcome.step = *step;
    const Result<double> alone = timed(true);
    if (!alone) return alone.error();
    outcome.alone = *alone;

    Result<Launches> launches = Launches::make(device, workload, code);
    if (!launches) return launches.error();
    const Result<double> seconds = launches->seconds();
    if (!seconds) return seconds.error();
    outcome.launches = outcome.counted = *seconds;
    auto kernels = launches->of_kernels();
    if (!kernels) return kernels.error();
    outcome.kernels = std::move(*kernels);
    if (workload.kernel.empty()) return {};
    outcome.kernel_only = true;
    outcome.counted = 0;
    for (const KernelTime& row : outcome.kernels) {
        if (row.label.find(workload.kernel) != std::string::npos)
            outcome.counted += row.seconds * static_cast<double>(row.calls);
    }
    return {};
}

Status run(const Workload& workload, const SharedDevice& device, bool tests, Outcome& outcome) {
    outcome.name = workload.name;
    outcome.batch = workload.batch;
    outcome.flops = workload.flops;
    outcome.bytes = workload.bytes;
    const PackedCode& code = code_for(workload, *device);
    const auto image = [&](const std::vector<std::string>&) -> Result<GpuImage> {
        return GpuImage{code.image, code.kernels};
    };
    const auto begin = Clock::now();
    auto executable =
        GpuExecutable::create(device, workload.program, workload.params, image, {}, {});
    if (!executable) return executable.error();
    outcome.load = std::chrono::duration<double>(Clock::now() - begin).count();
    Result<Session> session = Session::create((*executable)->program(), **executable);
    if (!session) return session.error();
    if (workload.program.find("init") != nullptr) {
        if (Status s = session->init(kSeed); !s) return s;
    }
    if (Status s = compare(workload, *session, outcome); !s) return s;
    return tests || workload.entry.empty() ? Status()
                                           : measure(workload, device, code, *session, outcome);
}

std::string today() {
    const std::time_t now = std::time(nullptr);
    char text[32] = {};
    std::tm parts{};
    (void)std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", gmtime_r(&now, &parts));
    return text;
}

int fail(const Error& error) {
    fmt::print(stderr, "netc_gpu_run: {}\n", to_string(error));
    return error.status;
}

}  // namespace

int main(int count, char** values) {
    const std::optional<Arguments> arguments = arguments_of(count, values);
    if (!arguments) {
        fmt::print(stderr, "{}", kUsage);
        return kExitUsage;
    }
    const char* const library =
        std::getenv("NETC_CUDA_DRIVER");  // for tests, as the compiler has it
    auto driver = Driver::load(library != nullptr ? library : "");
    if (!driver) return fail(driver.error());
    const Result<SharedDevice> device = Device::open(std::move(*driver), arguments->device);
    if (!device) return fail(device.error());
    Setting setting;
    setting.device = (*device)->name();
    setting.capability = (*device)->capability();
    setting.driver = (*device)->driver().version();
    setting.date = today();
    std::vector<Outcome> outcomes;
    if (!arguments->tests) {
        const Result<Peaks> peaks = measure_peaks(*device);
        if (!peaks) return fail(peaks.error());
        setting.peaks = *peaks;
    }
    std::set<fs::path> files;
    for (const auto& each : fs::directory_iterator(arguments->folder)) {
        if (each.path().extension() == ".gpu") files.insert(each.path());
    }
    bool good = true;
    std::set<std::string> unknown = arguments->only;
    for (const fs::path& path : files) {
        const std::optional<Workload> workload = read_workload(path);
        if (!workload)
            return fail({kExitData, path.string() + ": not a file of this build's netc_gpu_pack"});
        if (!arguments->only.empty() && !arguments->only.contains(workload->name)) continue;
        unknown.erase(workload->name);
        Outcome& outcome = outcomes.emplace_back();
        const auto begin = Clock::now();
        if (Status s = run(*workload, *device, arguments->tests, outcome); !s)
            outcome.failure = s.error().message;
        const bool equal = outcome.failure.empty() && outcome.different.empty();
        good = good && equal;
        fmt::print("{:<20} {} in {:.1f} s{}{}\n", outcome.name, equal ? "equal" : "DIFFERENT",
                   std::chrono::duration<double>(Clock::now() - begin).count(),
                   outcome.failure.empty() ? "" : ": ", outcome.failure);
        std::fflush(stdout);
        // After each: what was measured stays where a later one takes the device down.
        std::ofstream(arguments->out) << report(setting, outcomes);
    }
    if (!unknown.empty()) {
        fmt::print(stderr, "netc_gpu_run: there is no network `{}`\n", *unknown.begin());
        return kExitUsage;
    }
    return good && !outcomes.empty() ? kExitDone : 1;
}
