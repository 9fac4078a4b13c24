// emit_object: a program as an object file with its C header. One module holds all kernels, the entries,
// and the public functions; only the latter are global.

#include "backends/backend.h"
#include "backends/c_header.h"
#include "backends/cpu/emit_program.h"
#include "backends/cpu/object_functions.h"
#include "backends/cpu/stopwatch.h"

namespace netc {

Result<ObjectFiles> emit_object(const Program& program, const ObjectOptions& options) {
    Result<Machine> machine = machine_for(options.target);
    if (!machine) return machine.error();
    install_llvm_handlers();
    auto target = make_target_machine(*machine);
    if (!target) return target.error();
    CompileTimes unasked;
    CompileTimes& times = options.times != nullptr ? *options.times : unasked;
    const ProgramCode code = [&] {
        const Stopwatch watch(times.schedules);
        return plan_code(program, *machine);
    }();
    std::vector<std::string> entries{"init", "prepare", "forward"};
    if (options.train) entries.insert(entries.end(), {"gradient", "train_step"});

    // Assembly and object each consume a module: code generation changes it.
    ObjectFiles files;
    auto emit = [&](CodeForm form) -> Result<std::string> {
        const Stopwatch watch(times.compiling);
        llvm::LLVMContext context;
        auto module = [&] {
            const Stopwatch watch(times.phases.emission);
            auto made = emit_program(context, **target, code, entries);
            if (made) add_object_functions(**made, code, options);
            return made;
        }();
        if (!module) return module.error();
        if (form == CodeForm::object && options.llvm_ir) {
            files.llvm_ir = module_text(**module, **target);
        }
        return emit_code(**module, **target, form, &times.phases);
    };
    times.objects = 1;
    Result<std::string> object = emit(CodeForm::object);
    if (!object) return object.error();
    files.object = std::move(*object);
    if (options.assembly) {
        Result<std::string> assembly = emit(CodeForm::assembly);
        if (!assembly) return assembly.error();
        files.assembly = std::move(*assembly);
    }
    files.header = c_header(program, options);
    return files;
}

}  // namespace netc
