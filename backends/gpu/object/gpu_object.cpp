// emit_gpu_object: PTX, a table of what to launch, and the public functions, put together with the runtime that netc
// carries into one object for this machine, in which only the public functions are global. With the object in the
// cache nothing of this runs.
#include <array>

#include <fmt/format.h>

#include "backends/backend.h"
#include "backends/cpu/code_cache.h"
#include "backends/cpu/emit_program.h"
#include "backends/cpu/merge_objects.h"
#include "backends/cpu/stopwatch.h"
#include "backends/gpu/object/gpu_functions.h"
#include "backends/gpu/object/gpu_header.h"
#include "backends/gpu/object/object_open_code.h"
#include "backends/gpu/object/object_run_code.h"
#include "backends/gpu/object/program_table.h"
#include "ir/program_archive.h"

namespace netc {
namespace {

Result<GpuTarget> target_named(const std::string& name) {
    for (const GpuTarget& each :
         {GpuTarget{80, false}, GpuTarget{90, false}, GpuTarget{90, true}}) {
        if (name.empty() || each.name() == name) return each;
    }
    return Error{kExitUsage, fmt::format("there is no GPU target `{}`", name), std::nullopt,
                 "sm_80, sm_90, sm_90a"};
}

// The functions are compiled for any processor of this machine's kind.
Result<Machine> host_machine() {
    Result<Machine> native = machine_for({.triple = "", .cpu = "native", .features = ""});
    if (!native) return native;
    if (!llvm::Triple(native->triple).isOSBinFormatELF())
        return Error{kExitUsage, "objects for " + native->triple + " are not made: ELF only"};
    Machine machine;
    machine.triple = native->triple;
    machine.x86 = native->x86;
    machine.cpu = native->x86 ? "x86-64" : "generic";
    return machine;
}

std::string object_key(const ProgramSource& source, const Machine& machine, const GpuTarget& target,
                       const ObjectOptions& o) {
    if (source.key.empty()) return {};
    return code_key({"gpu object", source.key, machine.triple, target.name(), o.prefix,
                     o.source_name, o.doc, o.train ? "train" : "", std::to_string(o.seed),
                     std::to_string(o.steps_per_epoch)});
}

bool load(const CodeCache& cache, const std::string& key, ObjectFiles& files) {
    const auto bytes = key.empty() ? std::nullopt : cache.load(key);
    if (!bytes) return false;
    ArchiveReader reader(*bytes);
    reader(files.object, files.header, files.ptx, files.program);
    return reader.ok() && reader.at_end();
}

void save(const CodeCache& cache, const std::string& key, const ObjectFiles& files) {
    if (key.empty()) return;
    ArchiveWriter writer;
    writer(files.object, files.header, files.ptx, files.program);
    cache.save(key, writer.bytes);
    cache.trim();
}

Result<std::string> make_object(const ObjectFiles& files, const std::string& table,
                                const Machine& machine, const ObjectOptions& options) {
    auto target = make_target_machine(machine);
    if (!target) return target.error();
    llvm::LLVMContext context;
    const auto module = make_module(context, **target, "gpu_object");
    add_gpu_functions(*module, files.program, table, files.ptx, options);
    const Result<std::string> functions = emit_code(*module, **target, CodeForm::object);
    if (!functions) return functions.error();
    const std::array<std::string_view, 3> objects{*functions, kObjectOpen, kObjectRun};
    return merge_objects(objects, options.prefix + "_");
}

}  // namespace

Result<ObjectFiles> emit_gpu_object(const ProgramSource& source, const ObjectOptions& options) {
    const Result<GpuTarget> target = target_named(options.gpu);
    if (!target) return target.error();
    const Result<Machine> machine = host_machine();
    if (!machine) return machine.error();
    const CodeCache cache(options.cache_directory);
    const std::string key = object_key(source, *machine, *target, options);
    ObjectFiles files;
    if (load(cache, key, files)) return files;

    Result<Program> program = source.make();
    if (!program) return program.error();
    files.program = std::move(*program);
    install_llvm_handlers();
    CompileTimes unasked;
    CompileTimes& times = options.times != nullptr ? *options.times : unasked;
    std::vector<std::string> entries{"init", "prepare", "forward"};
    if (options.train) entries.insert(entries.end(), {"gradient", "train_step"});
    times.objects = 1;
    {
        const Stopwatch watch(times.compiling);
        Result<GpuCode> code = emit_gpu_code(files.program, entries, *target);
        if (!code) return code.error();
        for (const std::string& name : entries) {
            const Entry* entry = files.program.find(name);
            if (entry == nullptr) return Error{kExitInternal, "the program has no entry " + name};
            if (largest_batch(files.program, *entry, *code) > 0) continue;
            return Error{kExitRun, fmt::format("{}: a tensor is too large for a GPU", name),
                         std::nullopt, "at most 2^31 - 1 elements are possible"};
        }
        files.ptx = std::move(code->ptx);
        const std::string table = program_table(files.program, *code, *target, options);
        Result<std::string> object = make_object(files, table, *machine, options);
        if (!object) return object.error();
        files.object = std::move(*object);
    }
    files.header = gpu_header(files.program, *target, options);
    save(cache, key, files);
    return files;
}

}  // namespace netc
