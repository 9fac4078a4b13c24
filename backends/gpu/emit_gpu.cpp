// See gpu_code.h and emit_gpu.h.
#include "backends/gpu/emit_gpu.h"

#include <algorithm>

#include <fmt/format.h>

#include "backends/cpu/emit_program.h"
#include "backends/expand_functions.h"
#include "backends/gpu/row_emitter.h"
#include "backends/gpu/split_reduction.h"
#include "backends/gpu/team_emitter.h"
#include "backends/gpu/tile_emitter.h"

namespace netc {
namespace {

Result<std::unique_ptr<llvm::TargetMachine>> nvptx_machine(const GpuTarget& target) {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
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

Result<GpuKernel> emit_gpu_kernel(const Kernel& kernel, const std::string& name,
                                  std::int64_t batch_hint, DeviceOps& ops, llvm::Module& module,
                                  const GpuThresholds& thresholds) {
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

Result<GpuCode> emit_gpu_code(const Program& program, const std::vector<std::string>& entries,
                              const GpuTarget& target) {
    install_llvm_handlers();
    auto machine = nvptx_machine(target);
    if (!machine) return machine.error();
    llvm::LLVMContext context;
    llvm::Module module("netc", context);
    module.setTargetTriple((*machine)->getTargetTriple().str());
    module.setDataLayout((*machine)->createDataLayout());
    GpuCode code;
    code.kernels.resize(program.kernels.size());
    const auto ops = make_nvptx_ops();
    GpuThresholds thresholds;
    thresholds.tf32 = target.tf32;
    for (const Entry& entry : program.entries) {
        if (!entries.empty() && std::ranges::find(entries, entry.name) == entries.end()) continue;
        for (const Call& call : entry.calls) {
            if (!code.kernels[call.kernel].launches.empty()) continue;
            Kernel kernel = program.kernels[call.kernel];
            expand_functions(kernel);
            auto made = emit_gpu_kernel(kernel, fmt::format("netc_kernel_{}", call.kernel),
                                        program.batch_hint, *ops, module, thresholds);
            if (!made) return made.error();
            code.kernels[call.kernel] = std::move(*made);
        }
    }
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
    code.ptx.assign(bytes.data(), bytes.size());
    return code;
}

}  // namespace netc
