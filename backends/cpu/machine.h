// The processor that code is made for: what the scheduler and the emitter want to know about it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backends/backend.h"
#include "backends/table_lookup.h"
#include "ir/result.h"

namespace llvm {
class TargetMachine;
}

namespace netc {

// What arch_prctl wants to hear before tiles are used: ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA.
inline constexpr int kRequestPermission = 0x1023;
inline constexpr int kTileData = 18;

struct Machine {
    std::string triple;
    std::string cpu;       // LLVM's name
    std::string features;  // +avx2,-avx512f: all of the host's where the target is this machine
    std::int64_t vector_bits = 256;
    std::int64_t vector_registers = 16;
    bool x86 = true;
    bool avx2 = false;      // vpermps, masks of 32 and 64 bits
    bool avx512 = false;    // mask registers
    bool bf16 = false;      // vdpbf16ps
    bool vnni = false;      // vpdpbusd
    bool amx_bf16 = false;  // tiles, and their products of bf16
    bool amx_int8 = false;  // of bytes
    TableLookup table_lookup = TableLookup::memory;
    std::int64_t l1_bytes = 32 * 1024;
    std::int64_t l2_bytes = 512 * 1024;

    // Registers that one vector of 16 values of 32 bits takes.
    std::int64_t registers_per_vector() const { return 16 * 32 / vector_bits; }
};

// Resolves "native" and checks that code can be made: a target of this LLVM with fused multiply-add.
Result<Machine> machine_for(const CpuTarget& target);

// Of LLVM. Making one takes longer than compiling a small kernel, so each thread that compiles keeps its own.
Result<std::unique_ptr<llvm::TargetMachine>> make_target_machine(const Machine& machine);

}  // namespace netc
