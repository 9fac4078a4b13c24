// Resolves a CpuTarget by asking LLVM, never by assuming.
#include "backends/cpu/machine.h"

#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

#include <algorithm>
#include <mutex>

#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/TargetParser/Host.h>

#include "backends/cpu/x86_features.h"
#include "backends/llvm.h"

namespace netc {
namespace {

void initialize_targets() {
    static std::once_flag once;
    std::call_once(once, [] {
        llvm::InitializeNativeTargetAsmParser();
        // Both that code is made for, whichever this machine is: LLVM's packages have them everywhere.
        LLVMInitializeX86TargetInfo();
        LLVMInitializeX86Target();
        LLVMInitializeX86TargetMC();
        LLVMInitializeX86AsmPrinter();
        LLVMInitializeAArch64TargetInfo();
        LLVMInitializeAArch64Target();
        LLVMInitializeAArch64TargetMC();
        LLVMInitializeAArch64AsmPrinter();
    });
}

// Whether this process may use the tiles of AMX, for which Linux wants to be asked: once, for all threads
// (Documentation/arch/x86/xstate.rst).
bool may_use_tiles() {
#if defined(__linux__) && defined(__x86_64__)
    static const bool may = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
    return may;
#else
    return false;
#endif
}

// The host's features in LLVM's notation, in a fixed order.
std::string host_features() {
    std::vector<std::string> words;
    for (const auto& feature : llvm::sys::getHostCPUFeatures()) {
        const bool tiles = feature.first().starts_with("amx-");
        const bool there = feature.second && (!tiles || may_use_tiles());
        words.push_back((there ? "+" : "-") + feature.first().str());
    }
    std::sort(words.begin(), words.end());
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
    return text;
}

std::int64_t cache_bytes(int name, std::int64_t otherwise) {
    const long bytes = sysconf(name);
    return bytes > 0 ? bytes : otherwise;
}

std::unique_ptr<llvm::TargetMachine> create(const Machine& machine) {
    initialize_targets();
    std::string ignored;
    const llvm::Target* target = llvm::TargetRegistry::lookupTarget(machine.triple, ignored);
    if (target == nullptr) return nullptr;
    llvm::TargetOptions options;
    options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
    options.MCOptions.AsmVerbose = false;
    return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
        machine.triple, machine.cpu, machine.features, options, llvm::Reloc::PIC_, std::nullopt,
        llvm::CodeGenOptLevel::Default));
}

bool has(const llvm::TargetMachine& target, const char* feature) {
    return target.getMCSubtargetInfo()->checkFeatures(feature);
}

Error no_target(const Machine& machine) {
    return {kExitUsage, "no code can be made for the target " + machine.triple, std::nullopt,
            "triples are written x86_64-linux-gnu, aarch64-linux-gnu"};
}

// LLVM warns of names that it does not know on standard error, so they are checked before it sees them.
Status check_names(const Machine& machine) {
    Machine plain = machine;
    plain.cpu.clear();
    plain.features.clear();
    const auto target = create(plain);
    if (!target) return no_target(machine);
    const llvm::MCSubtargetInfo& info = *target->getMCSubtargetInfo();
    if (!info.isCPUStringValid(machine.cpu)) {
        return Error{kExitUsage, "no processor is called " + machine.cpu};
    }
    llvm::SmallVector<llvm::StringRef, 64> words;
    llvm::StringRef(machine.features).split(words, ',', -1, false);
    for (llvm::StringRef word : words) {
        const bool has_sign = word.starts_with("+") || word.starts_with("-");
        const llvm::StringRef name = word.drop_front(has_sign ? 1 : 0);
        bool known = false;
        for (const auto& feature : info.getAllProcessorFeatures())
            known = known || name == feature.Key;
        if (!has_sign || !known) {
            return Error{kExitUsage, "no processor feature is called " + word.str(), std::nullopt,
                         "features are written +avx2,-avx512f"};
        }
    }
    return {};
}

Error does_not_go(const char* feature, const Machine& machine) {
    return {kExitUsage, "no code for " + machine.triple + " can be made with " + feature};
}

// Features that say what kind of machine it is: with others it is none that code is made for.
Status check_x86_mode(const llvm::TargetMachine& target, const Machine& machine) {
    for (const char* needed : {"+64bit", "+64bit-mode"}) {
        if (!has(target, needed))
            return does_not_go((std::string("-") + (needed + 1)).c_str(), machine);
    }
    for (const char* other : {"+32bit-mode", "+16bit-mode", "+soft-float"})
        if (has(target, other)) return does_not_go(other, machine);
    return {};
}

// Vectors of 512 bits are a feature of their own, `evex512`, which comes with a processor's name. Where a feature asks for
// AVX-512, LLVM's assembler takes it as said and its code generator does not: it has such vectors and nothing to do
// with them. So it is said.
Status complete_avx512(Machine& machine, const llvm::TargetMachine& target) {
    if (!has(target, "+avx512f")) return {};
    if (has(target, "+evex512")) {
        if (machine.features.find("evex512") == std::string::npos) machine.features += ",+evex512";
        return {};
    }
    if (has(target, "+avx512vl")) return {};
    return Error{kExitUsage, "AVX-512 without avx512vl has vectors of 512 bits only (-evex512)"};
}

// Also completes and restricts `features`: what is left is what an object can ask for.
Status resolve_x86(Machine& machine, const llvm::TargetMachine& given) {
    if (!has(given, "+fma") || !has(given, "+avx2")) {
        return Error{kExitUsage,
                     "the processor " + machine.cpu +
                         " has no fused multiply-add (AVX2 and FMA are needed)",
                     std::nullopt, "x86-64-v3 is the oldest level that netc makes code for"};
    }
    if (Status status = check_x86_mode(given, machine); !status) return status;
    if (Status status = complete_avx512(machine, given); !status) return status;
    for (const std::string& name : unasked_features(*given.getMCSubtargetInfo()))
        machine.features += ",-" + name;
    if (machine.features.starts_with(",")) machine.features.erase(0, 1);
    const auto made = create(machine);
    machine.avx2 = true;
    machine.avx512 = has(*made, "+evex512") && has(*made, "+avx512f") && has(*made, "+avx512vl") &&
                     has(*made, "+avx512dq") && has(*made, "+avx512bw");
    if (machine.avx512) machine.table_lookup = TableLookup::avx512;  // vpermt2ps
    machine.vnni = machine.avx512 && has(*made, "+avx512vnni");
    machine.bf16 = machine.avx512 && has(*made, "+avx512bf16");
    const bool tiles = machine.avx512 && has(*made, "+amx-tile");
    machine.amx_bf16 = tiles && has(*made, "+amx-bf16");
    machine.amx_int8 = tiles && has(*made, "+amx-int8");
    if (tiles) (void)may_use_tiles();  // a processor called by its name may be this one
    machine.vector_bits = machine.avx512 ? 512 : 256;
    machine.vector_registers = machine.avx512 ? 32 : 16;
    return {};
}

}  // namespace

Result<std::unique_ptr<llvm::TargetMachine>> make_target_machine(const Machine& machine) {
    auto target = create(machine);
    if (!target) return no_target(machine);
    return target;
}

Result<Machine> machine_for(const CpuTarget& target) {
    initialize_targets();
    Machine machine;
    machine.triple = target.triple.empty() ? llvm::sys::getProcessTriple() : target.triple;
    const bool native = target.cpu == "native" || target.cpu.empty();
    if (native && !target.triple.empty() &&
        llvm::Triple(target.triple).getArch() !=
            llvm::Triple(llvm::sys::getProcessTriple()).getArch()) {
        if (!create(machine)) return no_target(machine);
        return Error{kExitUsage, "the target " + target.triple + " needs a --cpu of its own",
                     std::nullopt,
                     "processors are called neoverse-n1, cortex-a72, generic; x86-64-v3"};
    }
    machine.cpu = native ? llvm::sys::getHostCPUName().str() : target.cpu;
    machine.features = target.features;
    if (native) {
        if (Status status = check_names(machine); !status) return status.error();
        // What LLVM lists of the host is known to it, or to nobody.
        machine.features = host_features() + (target.features.empty() ? "" : "," + target.features);
    }
    if (!native) {
        if (Status status = check_names(machine); !status) return status.error();
    }
    const auto made = create(machine);
    if (!made) return no_target(machine);
    const llvm::Triple triple(machine.triple);
    machine.x86 = triple.getArch() == llvm::Triple::x86_64;
    if (machine.x86) {
        if (Status status = resolve_x86(machine, *made); !status) return status.error();
    } else if (triple.getArch() == llvm::Triple::aarch64) {
        if (!has(*made, "+neon")) return does_not_go("-neon", machine);
        machine.vector_bits = 128;
        machine.vector_registers = 32;
    } else {
        return Error{kExitUsage, "code for " + triple.getArchName().str() + " is not made yet",
                     std::nullopt, "there is code for x86_64 and aarch64"};
    }
    if (native) {
        machine.l1_bytes = cache_bytes(_SC_LEVEL1_DCACHE_SIZE, machine.l1_bytes);
        machine.l2_bytes = cache_bytes(_SC_LEVEL2_CACHE_SIZE, machine.l2_bytes);
    }
    return machine;
}

}  // namespace netc
