// The JIT: objects of kernels and entries, from the cache or compiled in parallel, linked in memory and run
// on one or several threads. With everything in the cache neither passes nor the scheduler run.
#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include <fmt/format.h>

#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/Support/MemoryBuffer.h>

#include "backends/backend.h"
#include "backends/cpu/arithmetic.h"
#include "backends/cpu/compile_jobs.h"
#include "backends/cpu/program_plan.h"
#include "backends/cpu/stopwatch.h"
#include "backends/cpu/thread_pool.h"
#include "ir/program_archive.h"

namespace netc {
namespace {

// Below this many operations, some microseconds, a kernel runs on one thread: sharing it costs a few tenths of
// one when the others are awake, and what they then have to fetch from its cache.
constexpr double kParallelWork = 100e3;

using KernelFunction = void (*)(std::byte* const*, std::int64_t, std::int64_t, std::int64_t,
                                std::int32_t*);

Error failed(llvm::Error error) {
    llvm::consumeError(std::move(error));
    return {kExitInternal, "the compiled program could not be loaded", std::nullopt,
            "this is a bug in netc, please report it with the program"};
}

class CpuExecutable final : public Executable {
public:
    CpuExecutable(ProgramSource source, Machine machine, const JitOptions& options)
        : source_(std::move(source)), machine_(std::move(machine)), cache_(options.cache_directory),
          threads_(options.threads), times_(options.times) {}

    Status load(const JitOptions& options);
    Status run(std::string_view entry, const CallMemory& memory, std::int64_t batch) override;
    EntryFunction direct(std::string_view entry, std::int64_t batch) const override;
    const Program& program() const override { return program_; }

private:
    struct EntryCode {
        const Entry* entry = nullptr;
        const EntryPlan* plan = nullptr;
        std::atomic<EntryFunction> function{nullptr};  // null until compiled
    };

    // Call by call: tiny programs are one call, as walking them with a pool would cost more than their work.
    bool walks_calls(const EntryCode& code, std::int64_t batch) const {
        return (pool_ || code.plan->ranks) && !(code.plan->small && batch <= program_.batch_hint);
    }
    std::string program_key() const;
    bool read_program();
    void write_program() const;
    Status make_program();
    Status start_jit();
    Status compile(const std::vector<EntryCode*>& entries);
    Status add_objects(std::vector<CodeJob>& jobs);
    Status run_calls_here(const Entry& entry, const CallMemory& memory, std::int64_t batch,
                          bool& fault);

    ProgramSource source_;
    Machine machine_;
    CodeCache cache_;
    int threads_;
    CompileTimes* times_;  // of the caller, until `load` returns
    Program program_;      // without kernels where the cache had it
    ProgramPlan plan_;
    // Kernels and schedules, made when something has to be compiled.
    std::optional<Program> made_;
    std::optional<ProgramCode> code_;
    std::unique_ptr<llvm::orc::LLJIT> jit_;
    std::map<std::string, EntryCode, std::less<>> entries_;
    std::set<std::string> objects_;        // keys of the kernels that the JIT has
    std::vector<KernelFunction> kernels_;  // by number; null where the JIT does not have it
    std::unique_ptr<ThreadPool> pool_;
    std::mutex running_;  // the pool serves one call at a time, and nothing is added during it
};

std::string CpuExecutable::program_key() const {
    return code_key({"program", source_.key, machine_.triple, machine_.cpu, machine_.features});
}

bool CpuExecutable::read_program() {
    if (source_.key.empty()) return false;
    const auto bytes = cache_.load(program_key());
    if (!bytes) return false;
    ArchiveReader reader(*bytes);
    reader(program_, plan_);
    return reader.ok() && reader.at_end();
}

void CpuExecutable::write_program() const {
    if (source_.key.empty()) return;
    ArchiveWriter writer;
    writer(program_, plan_);
    cache_.save(program_key(), writer.bytes);
}

// Passes and schedules. They give the same program every time, so numbers of kernels and keys agree with
// those that the cache had.
Status CpuExecutable::make_program() {
    Result<Program> program = source_.make();
    if (!program) return program.error();
    made_ = std::move(*program);
    CompileTimes unasked;
    const Stopwatch watch((times_ != nullptr ? *times_ : unasked).schedules);
    code_ = plan_code(*made_, machine_);
    return {};
}

Status CpuExecutable::start_jit() {
    install_llvm_handlers();
    auto made = llvm::orc::LLJITBuilder().create();
    if (!made) return failed(made.takeError());
    jit_ = std::move(*made);
    auto process = llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
        jit_->getDataLayout().getGlobalPrefix());
    if (!process) return failed(process.takeError());
    jit_->getMainJITDylib().addGenerator(std::move(*process));
    return {};
}

Status CpuExecutable::load(const JitOptions& options) {
    if (!read_program()) {
        if (Status status = make_program(); !status) return status;
        program_ = *made_;
        plan_ = plan_program(*code_);
        write_program();
    }
    const auto contains = [](const std::vector<std::string>& names, const std::string& name) {
        return std::find(names.begin(), names.end(), name) != names.end();
    };
    std::vector<EntryCode*> first;
    for (std::size_t e = 0; e < program_.entries.size(); ++e) {
        const Entry& entry = program_.entries[e];
        if (!options.entries.empty() && !contains(options.entries, entry.name)) continue;
        EntryCode& code = entries_[entry.name];
        code.entry = &entry;
        code.plan = &plan_.entries[e];
        if (!contains(options.deferred, entry.name)) first.push_back(&code);
    }
    kernels_.resize(plan_.kernels.size());
    if (Status status = start_jit(); !status) return status;
    if (Status status = compile(first); !status) return status;
    times_ = nullptr;
    if (threads_ > 1) pool_ = std::make_unique<ThreadPool>(threads_);
    return {};
}

// The kernels that the JIT does not have yet and the entries themselves, then their addresses.
Status CpuExecutable::compile(const std::vector<EntryCode*>& entries) {
    std::vector<CodeJob> jobs;
    for (const EntryCode* code : entries) {
        const auto number = static_cast<std::size_t>(code->plan - plan_.entries.data());
        add_jobs(program_, plan_, number, objects_, jobs);
    }
    CompileTimes unasked;
    CompileTimes& times = times_ != nullptr ? *times_ : unasked;
    const bool complete = load_objects(cache_, jobs);
    times.objects += jobs.size();
    times.cached += static_cast<std::size_t>(
        std::ranges::count_if(jobs, [](const CodeJob& job) { return !job.object.empty(); }));
    if (!complete) {
        if (!code_) {
            if (Status status = make_program(); !status) return status;
        }
        if (Status status = compile_objects(*code_, cache_, 0, jobs, times); !status) return status;
    }
    const Stopwatch watch(times.link);
    if (Status status = add_objects(jobs); !status) return status;
    for (EntryCode* code : entries) {
        auto symbol = jit_->lookup(entry_symbol(code->entry->name));
        if (!symbol) return failed(symbol.takeError());
        for (const Call& call : code->entry->calls) {
            if ((threads_ <= 1 && !code->plan->ranks) || kernels_[call.kernel] != nullptr) continue;
            auto kernel = jit_->lookup(kernel_symbol(plan_.kernels[call.kernel].key) + "_array");
            if (!kernel) return failed(kernel.takeError());
            kernels_[call.kernel] = kernel->toPtr<KernelFunction>();
        }
        code->function = symbol->toPtr<EntryFunction>();
    }
    return {};
}

Status CpuExecutable::add_objects(std::vector<CodeJob>& jobs) {
    for (CodeJob& job : jobs) {
        auto buffer = llvm::MemoryBuffer::getMemBufferCopy(job.object, job.key);
        if (auto error = jit_->addObjectFile(std::move(buffer))) return failed(std::move(error));
        job.object.clear();
    }
    return {};
}

// Call by call: shared among threads, or sorted.
Status CpuExecutable::run_calls_here(const Entry& entry, const CallMemory& memory,
                                     std::int64_t batch, bool& fault) {
    const std::lock_guard lock(running_);
    const FlushSubnormals flush;
    std::int32_t flag = 0;
    std::vector<std::byte*> pointers;
    const auto run_call = [&](const Call& call, const std::vector<std::int64_t>& steps) -> Status {
        pointers.clear();
        for (const BufferRef& buffer : call.arguments)
            pointers.push_back(memory.region(buffer) + buffer.offset_at(batch, steps));
        const KernelFunction function = kernels_[call.kernel];
        const KernelPlan& plan = plan_.kernels[call.kernel];
        if (plan.ranking.is_one && run_ranking(plan.ranking, pointers, batch)) return {};
        const std::int64_t chunks = plan.chunks.count(batch);
        if (!pool_ || chunks < 2 || plan.work(batch) < kParallelWork) {
            function(pointers.data(), batch, 0, kUnbounded, &flag);
            return {};
        }
        std::atomic<bool> raised{false};
        pool_->run(chunks, [&](std::int64_t from, std::int64_t to) {
            std::int32_t own = 0;
            function(pointers.data(), batch, from, to, &own);
            if (own != 0) raised = true;
        });
        if (raised) flag = 1;
        return {};
    };
    const Status status = run_calls(entry, run_call);
    fault = flag != 0;
    return status;
}

Status CpuExecutable::run(std::string_view name, const CallMemory& memory, std::int64_t batch) {
    const auto found = entries_.find(name);
    if (found == entries_.end()) {
        return Error{kExitInternal, fmt::format("the entry {} was not compiled", name)};
    }
    EntryCode& code = found->second;
    if (code.function == nullptr) {
        const std::lock_guard lock(running_);
        if (code.function == nullptr) {
            if (Status status = compile({&code}); !status) return status;
        }
    }
    if (Status status = check_batch(*code.entry, batch); !status) return status;
    bool fault = false;
    if (walks_calls(code, batch)) {
        if (Status status = run_calls_here(*code.entry, memory, batch, fault); !status)
            return status;
    } else {
        fault = code.function.load()(memory.weights, memory.prepared, memory.optimizer,
                                     memory.workspace, memory.hyper, memory.inputs.data(),
                                     memory.outputs.data(), batch) != 0;
    }
    if (fault) return index_out_of_range(name);
    return {};
}

EntryFunction CpuExecutable::direct(std::string_view name, std::int64_t batch) const {
    const auto found = entries_.find(name);
    if (found == entries_.end() || walks_calls(found->second, batch)) return nullptr;
    return found->second.function.load();
}

}  // namespace

Result<std::unique_ptr<Executable>> jit(ProgramSource source, const JitOptions& options) {
    auto machine = machine_for(options.target);
    if (!machine) return machine.error();
    auto executable =
        std::make_unique<CpuExecutable>(std::move(source), std::move(*machine), options);
    if (Status status = executable->load(options); !status) return status.error();
    return std::unique_ptr<Executable>(std::move(executable));
}

Result<std::unique_ptr<Executable>> jit(const Program& program, const JitOptions& options) {
    return jit({.key = {}, .make = [program]() -> Result<Program> { return program; }}, options);
}

}  // namespace netc
