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

#include "backends/gpu/gpu_thresholds.h"
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

    // Where the region of a buffer begins. Kernels write no input: the verifier of programs sees to that.
    std::byte* region(const BufferRef& buffer) const {
        switch (buffer.region) {
            case RegionKind::weights: return weights;
            case RegionKind::prepared: return prepared;
            case RegionKind::optimizer: return optimizer;
            case RegionKind::workspace: return workspace;
            case RegionKind::hyper: return hyper;
            case RegionKind::input: return const_cast<std::byte*>(inputs[buffer.number]);
            case RegionKind::output: return outputs[buffer.number];
        }
        return nullptr;
    }
};

// A compiled entry: weights, prepared, optimizer, workspace, hyper, inputs, outputs, batch. What it gives is not 0
// where an index among the data was out of range.
using EntryFunction = std::int32_t (*)(std::byte*, std::byte*, std::byte*, std::byte*, std::byte*,
                                       const std::byte* const*, std::byte* const*, std::int64_t);

// A loaded program. Calls are reentrant; one call uses up to `threads` threads.
//
// On a device with memory of its own (a GPU) the weights, prepared weights, optimizer's state and hyper of CallMemory
// are copies of the host's: the device keeps its own from call to call, of one such memory only, and the caller says
// when the host's have changed and asks for the device's. On the CPU calls work on the caller's memory.
class Executable {
public:
    virtual ~Executable() = default;
    // Runs an entry. An Error has status 4 (a bad index among the data: says which).
    virtual Status run(std::string_view entry, const CallMemory& memory, std::int64_t batch) = 0;
    // As run(), but may return before the outputs are there: they are after wait(), which gives the errors of running,
    // unless a later start was waited for. The inputs may be changed at once; the outputs' memory must stay until the wait.
    virtual Status start(std::string_view entry, const CallMemory& memory, std::int64_t batch) {
        return run(entry, memory, batch);
    }
    Status wait() { return wait(0); }
    // Until no more than so many starts are under way. Outputs are those of the last that ended.
    virtual Status wait(std::size_t /*may_run*/) { return {}; }
    // Whether the device has memory of its own. Then the caller needs no workspace.
    virtual bool has_own_memory() const { return false; }
    // The caller's bytes of this region (weights, prepared, optimizer, hyper) are newer than the device's now: the next
    // call that works on it takes them, all of the region. At first they are.
    virtual void host_changed(RegionKind) {}
    // Copies bytes of a region of the device as calls left them, the workspace's too; where the host's are newer it
    // copies nothing. An Error has status 4.
    virtual Status fetch(RegionKind, std::byte* /*to*/, std::int64_t /*offset*/,
                         std::int64_t /*size*/) {
        return {};
    }
    // Where running this entry, which ran before at this batch, is one call and no more: the function, for small
    // networks whose steps take less time than looking it up. Null elsewhere.
    virtual EntryFunction direct(std::string_view, std::int64_t) const { return nullptr; }
    // Entries, places and sizes; without kernels where the code came from the cache.
    virtual const Program& program() const = 0;
};

struct CpuTarget {
    std::string triple;    // empty: this machine's
    std::string cpu;       // "native" or a name of LLVM's
    std::string features;  // +avx2,-avx512f
};

// Seconds that LLVM took: for making its IR, for its passes, for instructions and the object.
struct CodePhases {
    double emission = 0, optimization = 0, code = 0;
    double sum() const { return emission + optimization + code; }
};

// Where compiling to machine code spent its time, for --time-report; all in seconds.
struct CompileTimes {
    double schedules = 0;  // choosing them
    double compiling = 0;  // on all threads side by side, by the clock
    CodePhases phases;     // of all threads together
    double link = 0;       // into memory
    int threads = 1;
    std::size_t objects = 0, cached = 0;  // all of them; those that the cache had
    struct Kernel {
        std::uint32_t number = 0;  // index into Program::kernels
        CodePhases phases;
    };
    std::vector<Kernel> kernels;  // compiled ones, the slowest first
};

struct JitOptions {
    CpuTarget target{.triple = "", .cpu = "native", .features = ""};
    int threads = 1;
    std::string cache_directory;       // empty: no cache
    std::vector<std::string> entries;  // empty: all
    // Of these, compiled when they first run: training need not wait for them.
    std::vector<std::string> deferred{"evaluate"};
    CompileTimes* times = nullptr;  // filled in while the program is loaded
};

struct GpuOptions {
    int device = 0;                    // the driver's number
    std::string target;                // sm_80, sm_90, sm_90a; empty: what the device has
    bool tf32 = false;                 // see GpuThresholds
    std::string cache_directory;       // empty: no cache
    std::vector<std::string> entries;  // empty: all
    std::vector<std::string> deferred{"evaluate"};  // of these, as JitOptions has it
    std::string driver;                             // the driver's library; empty: the system's
    CompileTimes* times = nullptr;                  // filled in while the program is loaded
};

struct ObjectOptions {
    CpuTarget target{.triple = "", .cpu = "native", .features = ""};
    std::string prefix;       // lenet5
    std::string source_name;  // lenet5.net, for the header
    std::string doc;          // the model's documentation comment, for the header
    std::string gpu;          // of emit_gpu_object: sm_80, sm_90, sm_90a
    bool train = true;
    std::uint64_t seed = 0;            // of random layers, where the caller gives none
    std::int64_t steps_per_epoch = 0;  // that training stored with the weights; 0: nobody knows
    bool assembly = false, llvm_ir = false;  // also wanted as text
    int threads = 0;                         // that compile; 0: all cores. The bits stay the same
    std::string cache_directory;             // empty: no cache
    CompileTimes* times = nullptr;           // filled in
};
struct ObjectFiles {
    std::string object, header, assembly, llvm_ir;
    std::string ptx;  // of emit_gpu_object
    Program program;  // without kernels where the cache had the object
};

// The reference: runs kernels in double precision, element by element.
Result<std::unique_ptr<Executable>> interpret(const Program& program);
// Code for a GPU on an emulator of its threads, for tests: slow, and strict about races.
Result<std::unique_ptr<Executable>> emulate_gpu(const Program& program,
                                                const GpuThresholds& thresholds = {});
// A program that need not be made where the cache has its code. `key` names all that `make` depends on; an
// empty one keeps nothing. `make` gives the same program each time.
struct ProgramSource {
    std::string key;
    std::function<Result<Program>()> make;
};

// Machine code for this machine.
Result<std::unique_ptr<Executable>> jit(ProgramSource source, const JitOptions& options);
Result<std::unique_ptr<Executable>> jit(const Program& program, const JitOptions& options);
// Code for an NVIDIA GPU of this machine. Errors have status 4: no driver, too old, no such GPU, no memory; 2: the
// GPU does not run code for the target; 70: no code could be made.
Result<std::unique_ptr<Executable>> gpu_jit(ProgramSource source, const GpuOptions& options);
Result<ObjectFiles> emit_object(const ProgramSource& source, const ObjectOptions& options);
// An object for this machine that runs the program on an NVIDIA GPU; `options.target` does not matter. Errors: no such
// GPU target (status 2), a tensor that is too large even for a batch of 1 (status 4), no code can be made (status 70).
Result<ObjectFiles> emit_gpu_object(const ProgramSource& source, const ObjectOptions& options);

// What the scheduler chose for a kernel, why, and what keeps it from the peak of this machine.
struct KernelReport {
    std::string schedule;  // on one line
    std::string why;       // against what else it could have been
    double cycles = 0;     // that the cost model predicts for a call on one core, at the batch hint
    double flop_per_cycle = 0;  // the peak of one core that the model assumes
    // Each goes on from the kernel's name: "uses 3 of 16 lanes: ..."
    std::vector<std::string> notes;
};

// One for each kernel of the program. Error: a target for which no code can be made (status 2).
Result<std::vector<KernelReport>> report_kernels(const Program& program, const CpuTarget& target);

// The schedules chosen, as text; LLVM IR or assembly of one entry.
enum class CodeStage : std::uint8_t { schedule, llvm, assembly };
Result<std::string> print_code(const Program& program, std::string_view entry, CodeStage stage,
                               const CpuTarget& target);

}  // namespace netc
