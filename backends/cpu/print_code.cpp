// Schedules, LLVM IR and assembly of an entry, as text.
#include <fmt/format.h>

#include "backends/backend.h"
#include "backends/cpu/emit_program.h"

namespace netc {

Result<std::string> print_code(const Program& program, std::string_view entry_name, CodeStage stage,
                               const CpuTarget& target) {
    auto machine = machine_for(target);
    if (!machine) return machine.error();
    const ProgramCode code = plan_code(program, *machine);
    const Entry* entry = program.find(entry_name);
    if (entry == nullptr) {
        return Error{kExitUsage, fmt::format("the program has no entry {}", entry_name)};
    }
    if (stage == CodeStage::schedule) {
        std::string text;
        for (const Call& call : entry->calls) {
            text += fmt::format("{} (kernel {})\n{}", call.label, call.kernel,
                                to_text(code.kernels[call.kernel], code.schedules[call.kernel]));
        }
        return text;
    }
    llvm::LLVMContext context;
    install_llvm_handlers();
    auto target_machine = make_target_machine(*machine);
    if (!target_machine) return target_machine.error();
    auto module = emit_program(context, **target_machine, code, {std::string(entry_name)});
    if (!module) return module.error();
    llvm::Function* function = (*module)->getFunction(entry_symbol(entry_name));
    function->setLinkage(llvm::Function::ExternalLinkage);
    if (stage == CodeStage::llvm) return module_text(**module, **target_machine);
    return emit_code(**module, **target_machine, CodeForm::assembly);
}

}  // namespace netc
