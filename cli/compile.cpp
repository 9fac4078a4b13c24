// netc compile: an object file, its header and what else --emit names, all with one stem.

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/kernel_report.h"
#include "cli/terminal.h"
#include "cli/time_report.h"
#include "cli/verbs.h"
#include "cli/workbench.h"
#include "ir/slots.h"
#include "passes/initialize.h"
#include "runtime/files/files.h"

namespace netc {
namespace {

std::string lower_case(std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

bool is_identifier(const std::string& text) {
    if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0]))) return false;
    for (const char c : text) {
        if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_') return false;
    }
    return true;
}

bool wants_file(const Options& options, const char* kind) {
    if (options.emit.empty()) {
        const std::string_view name = kind;
        return name == "obj" || name == "header" || (name == "ptx" && is_for_gpu(options));
    }
    for (const std::string& name : options.emit) {
        if (name == kind) return true;
    }
    return false;
}

// The weights region as it lies in memory, see program.h: what the emitted functions take.
Result<std::string> region_image(const Program& program, const std::string& path,
                                 const Safetensors& weights) {
    std::string image(static_cast<std::size_t>(program.weights_size), '\0');
    const auto size = static_cast<std::uint64_t>(program.weights_size);
    std::memcpy(image.data(), &program.model_hash, 8);
    std::memcpy(image.data() + 8, &size, 8);
    for (const VariablePlace& place : program.weights) {
        const Safetensors::Tensor* tensor = weights.find(place.name);
        if (tensor == nullptr || tensor->dtype != place.dtype || tensor->shape != place.dims) {
            return Error{
                kExitData,
                fmt::format(
                    "{}: these are weights of another model: `{}` is missing or has another shape",
                    path, place.name)};
        }
        const auto bytes = weights.data(*tensor);
        std::memcpy(image.data() + place.offset, bytes.data(), bytes.size());
    }
    return image;
}

// A path as make reads one.
std::string make_path(std::string_view path) {
    std::string text;
    for (const char c : path) {
        if (c == ' ' || c == '#') text += '\\';
        if (c == '$') text += '$';
        text += c;
    }
    return text;
}

std::string depfile(const std::string& object, const Workbench& bench) {
    std::string text = make_path(object) + ":";
    for (std::uint32_t file = 0; file < bench.sources.size(); ++file) {
        const std::string_view path = bench.sources.path(file);
        if (path == kLibraryPath) continue;
        text += " " + make_path(path);
    }
    return text + "\n";
}

bool is_source(const Workbench& bench, const std::string& path) {
    for (std::uint32_t file = 0; file < bench.sources.size(); ++file) {
        std::error_code not_there;
        if (std::filesystem::equivalent(path, bench.sources.path(file), not_there)) return true;
    }
    return false;
}

// What --target=nvptx64 does not go with, and --gpu without it.
Status check_target(const Options& options) {
    if (!is_for_gpu(options)) {
        if (options.gpu.empty() && !wants_file(options, "ptx")) return {};
        return Error{kExitUsage, "--gpu and --emit=ptx go with --target=nvptx64"};
    }
    const auto refuse = [](const char* option) {
        return Error{kExitUsage, fmt::format("--target=nvptx64 does not go with {}", option)};
    };
    if (options.cpu != "native" || !options.features.empty()) return refuse("--cpu and --features");
    if (options.report) return refuse("--report, which measures the CPU");
    if (options.check_finite) return refuse("--check-finite, which objects for a CPU have");
    for (const char* text : {"asm", "llvm"}) {
        if (wants_file(options, text)) return refuse("--emit=asm,llvm: it has ptx");
    }
    return {};
}

// All files are made before the first is written.
Status write_files(const Options& options, const Workbench& bench, ObjectFiles& files,
                   const Safetensors* weights) {
    const std::string stem = options.output.substr(0, options.output.size() - 2);
    struct Output {
        std::string path, text;
    };
    std::vector<Output> outputs;
    const auto add = [&](const char* ending, std::string text) {
        outputs.push_back({stem + ending, std::move(text)});
    };
    if (wants_file(options, "obj")) add(".o", std::move(files.object));
    if (wants_file(options, "header")) add(".h", std::move(files.header));
    if (wants_file(options, "ptx")) add(".ptx", std::move(files.ptx));
    if (wants_file(options, "asm")) add(".s", std::move(files.assembly));
    if (wants_file(options, "llvm")) add(".ll", std::move(files.llvm_ir));
    if (weights != nullptr) {
        Result<std::string> image = region_image(files.program, options.weights, *weights);
        if (!image) return image.error();
        add(".weights", std::move(*image));
    }
    if (options.depfile) add(".d", depfile(options.output, bench));
    // A program may have any name, also one of these.
    for (const Output& output : outputs) {
        if (is_source(bench, output.path))
            return Error{kExitUsage,
                         fmt::format("-o: {} is the program or a part of it", output.path)};
    }
    for (const Output& output : outputs) {
        if (Status s = write_file_atomically(output.path, output.text); !s) return s;
    }
    return {};
}

// Of the training that made the weights; 0 where it is not known.
std::int64_t steps_per_epoch_of(const std::optional<Safetensors>& weights) {
    if (!weights) return 0;
    const auto stored = weights->metadata.find(kStepsPerEpochKey);
    if (stored == weights->metadata.end()) return 0;
    return std::max(std::strtoll(stored->second.c_str(), nullptr, 10), 0ll);
}

// E0614, which only a call can tell: the caller may say the number.
void note_schedule(const Program& program, const ObjectOptions& options) {
    if (!options.train || options.steps_per_epoch != 0 || steps_per_epoch_slot(program) == nullptr)
        return;
    print_err(fmt::format(
        "note: the schedule is in epochs, and an object does not know the number of steps in one: "
        "`{}_train_step` wants it in `steps_per_epoch`, or the object --weights of a run (E0614)\n",
        options.prefix));
}

// What the object's `init` does not give as `netc train` would begin.
void note_initial_values(const Module& module, bool has_weights) {
    std::vector<std::string> learned;
    for (const Variable& variable : module.variables) {
        if (variable.learned) learned.push_back(fmt::format("`{}`", variable.name));
        if (!object_leaves_zero(variable)) continue;
        print_err(
            fmt::format("note: the object's `init` leaves `{}` at 0: it reads no file and has "
                        "little memory; take its values from --emit=weights\n",
                        variable.name));
    }
    if (learned.empty() || has_weights) return;
    print_err(fmt::format("note: training data say what {} {}, and the object's `init` reads none; "
                          "take the values from --emit=weights\n",
                          fmt::join(learned, ", "), learned.size() == 1 ? "is" : "are"));
}

}  // namespace

int verb_compile(Options options) {
    if (Status s = check_target(options); !s) return report(s.error());
    if (!options.output.ends_with(".o")) {
        return report({kExitUsage, fmt::format("-o wants NAME.o, found `{}`", options.output)});
    }
    if (options.train.empty()) options.train = "all";
    if (options.train != "no" && options.train != "all") {
        return report(
            {kExitUsage,
             "--train takes no or all; training a part of the weights waits for a later version"});
    }
    std::optional<Safetensors> weights;
    if (!options.weights.empty()) {
        if (!wants_file(options, "weights")) {
            return report({kExitUsage, "--weights goes with --emit=obj,header,weights, which "
                                       "writes them beside the object"});
        }
        Result<Safetensors> read = read_weights(options.weights, options);
        if (!read) return report(read.error());
        weights = std::move(*read);
    } else if (wants_file(options, "weights")) {
        return report({kExitUsage, "--emit=weights needs --weights FILE"});
    }
    Result<Opened> opened = open_model(options);
    if (!opened) return report(opened.error());
    const auto& [bench, model, section] = *opened;
    bool train = section != nullptr && options.train == "all";
    if (train && trains_on_all_data(*section)) {
        train = false;
        print_err(fmt::format("note: `{}` trains over all of its data at once, so the object holds "
                              "the network without a training step\n",
                              section->name));
    }
    const std::string prefix = options.prefix.empty() ? lower_case(model->name) : options.prefix;
    if (!is_identifier(prefix)) {
        return report(
            {kExitUsage, fmt::format("--prefix wants a C identifier, found `{}`", prefix)});
    }

    std::vector<std::string> entries{"init", "prepare", "forward"};
    if (train) entries.insert(entries.end(), {"gradient", "train_step"});
    const std::int64_t batch = options.batch.value_or(train ? section->batch : 1);
    CompileOptions compile_options = compile_options_of(options, std::move(entries), batch);
    compile_options.for_object = true;
    const auto run = std::make_shared<PassRunner>(make_pass_runner(options));
    ProgramSource source =
        make_source(*model, section, options, std::move(compile_options), run, options.report);
    if (options.report) {
        Result<Program> program = source.make();
        if (!program) return report(program.error());
        const auto kernels = report_kernels(*program, cpu_target(options));
        if (!kernels) return report(kernels.error());
        print_err(run->choices + report_text(*program, *kernels, bench->sources));
        source.make = [made = std::move(*program)]() -> Result<Program> { return made; };
    }
    ObjectOptions object_options;
    const bool for_gpu = is_for_gpu(options);
    if (!for_gpu) object_options.target = cpu_target(options);
    object_options.gpu = options.gpu;
    object_options.prefix = prefix;
    object_options.source_name = options.file.substr(options.file.rfind('/') + 1);
    object_options.doc = model->doc;
    object_options.train = train;
    object_options.seed = train ? section->seed : 0;
    object_options.steps_per_epoch = steps_per_epoch_of(weights);
    object_options.assembly = wants_file(options, "asm");
    object_options.llvm_ir = wants_file(options, "llvm");
    object_options.threads = thread_count(options);
    object_options.cache_directory = cache_directory(options);
    CompileTimes times;
    object_options.times = &times;
    Result<ObjectFiles> files =
        for_gpu ? emit_gpu_object(source, object_options) : emit_object(source, object_options);
    if (!files) return report(files.error());
    if (options.time_report) print_err(time_report(*run) + time_report(times, files->program));

    const Safetensors* stored = weights ? &*weights : nullptr;
    if (Status written = write_files(options, *bench, *files, stored); !written)
        return report(written.error());
    note_schedule(files->program, object_options);
    note_initial_values(section != nullptr ? section->module : model->module, stored != nullptr);
    if (options.cpu == "native" && options.target.empty()) {
        print_err("note: compiled for this machine's processor; `--cpu=x86-64-v3` runs on most "
                  "since 2015\n");
    }
    return kExitDone;
}

}  // namespace netc
