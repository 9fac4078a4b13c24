// What every backend offers to the layers above: compile a Program to something that runs, or to a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/program.h"
#include "ir/result.h"

namespace netc {

// Memory of one call. All but inputs and outputs are aligned to kAlignment.
struct CallMemory {
    std::byte* weights = nullptr;
    std::byte* prepared = nullptr;
    std::byte* optimizer = nullptr;
    std::byte* workspace = nullptr;
    std::byte* hyper = nullptr;
    std::span<const std::byte* const> inputs;
    std::span<std::byte* const> outputs;
};

// A loaded program. Calls are reentrant; one call uses up to `threads` threads.
class Executable {
public:
    virtual ~Executable() = default;
    // Runs an entry. An Error has status 4 (a bad index among the data: says which).
    virtual Status run(std::string_view entry, const CallMemory& memory, std::int64_t batch) = 0;
    // Entries, places and sizes; without kernels where the code came from the cache.
    virtual const Program& program() const = 0;
};

struct CpuTarget {
    std::string triple;    // empty: this machine's
    std::string cpu;       // "native" or a name of LLVM's
    std::string features;  // +avx2,-avx512f
};

struct JitOptions {
    CpuTarget target{.triple = "", .cpu = "native", .features = ""};
    int threads = 1;
    std::string cache_directory;       // empty: no cache
    std::vector<std::string> entries;  // empty: all
    // Of these, compiled when they first run: training need not wait for them.
    std::vector<std::string> deferred{"evaluate"};
};

struct ObjectOptions {
    CpuTarget target{.triple = "", .cpu = "native", .features = ""};
    std::string prefix;       // lenet5
    std::string source_name;  // lenet5.net, for the header
    std::string doc;          // the model's documentation comment, for the header
    bool train = true;
    std::uint64_t seed = 0;                  // of random layers, where the caller gives none
    bool assembly = false, llvm_ir = false;  // also wanted as text
};
struct ObjectFiles {
    std::string object, header, assembly, llvm_ir;
};

// The reference: runs kernels in double precision, element by element.
Result<std::unique_ptr<Executable>> interpret(const Program& program);
// A program that need not be made where the cache has its code. `key` names all that `make` depends on; an
// empty one keeps nothing. `make` gives the same program each time.
struct ProgramSource {
    std::string key;
    std::function<Result<Program>()> make;
};

// Machine code for this machine.
Result<std::unique_ptr<Executable>> jit(ProgramSource source, const JitOptions& options);
Result<std::unique_ptr<Executable>> jit(const Program& program, const JitOptions& options);
Result<ObjectFiles> emit_object(const Program& program, const ObjectOptions& options);

// The schedules chosen, as text; LLVM IR or assembly of one entry.
enum class CodeStage : std::uint8_t { schedule, llvm, assembly };
Result<std::string> print_code(const Program& program, std::string_view entry, CodeStage stage,
                               const CpuTarget& target);

}  // namespace netc
