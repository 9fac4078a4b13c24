// See the header.
#include "backends/cpu/kernel_code.h"

#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/Support/MemoryBuffer.h>

#include "backends/cpu/emit_program.h"
#include "backends/cpu/thread_pool.h"
#include "backends/expand_functions.h"

namespace netc {
namespace {

using EntryPoint = void (*)(std::byte* const*, std::int64_t, std::int64_t, std::int64_t,
                            std::int32_t*);

class Compiled final : public KernelCode {
public:
    bool run(std::span<std::byte* const> params, std::int64_t batch, std::int64_t begin,
             std::int64_t end) const override {
        const FlushSubnormals flush;
        std::int32_t fault = 0;
        function(params.data(), batch, begin, end, &fault);
        return fault != 0;
    }
    const Kernel& kernel() const override { return code.kernels[0]; }
    const Schedule& schedule() const override { return code.schedules[0]; }
    const std::string& assembly() const override { return text; }

    ProgramCode code;
    std::string text;
    std::unique_ptr<llvm::orc::LLJIT> jit;
    EntryPoint function = nullptr;
};

Error not_loaded(llvm::Error error) {
    llvm::consumeError(std::move(error));
    return {kExitInternal, "a kernel could not be loaded"};
}

ProgramCode code_of(const Kernel& kernel, const Schedule* how, const Machine& machine,
                    std::int64_t batch_hint) {
    ProgramCode code;
    code.machine = machine;
    code.kernels = {kernel};
    expand_functions(code.kernels[0]);
    code.schedules = {how != nullptr ? *how : schedule(code.kernels[0], machine, batch_hint)};
    code.keys = {std::string(64, 'k')};
    return code;
}

}  // namespace

Result<std::unique_ptr<KernelCode>> compile_kernel(const Kernel& kernel, const Schedule* how,
                                                   const Machine& machine, std::int64_t batch_hint,
                                                   std::optional<std::int64_t> batch,
                                                   bool with_assembly) {
    auto compiled = std::make_unique<Compiled>();
    compiled->code = code_of(kernel, how, machine, batch_hint);
    if (Status status = legal(compiled->kernel(), compiled->schedule()); !status)
        return status.error();
    install_llvm_handlers();
    auto target = make_target_machine(machine);
    if (!target) return target.error();
    for (const CodeForm form : {CodeForm::assembly, CodeForm::object}) {
        if (form == CodeForm::assembly && !with_assembly) continue;
        llvm::LLVMContext context;
        const auto module = make_module(context, **target, "kernel");
        if (auto made = emit_kernel(compiled->code, 0, *module, true, batch); !made)
            return made.error();
        auto object = emit_code(*module, **target, form);
        if (!object) return object.error();
        if (form == CodeForm::assembly) {
            compiled->text = std::move(*object);
            continue;
        }
        auto jit = llvm::orc::LLJITBuilder().create();
        if (!jit) return not_loaded(jit.takeError());
        compiled->jit = std::move(*jit);
        auto process = llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
            compiled->jit->getDataLayout().getGlobalPrefix());
        if (!process) return not_loaded(process.takeError());
        compiled->jit->getMainJITDylib().addGenerator(std::move(*process));
        if (auto error =
                compiled->jit->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(*object))) {
            return not_loaded(std::move(error));
        }
        const std::string symbol = kernel_symbol(compiled->code, 0) +
                                   (batch ? "_b" + std::to_string(*batch) : std::string()) +
                                   "_array";
        auto found = compiled->jit->lookup(symbol);
        if (!found) return not_loaded(found.takeError());
        compiled->function = found->toPtr<EntryPoint>();
    }
    return std::unique_ptr<KernelCode>(std::move(compiled));
}

Result<std::size_t> count_instructions(const Kernel& kernel, const Schedule& how,
                                       const Machine& machine) {
    const ProgramCode code = code_of(kernel, &how, machine, 16);
    if (Status status = legal(code.kernels[0], how); !status) return status.error();
    install_llvm_handlers();
    auto target = make_target_machine(machine);
    if (!target) return target.error();
    llvm::LLVMContext context;
    const auto module = make_module(context, **target, "kernel");
    if (auto made = emit_kernel(code, 0, *module, true, std::nullopt); !made) return made.error();
    return module->getInstructionCount();
}

}  // namespace netc
