// What most verbs begin with: a checked file, the model or section that is meant, a compiled program.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backends/backend.h"
#include "cli/options.h"
#include "cli/profile.h"
#include "frontend/frontend.h"
#include "ir/network.h"
#include "ir/program.h"
#include "passes/pass_runner.h"
#include "passes/pipeline.h"
#include "runtime/data/dataset.h"
#include "runtime/files/safetensors.h"
#include "runtime/train/session.h"

namespace netc {

struct Workbench {
    SourceMap sources;
    Diagnostics diagnostics;
    CheckedFile file;
};

// Checks options.file; prints diagnostics to standard error (with --json to standard output). An Error
// of status kExitProgram needs no further message.
Result<std::unique_ptr<Workbench>> open_workbench(Options& options, bool open_dimensions = false);

// The model or section that NAME, --section and what the file holds decide. Where several are possible:
// status 2 with the list.
Result<const Model*> find_model(const Workbench& bench, const std::string& name);
// NAME may also be a train section: then its model, and the section becomes options.section. Without NAME, the model
// of --section.
Result<const Model*> find_model_of(const Workbench& bench, Options& options);
Result<const TrainSection*> find_section(const Workbench& bench, const Options& options);
// A section of this model if there is exactly one, or the one --section names; null without any.
Result<const TrainSection*> section_of(const Workbench& bench, const Model& model,
                                       const Options& options);

// What the verbs on one model begin with.
struct Opened {
    std::unique_ptr<Workbench> bench;
    const Model* model = nullptr;
    const TrainSection* section = nullptr;  // see section_of
};
Result<Opened> open_model(Options& options);

// A program that runs on this machine.
struct Runnable {
    explicit Runnable(std::unique_ptr<Executable> made) : executable(std::move(made)) {}
    std::unique_ptr<Executable> executable;
    const Program& program = executable->program();
    const Profile* profile = nullptr;  // the executable itself, with --profile
    std::string choices;               // of the passes, where they ran: for --report
};
// At the end of a verb that ended with `status`: with --profile the table, or the file; the exit status.
int finish_profile(const Options& options, const Runnable& runnable, int status);
// The program comes without kernels from the cache unless `with_kernels`.
Result<std::unique_ptr<Runnable>>
make_runnable(const Model& model, const TrainSection* section, const Options& options,
              std::vector<std::string> entries, std::int64_t batch_hint, bool log_results = false,
              bool with_kernels = false, bool double_precision = false);
Result<Program> make_program(const Model& model, const TrainSection* section,
                             const Options& options, std::vector<std::string> entries,
                             std::int64_t batch_hint, bool log_results = false,
                             std::vector<std::string> gradient_inputs = {});
// Whether `compile` writes an object for a GPU.
bool is_for_gpu(const Options& options);
// What the options say of compiling.
CompileOptions compile_options_of(const Options& options, std::vector<std::string> entries,
                                  std::int64_t batch_hint);

// The same, made when it is asked for and named for the cache; no name where the passes have to run. Keeps the model,
// the section, `run`, and with --check-finite the sources.
ProgramSource make_source(const Model& model, const TrainSection* section, const Options& options,
                          CompileOptions compile_options, std::shared_ptr<PassRunner> run,
                          bool with_kernels);

// The GPU that --device names; none for the CPU. Error (status 2): no such device.
Result<std::optional<int>> gpu_number(const Options& options);
// Error (status 2) where --device is another: `what` does not run there.
// Whether the CPU has the arithmetic that --matmul asks for.
Status knows_precision(const Options& options);
Status needs_cpu(const Options& options, std::string_view what);

PassRunner make_pass_runner(const Options& options);
CpuTarget cpu_target(const Options& options);
int thread_count(const Options& options);
// Where compiled code is kept; empty when it is off or there is no place.
std::string cache_directory(const Options& options);

// What the data must supply for an entry: shape and dtype of each input, ranges of labels.
std::vector<FieldRequest> field_requests(const Entry& entry, const Model& model);
// The folder data paths start from.
std::string data_root(const Options& options);

// A weights file, or the best (else last) of a run directory.
Result<std::string> resolve_weights(const std::string& path);
// Settings, dims and section that the weights were trained with become defaults of `options`.
Result<Safetensors> read_weights(const std::string& path, Options& options);

// Of netc.ranges in the metadata of weights: {"linear_1": [least, greatest], ...}. What is no such text is no range.
std::string ranges_to_json(const std::vector<ValueRange>& ranges);
std::vector<ValueRange> ranges_from_json(const std::string& text);

// Prints an error as the terminal shows it; the exit status.
int report(const Error& error);

}  // namespace netc
