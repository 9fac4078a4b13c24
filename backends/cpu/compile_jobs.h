// Objects for the JIT, each from the cache or compiled, on all cores.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backends/cpu/code_cache.h"
#include "backends/cpu/emit_program.h"

namespace netc {

// One object to make: a kernel, or an entry.
struct CodeJob {
    std::string key;
    std::uint32_t number = 0;  // index into Program::kernels or Program::entries
    bool is_entry = false;
    double work = 0;     // of a call: what is heavy compiles long
    std::string object;  // the result; empty until it is there
};

// Fills in what the cache has; whether nothing is left to compile.
bool load_objects(const CodeCache& cache, std::vector<CodeJob>& jobs);

// Compiles what load_objects left; adds to `times`.
Status compile_objects(const ProgramCode& code, const CodeCache& cache, std::vector<CodeJob>& jobs,
                       CompileTimes& times);

}  // namespace netc
