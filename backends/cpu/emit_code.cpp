// LLVM modules to machine code: a short pipeline, since what is emitted is already scheduled.
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>

#include <llvm/IR/LegacyPassManager.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/CommandLine.h>

#include "backends/cpu/emit_program.h"
#include "backends/cpu/stopwatch.h"

namespace netc {
namespace {

// What LLVM reports about a module; nothing of it is printed.
struct Diagnostics {
    bool failed = false;
};

void on_diagnostic(const llvm::DiagnosticInfo* info, void* context) {
    if (info->getSeverity() == llvm::DS_Error) static_cast<Diagnostics*>(context)->failed = true;
}

void on_fatal_error(void*, const char*, bool) {
    constexpr char kMessage[] = "netc: internal error: the code generator failed. This is a bug in "
                                "netc, please report it.\n";
    const ssize_t ignored = write(STDERR_FILENO, kMessage, std::strlen(kMessage));
    (void)ignored;
    _exit(kExitInternal);
}

void on_no_memory(void*, const char*, bool) {
    constexpr char kMessage[] = "error: there is not enough memory to compile\n";
    const ssize_t ignored = write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
    (void)ignored;
    _exit(kExitRun);
}

Error code_failed() {
    return {kExitInternal, "the code generator refused a module", std::nullopt,
            "this is a bug in netc, please report it with the program"};
}

void optimize(llvm::Module& module, llvm::TargetMachine& target) {
    llvm::LoopAnalysisManager loops;
    llvm::FunctionAnalysisManager functions;
    llvm::CGSCCAnalysisManager components;
    llvm::ModuleAnalysisManager modules;
    llvm::PassBuilder builder(&target);
    builder.registerModuleAnalyses(modules);
    builder.registerCGSCCAnalyses(components);
    builder.registerFunctionAnalyses(functions);
    builder.registerLoopAnalyses(loops);
    builder.crossRegisterProxies(loops, functions, components, modules);
    llvm::ModulePassManager passes;
    // Kernels of small programs are put into the function that calls them, see emit_program.cpp.
    const bool inlines = std::ranges::any_of(module, [](const llvm::Function& function) {
        return function.hasFnAttribute(llvm::Attribute::AlwaysInline);
    });
    const char* const pipeline =
        inlines ? "always-inline,globaldce,function(early-cse,simplifycfg,early-cse<memssa>,dse)"
                : "function(early-cse)";
    if (auto error = builder.parsePassPipeline(passes, pipeline)) {
        llvm::consumeError(std::move(error));
        return;
    }
    passes.run(module, modules);
}

}  // namespace

void install_llvm_handlers() {
    static std::once_flag once;
    std::call_once(once, [] {
        llvm::install_fatal_error_handler(on_fatal_error);
        llvm::install_bad_alloc_error_handler(on_no_memory);
        // Addresses and order are chosen when the code is emitted: these two take a quarter of the time of
        // compiling and gain nothing that can be measured. LLVM has no other switch for them.
        const char* const words[] = {"netc", "-disable-lsr", "-post-RA-scheduler=0"};
        llvm::cl::ParseCommandLineOptions(3, words, "", &llvm::nulls());
    });
}

NoMemoryEnds::NoMemoryEnds()
    : before_(std::set_new_handler([] { on_no_memory(nullptr, nullptr, false); })) {}
NoMemoryEnds::~NoMemoryEnds() { std::set_new_handler(before_); }

Result<std::string> emit_code(llvm::Module& module, llvm::TargetMachine& target, CodeForm form,
                              CodePhases* phases) {
    CodePhases unasked;
    CodePhases& times = phases != nullptr ? *phases : unasked;
    Diagnostics diagnostics;
    module.getContext().setDiagnosticHandlerCallBack(on_diagnostic, &diagnostics);
#ifndef NDEBUG
    if (llvm::verifyModule(module)) return code_failed();
#endif
    {
        const Stopwatch watch(times.optimization);
        optimize(module, target);
    }
    const Stopwatch watch(times.code);
    llvm::SmallVector<char, 0> bytes;
    llvm::raw_svector_ostream stream(bytes);
    llvm::legacy::PassManager passes;
    const auto type = form == CodeForm::object ? llvm::CodeGenFileType::ObjectFile
                                               : llvm::CodeGenFileType::AssemblyFile;
    if (target.addPassesToEmitFile(passes, stream, nullptr, type)) return code_failed();
    passes.run(module);
    module.getContext().setDiagnosticHandlerCallBack(nullptr, nullptr);
    if (diagnostics.failed) return code_failed();
    return std::string(bytes.data(), bytes.size());
}

std::string module_text(llvm::Module& module, llvm::TargetMachine& target) {
    optimize(module, target);
    std::string text;
    llvm::raw_string_ostream stream(text);
    module.print(stream, nullptr);
    return text;
}

}  // namespace netc
