// See gpu_code.h and emit_gpu.h.
#include "backends/gpu/emit_gpu.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>

#include <fmt/format.h>

#include <llvm/IR/LegacyPassManager.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/TargetSelect.h>

#include "backends/cpu/emit_program.h"
#include "backends/expand_functions.h"
#include "backends/gpu/row_emitter.h"
#include "backends/gpu/split_reduction.h"
#include "backends/gpu/team_emitter.h"
#include "backends/gpu/tile_emitter.h"

namespace netc {
namespace {

void initialize_nvptx() {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
}

Result<std::unique_ptr<llvm::TargetMachine>> nvptx_machine(const GpuTarget& target) {
    const std::string triple = "nvptx64-nvidia-cuda";
    std::string message;
    const llvm::Target* found = llvm::TargetRegistry::lookupTarget(triple, message);
    if (found == nullptr) return Error{kExitInternal, "this LLVM makes no code for NVIDIA's GPUs"};
    llvm::TargetOptions options;
    options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
    return std::unique_ptr<llvm::TargetMachine>(
        found->createTargetMachine(triple, target.name(), "+ptx80", options, std::nullopt,
                                   std::nullopt, llvm::CodeGenOptLevel::Default));
}

Result<GpuLaunch> emit_launch(const Kernel& kernel, const std::string& name,
                              std::int64_t batch_hint, DeviceOps& ops, llvm::Module& module,
                              const GpuThresholds& thresholds) {
    if (const auto tiles = tile_schedule(kernel, batch_hint, thresholds))
        return TileEmitter(kernel, *tiles, batch_hint, ops, module).emit(name);
    const TeamSchedule how = team_schedule(kernel, batch_hint, thresholds);
    if (how.row_places > 0) return RowEmitter(kernel, how, batch_hint, ops, module).emit(name);
    return TeamEmitter(kernel, how, batch_hint, ops, module).emit(name);
}

}  // namespace

Result<GpuKernel> emit_gpu_kernel(const Kernel& original, const std::string& name,
                                  std::int64_t batch_hint, DeviceOps& ops, llvm::Module& module,
                                  const GpuThresholds& thresholds) {
    Kernel kernel = original;
    take_terms_forward(kernel, thresholds);
    GpuKernel made;
    std::vector<std::pair<const Kernel*, std::string>> steps;
    const auto split = split_reduction(kernel, batch_hint, thresholds);
    if (split) {
        made.scratch = split->scratch;
        steps = {{&split->parts, name + "_parts"}, {&split->whole, name}};
    } else {
        steps = {{&kernel, name}};
    }
    for (const auto& [step, symbol] : steps) {
        auto launch = emit_launch(*step, symbol, batch_hint, ops, module, thresholds);
        if (!launch) return launch.error();
        made.launches.push_back(std::move(*launch));
    }
    return made;
}

void optimize_gpu_module(llvm::Module& module, llvm::TargetMachine& target) {
    llvm::LoopAnalysisManager loops;
    llvm::FunctionAnalysisManager functions;
    llvm::CGSCCAnalysisManager components;
    llvm::ModuleAnalysisManager modules;
    llvm::PipelineTuningOptions tuning;
    tuning.LoopVectorization = false;
    tuning.SLPVectorization = false;
    llvm::PassBuilder builder(&target, tuning);
    builder.registerModuleAnalyses(modules);
    builder.registerCGSCCAnalyses(components);
    builder.registerFunctionAnalyses(functions);
    builder.registerLoopAnalyses(loops);
    builder.crossRegisterProxies(loops, functions, components, modules);
    builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, modules);
}

namespace {

// Kernels of a module: some make a thread's work worth its start.
constexpr std::size_t kKernelsOfPart = 8;

// Kernels that are compiled together: a module of their own, on any thread.
struct Part {
    std::vector<std::uint32_t> numbers;
    std::vector<GpuKernel> kernels;
    std::string ptx;
    Status status;
};

// Names of what kernels share in a module, which is beside others in one text.
void name_after_part(llvm::Module& module, std::size_t part) {
    const auto rename = [&](llvm::GlobalValue& value) {
        value.setName(value.getName() + "_part" + llvm::Twine(part));
    };
    for (llvm::GlobalVariable& variable : module.globals()) rename(variable);
    for (llvm::Function& function : module.functions()) {
        const bool kernel = function.getCallingConv() == llvm::CallingConv::PTX_Kernel;
        if (!kernel && !function.isDeclaration()) rename(function);
    }
}

// LLVM numbers calls in comments, with one counter for all threads: that is not to be seen in the text.
void drop_call_numbers(std::string& ptx) {
    constexpr std::string_view kNumber = " // callseq";
    for (std::size_t at = 0; (at = ptx.find(kNumber, at)) != ptx.npos;)
        ptx.erase(at, ptx.find('\n', at) - at);
}

Status compile_part(const Program& program, const GpuTarget& target, std::size_t number,
                    Part& part) {
    auto machine = nvptx_machine(target);
    if (!machine) return machine.error();
    llvm::LLVMContext context;
    llvm::Module module("netc", context);
    module.setTargetTriple((*machine)->getTargetTriple().str());
    module.setDataLayout((*machine)->createDataLayout());
    const auto ops = make_nvptx_ops();
    GpuThresholds thresholds;
    thresholds.tf32 = target.tf32;
    thresholds.warpgroups = thresholds.tensor_copies = target.sm == 90 && target.arch;
    for (const std::uint32_t which : part.numbers) {
        Kernel kernel = program.kernels[which];
        expand_functions(kernel);
        auto made = emit_gpu_kernel(kernel, fmt::format("netc_kernel_{}", which),
                                    program.batch_hint, *ops, module, thresholds);
        if (!made) return made.error();
        part.kernels.push_back(std::move(*made));
    }
    name_after_part(module, number);
#ifndef NDEBUG
    if (llvm::verifyModule(module, &llvm::errs()))
        return Error{kExitInternal, "the code for the GPU is not valid"};
#endif
    optimize_gpu_module(module, **machine);
    llvm::SmallVector<char, 0> bytes;
    llvm::raw_svector_ostream stream(bytes);
    llvm::legacy::PassManager passes;
    if ((*machine)->addPassesToEmitFile(passes, stream, nullptr,
                                        llvm::CodeGenFileType::AssemblyFile))
        return Error{kExitInternal, "the code generator refused a module"};
    passes.run(module);
    part.ptx.assign(bytes.data(), bytes.size());
    drop_call_numbers(part.ptx);
    return {};
}

// All parts, on all cores.
void compile_parts(const Program& program, const GpuTarget& target, std::vector<Part>& parts) {
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
        for (std::size_t k = next++; k < parts.size(); k = next++)
            parts[k].status = compile_part(program, target, k, parts[k]);
    };
    std::vector<std::thread> others;
    const std::size_t most = std::thread::hardware_concurrency();
    try {
        while (others.size() + 1 < std::min(parts.size(), most)) others.emplace_back(work);
    } catch (const std::system_error&) {  // no more are granted: these do the work
    }
    work();
    for (std::thread& thread : others) thread.join();
}

}  // namespace

Result<GpuCode> emit_gpu_code(const Program& program, const std::vector<std::string>& entries,
                              const GpuTarget& target) {
    install_llvm_handlers();
    initialize_nvptx();
    std::vector<Part> parts;
    std::vector<bool> known(program.kernels.size());
    for (const Entry& entry : program.entries) {
        if (!entries.empty() && std::ranges::find(entries, entry.name) == entries.end()) continue;
        for (const Call& call : entry.calls) {
            if (known[call.kernel]) continue;
            known[call.kernel] = true;
            if (parts.empty() || parts.back().numbers.size() == kKernelsOfPart)
                parts.emplace_back();
            parts.back().numbers.push_back(call.kernel);
        }
    }
    if (parts.empty()) parts.emplace_back();  // a text without kernels
    compile_parts(program, target, parts);
    GpuCode code;
    code.kernels.resize(program.kernels.size());
    for (Part& part : parts) {
        if (!part.status) return part.status.error();
        for (std::size_t k = 0; k < part.numbers.size(); ++k)
            code.kernels[part.numbers[k]] = std::move(part.kernels[k]);
        // One text has one head.
        constexpr std::string_view kEndOfHead = ".address_size 64\n";
        const std::size_t head = part.ptx.find(kEndOfHead);
        if (head == std::string::npos) return Error{kExitInternal, "code of an unknown form"};
        code.ptx += code.ptx.empty() ? part.ptx : part.ptx.substr(head + kEndOfHead.size());
    }
    return code;
}

}  // namespace netc
