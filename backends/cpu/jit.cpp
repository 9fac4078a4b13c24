// The JIT: objects of kernels and entries, from the cache or compiled in parallel, linked in memory and run
// on one or several threads.
#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "backends/backend.h"
#include "backends/cpu/arithmetic.h"
#include "backends/cpu/code_cache.h"
#include "backends/cpu/emit_program.h"
#include "backends/cpu/thread_pool.h"

namespace netc {
namespace {

// Below this many operations a kernel runs on one thread: waking others costs more.
constexpr double kParallelWork = 300e3;

using EntryFunction = std::int32_t (*)(std::byte*, std::byte*, std::byte*, std::byte*, std::byte*,
                                       const std::byte* const*, std::byte* const*, std::int64_t);

using KernelFunction = void (*)(std::byte* const*, std::int64_t, std::int64_t, std::int64_t,
                                std::int32_t*);

// One object to make: a kernel (entry is null) or an entry.
struct CodeJob {
    std::uint32_t kernel = 0;
    const Entry* entry = nullptr;
    std::string key;
    std::string object;
    std::optional<Error> error;
};

void run_job(const ProgramCode& code, const CodeCache& cache, CodeJob& job) {
    if (auto known = cache.load(job.key)) {
        job.object = std::move(*known);
        return;
    }
    llvm::LLVMContext context;
    const auto module = make_module(context, code.machine, "netc");
    const auto made = job.entry != nullptr ? emit_entry(code, *job.entry, *module, true)
                                           : emit_kernel(code, job.kernel, *module, true);
    if (!made) {
        job.error = made.error();
        return;
    }
    auto object = emit_code(*module, code.machine, CodeForm::object);
    if (!object) {
        job.error = object.error();
        return;
    }
    job.object = std::move(*object);
    cache.save(job.key, job.object);
}

std::string describe(const ProgramCode& code, const Entry& entry) {
    std::string text = fmt::format("entry {} hint {}\n", entry.name, code.program->batch_hint);
    for (const Call& call : entry.calls) {
        text += code.keys[call.kernel];
        for (const BufferRef& buffer : call.arguments) {
            text +=
                fmt::format(" {}:{}:{}+{}+{}", static_cast<int>(buffer.region), buffer.number,
                            buffer.offset.constant, buffer.offset.per_16, buffer.offset.per_sample);
            for (const Stride& stride : buffer.strides) {
                text += fmt::format("/{}:{}+{}+{}:{}:{}", stride.loop, stride.bytes.constant,
                                    stride.bytes.per_16, stride.bytes.per_sample, stride.first,
                                    stride.modulo);
            }
        }
        text += "\n";
    }
    for (const Loop& loop : entry.loops) {
        text += fmt::format("loop {} {} {}\n", loop.begin, loop.end, loop.steps);
    }
    return text;
}

Error failed(llvm::Error error) {
    llvm::consumeError(std::move(error));
    return {kExitInternal, "the compiled program could not be loaded", std::nullopt,
            "this is a bug in netc, please report it with the program"};
}

class CpuExecutable final : public Executable {
public:
    CpuExecutable(Program program, int threads) : program_(std::move(program)), threads_(threads) {}

    Status load(const Machine& machine, const JitOptions& options);
    Status run(std::string_view entry, const CallMemory& memory, std::int64_t batch) override;

private:
    struct EntryCode {
        const Entry* entry = nullptr;
        bool small = false;
        std::atomic<EntryFunction> function{nullptr};  // null until compiled
    };

    Status compile(const std::vector<EntryCode*>& entries);
    Status run_parallel(const Entry& entry, const CallMemory& memory, std::int64_t batch,
                        bool& fault);
    std::byte* address(const BufferRef& buffer, const CallMemory& memory, std::int64_t batch,
                       const std::vector<std::int64_t>& steps) const;

    Program program_;
    int threads_;
    ProgramCode code_;
    std::unique_ptr<llvm::orc::LLJIT> jit_;
    std::map<std::string, EntryCode, std::less<>> entries_;
    std::set<std::string> objects_;  // keys of the kernels that the JIT has
    std::map<std::uint32_t, KernelFunction> kernels_;
    std::string cache_directory_;
    std::unique_ptr<ThreadPool> pool_;
    std::mutex running_;  // the pool serves one call at a time, and nothing is added during it
};

Status CpuExecutable::load(const Machine& machine, const JitOptions& options) {
    install_llvm_handlers();
    code_ = plan_code(program_, machine);
    cache_directory_ = options.cache_directory;
    const auto contains = [](const std::vector<std::string>& names, const std::string& name) {
        return std::find(names.begin(), names.end(), name) != names.end();
    };
    std::vector<EntryCode*> first;
    for (const Entry& entry : program_.entries) {
        if (!options.entries.empty() && !contains(options.entries, entry.name)) continue;
        EntryCode& code = entries_[entry.name];
        code.entry = &entry;
        code.small = is_small(code_, entry);
        if (!contains(options.deferred, entry.name)) first.push_back(&code);
    }
    auto made = llvm::orc::LLJITBuilder().create();
    if (!made) return failed(made.takeError());
    jit_ = std::move(*made);
    auto process = llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
        jit_->getDataLayout().getGlobalPrefix());
    if (!process) return failed(process.takeError());
    jit_->getMainJITDylib().addGenerator(std::move(*process));
    if (Status status = compile(first); !status) return status;
    if (threads_ > 1) pool_ = std::make_unique<ThreadPool>(threads_);
    return {};
}

// The kernels that the JIT does not have yet and the entries themselves, then their addresses.
Status CpuExecutable::compile(const std::vector<EntryCode*>& entries) {
    const Machine& machine = code_.machine;
    std::vector<CodeJob> jobs;
    for (const EntryCode* code : entries) {
        for (const Call& call : code->entry->calls) {
            if (!objects_.insert(code_.keys[call.kernel]).second) continue;
            jobs.push_back({call.kernel, nullptr, code_.keys[call.kernel], {}, {}});
        }
    }
    for (const EntryCode* code : entries) {
        jobs.push_back({0,
                        code->entry,
                        code_key({describe(code_, *code->entry), machine.triple, machine.cpu,
                                  machine.features}),
                        {},
                        {}});
    }
    // The heaviest first, so that the threads end together.
    std::stable_sort(jobs.begin(), jobs.end(), [&](const CodeJob& a, const CodeJob& b) {
        const auto weight = [&](const CodeJob& job) {
            return job.entry != nullptr ? 0.0
                                        : work_of(code_.kernels[job.kernel], program_.batch_hint);
        };
        return weight(a) > weight(b);
    });
    const CodeCache cache(cache_directory_);
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
        for (std::size_t i = next++; i < jobs.size(); i = next++) run_job(code_, cache, jobs[i]);
    };
    std::vector<std::thread> threads;
    const std::size_t most = std::max(1u, std::thread::hardware_concurrency());
    while (threads.size() + 1 < std::min(jobs.size(), most)) threads.emplace_back(work);
    work();
    for (std::thread& thread : threads) thread.join();
    for (const CodeJob& job : jobs) {
        if (job.error) return *job.error;
    }
    for (CodeJob& job : jobs) {
        auto buffer = llvm::MemoryBuffer::getMemBufferCopy(job.object, job.key);
        if (auto error = jit_->addObjectFile(std::move(buffer))) return failed(std::move(error));
        job.object.clear();
    }
    for (EntryCode* code : entries) {
        auto symbol = jit_->lookup(entry_symbol(code->entry->name));
        if (!symbol) return failed(symbol.takeError());
        for (const Call& call : code->entry->calls) {
            if (threads_ <= 1 || kernels_.count(call.kernel) > 0) continue;
            auto kernel = jit_->lookup(kernel_symbol(code_, call.kernel) + "_array");
            if (!kernel) return failed(kernel.takeError());
            kernels_[call.kernel] = kernel->toPtr<KernelFunction>();
        }
        code->function = symbol->toPtr<EntryFunction>();
    }
    return {};
}

std::byte* CpuExecutable::address(const BufferRef& buffer, const CallMemory& memory,
                                  std::int64_t batch,
                                  const std::vector<std::int64_t>& steps) const {
    std::byte* base = nullptr;
    switch (buffer.region) {
        case RegionKind::weights: base = memory.weights; break;
        case RegionKind::prepared: base = memory.prepared; break;
        case RegionKind::optimizer: base = memory.optimizer; break;
        case RegionKind::workspace: base = memory.workspace; break;
        case RegionKind::hyper: base = memory.hyper; break;
        // Kernels write no input: the verifier of programs sees to that.
        case RegionKind::input: base = const_cast<std::byte*>(memory.inputs[buffer.number]); break;
        case RegionKind::output: base = memory.outputs[buffer.number]; break;
    }
    return base + buffer.offset_at(batch, steps);
}

Status CpuExecutable::run_parallel(const Entry& entry, const CallMemory& memory, std::int64_t batch,
                                   bool& fault) {
    const std::lock_guard lock(running_);
    const FlushSubnormals flush;
    std::int32_t flag = 0;
    const auto run_call = [&](const Call& call, const std::vector<std::int64_t>& steps) -> Status {
        std::vector<std::byte*> pointers;
        for (const BufferRef& buffer : call.arguments)
            pointers.push_back(address(buffer, memory, batch, steps));
        const KernelFunction function = kernels_.at(call.kernel);
        const Kernel& kernel = code_.kernels[call.kernel];
        const std::int64_t chunks = chunk_count(kernel, code_.schedules[call.kernel], batch);
        if (chunks < 2 || work_of(kernel, batch) < kParallelWork) {
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
    // Tiny programs are one call: walking them with a pool would cost more than their work.
    if (pool_ && !(code.small && batch <= program_.batch_hint)) {
        if (Status status = run_parallel(*code.entry, memory, batch, fault); !status) return status;
    } else {
        fault = code.function.load()(memory.weights, memory.prepared, memory.optimizer,
                                     memory.workspace, memory.hyper, memory.inputs.data(),
                                     memory.outputs.data(), batch) != 0;
    }
    if (fault)
        return Error{kExitRun, fmt::format("an index in the data is out of range (in {})", name)};
    return {};
}

}  // namespace

Result<std::unique_ptr<Executable>> jit(const Program& program, const JitOptions& options) {
    auto machine = machine_for(options.target);
    if (!machine) return machine.error();
    auto executable = std::make_unique<CpuExecutable>(program, options.threads);
    if (Status status = executable->load(*machine, options); !status) return status.error();
    return std::unique_ptr<Executable>(std::move(executable));
}

Result<std::string> print_code(const Program& program, std::string_view entry_name, CodeStage stage,
                               const CpuTarget& target) {
    auto machine = machine_for(target);
    if (!machine) return machine.error();
    const ProgramCode code = plan_code(program, *machine);
    const Entry* entry = program.find(entry_name);
    if (entry == nullptr) {
        return Error{kExitUsage, fmt::format("the program has no entry {}", entry_name)};
    }
    if (stage == CodeStage::schedule) {
        std::string text;
        for (const Call& call : entry->calls) {
            text += fmt::format("{} (kernel {})\n{}", call.label, call.kernel,
                                to_text(code.kernels[call.kernel], code.schedules[call.kernel]));
        }
        return text;
    }
    llvm::LLVMContext context;
    auto module = emit_program(context, code, {std::string(entry_name)});
    if (!module) return module.error();
    llvm::Function* function = (*module)->getFunction(entry_symbol(entry_name));
    function->setLinkage(llvm::Function::ExternalLinkage);
    return stage == CodeStage::llvm ? module_text(**module, *machine)
                                    : emit_code(**module, *machine, CodeForm::assembly);
}

}  // namespace netc
