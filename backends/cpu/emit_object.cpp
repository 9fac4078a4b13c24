// emit_object: a program as an object file with its C header. Kernels and entries are the same objects that the
// JIT links, from the cache or compiled side by side; with one more for the public functions they are put
// together into one, in which only the public functions are global. With the object in the cache nothing of
// this runs.

#include <algorithm>
#include <set>

#include "backends/backend.h"
#include "backends/c_header.h"
#include "backends/cpu/compile_jobs.h"
#include "backends/cpu/merge_objects.h"
#include "backends/cpu/object_functions.h"
#include "backends/cpu/stopwatch.h"
#include "ir/program_archive.h"

namespace netc {
namespace {

// All that the files depend on. Texts for people are not kept.
std::string object_key(const ProgramSource& source, const Machine& machine,
                       const ObjectOptions& o) {
    if (source.key.empty() || o.assembly || o.llvm_ir) return {};
    return code_key({"object", source.key, machine.triple, machine.cpu, machine.features,
                     o.target.triple, o.target.cpu, o.target.features, o.prefix, o.source_name,
                     o.doc, o.train ? "train" : "", std::to_string(o.seed),
                     std::to_string(o.steps_per_epoch)});
}

bool load(const CodeCache& cache, const std::string& key, ObjectFiles& files) {
    const auto bytes = key.empty() ? std::nullopt : cache.load(key);
    if (!bytes) return false;
    ArchiveReader reader(*bytes);
    reader(files.object, files.header, files.program);
    return reader.ok() && reader.at_end();
}

void save(const CodeCache& cache, const std::string& key, const ObjectFiles& files) {
    if (key.empty()) return;
    ArchiveWriter writer;
    writer(files.object, files.header, files.program);
    cache.save(key, writer.bytes);
    cache.trim();
}

Result<std::string> make_object(const ProgramCode& code, const std::vector<std::string>& entries,
                                const ObjectOptions& options, const CodeCache& cache,
                                CompileTimes& times) {
    const Program& program = *code.program;
    const ProgramPlan plan = plan_program(code);
    std::vector<CodeJob> jobs;
    std::set<std::string> known;
    for (const std::string& name : entries) {
        const Entry* entry = program.find(name);
        if (entry == nullptr) return Error{kExitInternal, "the program has no entry " + name};
        add_jobs(program, plan, static_cast<std::size_t>(entry - program.entries.data()), known,
                 jobs);
    }
    // The public functions last; they are of this program alone.
    jobs.emplace_back().emit = [&](const ProgramCode& of, llvm::Module& module) -> Status {
        for (const std::string& name : entries) declare_entry(name, module);
        add_object_functions(module, of, options);
        return {};
    };
    load_objects(cache, jobs);
    times.objects = jobs.size();
    times.cached = static_cast<std::size_t>(
        std::ranges::count_if(jobs, [](const CodeJob& job) { return !job.object.empty(); }));
    if (Status status = compile_objects(code, cache, options.threads, jobs, times); !status)
        return status.error();
    const Stopwatch watch(times.link);
    std::vector<std::string_view> objects;
    for (const CodeJob& job : jobs) objects.push_back(job.object);
    return merge_objects(objects, options.prefix + "_");
}

// Assembly and LLVM IR show all in one module. Code generation changes it, so each text has its own.
Status make_texts(const ProgramCode& code, const std::vector<std::string>& entries,
                  const ObjectOptions& options, ObjectFiles& files) {
    auto target = make_target_machine(code.machine);
    if (!target) return target.error();
    for (const bool assembly : {false, true}) {
        if (!(assembly ? options.assembly : options.llvm_ir)) continue;
        llvm::LLVMContext context;
        auto module = emit_program(context, **target, code, entries);
        if (!module) return module.error();
        add_object_functions(**module, code, options);
        if (!assembly) {
            files.llvm_ir = module_text(**module, **target);
            continue;
        }
        Result<std::string> text = emit_code(**module, **target, CodeForm::assembly);
        if (!text) return text.error();
        files.assembly = std::move(*text);
    }
    return {};
}

}  // namespace

Result<ObjectFiles> emit_object(const ProgramSource& source, const ObjectOptions& options) {
    Result<Machine> machine = machine_for(options.target);
    if (!machine) return machine.error();
    if (!llvm::Triple(machine->triple).isOSBinFormatELF()) {
        return Error{kExitUsage, "objects for " + machine->triple + " are not made: ELF only"};
    }
    const CodeCache cache(options.cache_directory);
    const std::string key = object_key(source, *machine, options);
    ObjectFiles files;
    if (load(cache, key, files)) return files;

    Result<Program> program = source.make();
    if (!program) return program.error();
    files.program = std::move(*program);
    install_llvm_handlers();
    CompileTimes unasked;
    CompileTimes& times = options.times != nullptr ? *options.times : unasked;
    const ProgramCode code = [&] {
        const Stopwatch watch(times.schedules);
        return plan_code(files.program, *machine);
    }();
    std::vector<std::string> entries{"init", "prepare", "forward"};
    if (options.train) entries.insert(entries.end(), {"gradient", "train_step"});
    Result<std::string> object = make_object(code, entries, options, cache, times);
    if (!object) return object.error();
    files.object = std::move(*object);
    if (Status status = make_texts(code, entries, options, files); !status) return status.error();
    files.header = c_header(files.program, options, code.uses_tiles());
    save(cache, key, files);
    return files;
}

}  // namespace netc
