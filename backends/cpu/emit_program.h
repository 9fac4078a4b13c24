// Programs to LLVM modules: all kernels of a program, and one function for each entry.
//
//     void NAME(ptr params..., i64 B, i64 begin, i64 end, ptr fault)                       a kernel
//     i32 NAME(ptr weights, ptr prepared, ptr optimizer, ptr workspace, ptr hyper,         an entry
//              ptr inputs, ptr outputs, i64 B)            arrays of pointers; gives the fault flag
//
// An entry runs its calls in order, flushing subnormals meanwhile. The same functions serve the JIT and object
// files: each kernel and each entry is an object of its own, see compile_jobs.h.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backends/backend.h"
#include "backends/cpu/machine.h"
#include "backends/cpu/schedule.h"
#include "backends/llvm.h"
#include "ir/program.h"

namespace netc {

// What code is made from: functions expanded, schedules chosen.
struct ProgramCode {
    const Program* program = nullptr;
    Machine machine;
    std::vector<Kernel> kernels;
    std::vector<Schedule> schedules;
    std::vector<std::string> keys;  // identity of each kernel's code, as hexadecimal digits

    // Tiles of AMX, for which Linux wants to be asked.
    bool uses_tiles() const {
        return std::ranges::any_of(schedules, [](const Schedule& schedule) {
            return std::ranges::any_of(schedule.stages, [](const StageSchedule& how) {
                return how.matrix_rows.has_value();
            });
        });
    }
};

ProgramCode plan_code(const Program& program, const Machine& machine);

// Whether the entry is so small that it also gets a copy of its kernels for exactly the batch hint.
bool is_small(const ProgramCode& code, const Entry& entry);

std::string kernel_symbol(const std::string& key);
std::string kernel_symbol(const ProgramCode& code, std::uint32_t kernel);
std::string entry_symbol(std::string_view entry);

std::unique_ptr<llvm::Module>
make_module(llvm::LLVMContext& context, const llvm::TargetMachine& target, const std::string& name);

// Defines one kernel in the module; external where `exported`. Code for exactly `batch`, if given.
Result<llvm::Function*> emit_kernel(const ProgramCode& code, std::uint32_t kernel,
                                    llvm::Module& module, bool exported,
                                    std::optional<std::int64_t> batch = std::nullopt);

// Defines the function of an entry, internal unless `exported`; kernels that the module does not define are
// declared.
Result<llvm::Function*> emit_entry(const ProgramCode& code, const Entry& entry,
                                   llvm::Module& module, bool exported);
// Declares it, where another module defines it.
llvm::Function* declare_entry(std::string_view entry, llvm::Module& module);

// All of it in one module, everything internal: what is shown as text. The caller may add public functions, which
// call entry_symbol(name).
Result<std::unique_ptr<llvm::Module>> emit_program(llvm::LLVMContext& context,
                                                   const llvm::TargetMachine& target,
                                                   const ProgramCode& code,
                                                   const std::vector<std::string>& entries);

// The short pipeline, then machine code. Bytes of an object file, or assembly text.
enum class CodeForm : std::uint8_t { object, assembly };
Result<std::string> emit_code(llvm::Module& module, llvm::TargetMachine& target, CodeForm form,
                              CodePhases* phases = nullptr);

// Text of a module after the short pipeline.
std::string module_text(llvm::Module& module, llvm::TargetMachine& target);

// While one exists, memory that runs out ends the process with status 4: LLVM cannot go on, nor unwind.
class NoMemoryEnds {
public:
    NoMemoryEnds();
    ~NoMemoryEnds();
    NoMemoryEnds(const NoMemoryEnds&) = delete;

private:
    std::new_handler before_;
};

// Fatal errors of LLVM end the process with status 70 and a message of ours.
void install_llvm_handlers();

}  // namespace netc
