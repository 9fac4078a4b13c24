// From a checked model to a program: compiled at once, or named so that the cache may have it.
#include <charconv>
#include <cstdlib>

#include <fmt/format.h>

#include "cli/terminal.h"
#include "cli/time_report.h"
#include "cli/workbench.h"
#include "passes/check_finite.h"
#include "runtime/files/files.h"

namespace netc {

PassRunner make_pass_runner(const Options& options) {
    PassRunner run;
    run.print_after = options.print_after;
    run.print = [](std::string_view text) { print_err(text); };
#ifdef NDEBUG
    run.verify = false;
#endif
    return run;
}

// Code for an NVIDIA GPU and an object for this machine that runs it, see backends/gpu/object.
bool is_for_gpu(const Options& options) {
    return options.target == "nvptx64" || options.target == "nvptx64-nvidia-cuda";
}

CompileOptions compile_options_of(const Options& options, std::vector<std::string> entries,
                                  std::int64_t batch_hint) {
    CompileOptions compile_options;
    compile_options.entries = std::move(entries);
    compile_options.batch_hint = batch_hint;
    compile_options.precision = options.matmul;
    compile_options.winograd_tile = options.winograd_tile;
    compile_options.observe_ranges = options.observe_ranges;
    compile_options.ranges = options.ranges;
    compile_options.recompute = options.recompute == "auto"    ? Recompute::automatic
                                : options.recompute == "never" ? Recompute::never
                                                               : Recompute::always;
    compile_options.for_gpu =
        is_for_gpu(options) || options.device != "cpu" || options.stage == "ptx";
    return compile_options;
}

Result<Program> make_program(const Model& model, const TrainSection* section,
                             const Options& options, std::vector<std::string> entries,
                             std::int64_t batch_hint, bool log_results,
                             std::vector<std::string> gradient_inputs) {
    CompileOptions compile_options = compile_options_of(options, std::move(entries), batch_hint);
    compile_options.log_results = log_results;
    compile_options.gradient_inputs = std::move(gradient_inputs);
    PassRunner run = make_pass_runner(options);
    Result<Program> program = compile(model, section, compile_options, run);
    if (program && options.check_finite) check_finite(*program, *options.sources);
    if (options.time_report) print_err(time_report(run));
    return program;
}

namespace {

// What the places in messages of --check-finite are made of.
std::string texts(const SourceMap& sources) {
    std::string all;
    for (std::uint32_t file = 0; file < sources.size(); ++file) {
        all += fmt::format("{} {} {}\n", sources.path(file).size(), sources.path(file),
                           sources.text(file).size());
        all += sources.text(file);
    }
    return all;
}

Result<std::unique_ptr<Runnable>> make_gpu_runnable(ProgramSource source, const Options& options,
                                                    int number, const PassRunner& run) {
    if (options.profile)
        return Error{kExitUsage, "--profile measures the CPU", std::nullopt,
                     "`--device gpu` without it; `netc bench --device gpu` measures a whole call"};
    CompileTimes times;
    GpuOptions gpu_options;
    gpu_options.device = number;
    gpu_options.target = options.gpu;
    gpu_options.tf32 = options.matmul == Precision::tf32;
    gpu_options.cache_directory = cache_directory(options);
    gpu_options.times = &times;
    // For tests, which have a driver that needs no GPU.
    if (const char* path = std::getenv("NETC_CUDA_DRIVER")) gpu_options.driver = path;
    Result<std::unique_ptr<Executable>> executable = gpu_jit(std::move(source), gpu_options);
    if (!executable) return executable.error();
    if (options.time_report)
        print_err(time_report(run) + time_report(times, (*executable)->program()));
    auto runnable = std::make_unique<Runnable>(std::move(*executable));
    runnable->choices = run.choices;
    return runnable;
}

}  // namespace

// Code for a GPU, a thread after the other on the processor: slow, and says what is wrong with it.
constexpr std::string_view kEmulator = "gpu-emulator";

Result<std::optional<int>> gpu_number(const Options& options) {
    constexpr std::string_view kGpu = "gpu", kNumbered = "gpu:";
    const std::string_view device = options.device;
    if (device == "cpu" || device == kEmulator) return std::optional<int>();
    if (device == kGpu) return std::optional(0);
    int number = 0;
    const std::string_view digits =
        device.starts_with(kNumbered) ? device.substr(kNumbered.size()) : std::string_view();
    const char* const end = digits.data() + digits.size();
    const auto [rest, wrong] = std::from_chars(digits.data(), end, number);
    if (!digits.empty() && wrong == std::errc() && rest == end && number >= 0)
        return std::optional(number);
    return Error{kExitUsage, fmt::format("there is no device `{}`", device), std::nullopt,
                 "cpu, gpu, gpu:N where there are several, from 0, or gpu-emulator"};
}

Status knows_precision(const Options& options) {
    if (options.matmul != Precision::tf32) return {};
    return Error{kExitUsage, "only the matrix units of a GPU multiply in tf32", std::nullopt,
                 "`--device gpu`, or --matmul=bf16, which every processor has"};
}

Status needs_cpu(const Options& options, std::string_view what) {
    const Result<std::optional<int>> gpu = gpu_number(options);
    if (!gpu) return gpu.error();
    if (!*gpu && options.device != kEmulator) return {};
    return Error{kExitUsage, fmt::format("{} runs on the CPU only", what), std::nullopt,
                 "without --device"};
}

ProgramSource make_source(const Model& model, const TrainSection* section, const Options& options,
                          CompileOptions compile_options, std::shared_ptr<PassRunner> run,
                          bool with_kernels) {
    ProgramSource source;
    // Passes that are printed or timed have to run.
    if (!with_kernels && options.print_after.empty() && !options.time_report) {
        source.key = (options.check_finite ? "check finite\n" + texts(*options.sources)
                                           : std::string("program\n")) +
                     compile_identity(model, section, compile_options);
    }
    // It outlives this call: an entry that is compiled late may ask for it.
    const SourceMap* const checked = options.check_finite ? options.sources : nullptr;
    source.make = [&model, section, compile_options = std::move(compile_options),
                   run = std::move(run), checked]() -> Result<Program> {
        Result<Program> program = compile(model, section, compile_options, *run);
        if (program && checked != nullptr) check_finite(*program, *checked);
        return program;
    };
    return source;
}

Result<std::unique_ptr<Runnable>> make_runnable(const Model& model, const TrainSection* section,
                                                const Options& options,
                                                std::vector<std::string> entries,
                                                std::int64_t batch_hint, bool log_results,
                                                bool with_kernels, bool double_precision) {
    const Result<std::optional<int>> gpu = gpu_number(options);
    if (!gpu) return gpu.error();
    if (!*gpu && options.device != kEmulator) {
        if (Status s = knows_precision(options); !s) return s.error();
    }
    CompileOptions compile_options = compile_options_of(options, std::move(entries), batch_hint);
    compile_options.log_results = log_results;
    compile_options.double_precision = double_precision;
    const auto run = std::make_shared<PassRunner>(make_pass_runner(options));
    ProgramSource source =
        make_source(model, section, options, std::move(compile_options), run, with_kernels);
    if (*gpu) return make_gpu_runnable(std::move(source), options, **gpu, *run);
    if (options.device == kEmulator) {
        Result<Program> program = source.make();
        if (!program) return program.error();
        GpuThresholds thresholds;
        thresholds.tf32 = options.matmul == Precision::tf32;
        Result<std::unique_ptr<Executable>> executable = emulate_gpu(*program, thresholds);
        if (!executable) return executable.error();
        return std::make_unique<Runnable>(std::move(*executable));
    }
    JitOptions jit_options;
    jit_options.target = cpu_target(options);
    jit_options.threads = thread_count(options);
    jit_options.cache_directory = cache_directory(options);
    if (options.profile) {
        Result<std::unique_ptr<Profile>> profile = Profile::make(std::move(source), jit_options);
        if (!profile) return profile.error();
        const Profile* kept = profile->get();
        auto runnable = std::make_unique<Runnable>(std::move(*profile));
        runnable->profile = kept;
        return runnable;
    }
    CompileTimes times;
    jit_options.times = &times;
    Result<std::unique_ptr<Executable>> executable = jit(std::move(source), jit_options);
    if (!executable) return executable.error();
    if (options.time_report)
        print_err(time_report(*run) + time_report(times, (*executable)->program()));
    auto runnable = std::make_unique<Runnable>(std::move(*executable));
    runnable->choices = run->choices;
    return runnable;
}

int finish_profile(const Options& options, const Runnable& runnable, int status) {
    if (runnable.profile == nullptr) return status;
    if (options.profile->empty() || *options.profile == "true") {  // without =FILE
        print_err(runnable.profile->table());
        return status;
    }
    const Status written = write_file_atomically(*options.profile, runnable.profile->trace());
    return written || status != kExitDone ? status : report(written.error());
}

}  // namespace netc
