// Objects of kernels and entries, each from the cache or compiled, on several cores: what the JIT links and what
// object files are put together from.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backends/cpu/code_cache.h"
#include "backends/cpu/emit_program.h"
#include "backends/cpu/program_plan.h"

namespace netc {

// One object to make.
struct CodeJob {
    std::string key;  // of the object in the cache; empty: it is not kept
    std::function<Status(const ProgramCode&, llvm::Module&)> emit;
    std::optional<std::uint32_t> kernel;  // index into Program::kernels, where it is one
    double work = 0;                      // of a call: what is heavy compiles long
    std::string object;                   // the result; empty until it is there
};

// An entry, and before it those of its kernels that are not yet among the `known` keys.
void add_jobs(const Program& program, const ProgramPlan& plan, std::size_t entry,
              std::set<std::string>& known, std::vector<CodeJob>& jobs);

// Fills in what the cache has; whether nothing is left to compile.
bool load_objects(const CodeCache& cache, std::vector<CodeJob>& jobs);

// Compiles what load_objects left on this many threads, 0: all cores; adds to `times`.
Status compile_objects(const ProgramCode& code, const CodeCache& cache, int threads,
                       std::vector<CodeJob>& jobs, CompileTimes& times);

}  // namespace netc
