#include "backends/cpu/compile_jobs.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <system_error>
#include <thread>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "backends/cpu/stopwatch.h"

namespace netc {
namespace {

Result<std::string> compile(const ProgramCode& code, llvm::TargetMachine& target,
                            const CodeJob& job, CodePhases& phases) {
    llvm::LLVMContext context;
    const auto module = make_module(context, target, "netc");
    {
        const Stopwatch watch(phases.emission);
        if (Status status = job.emit(code, *module); !status) return status.error();
    }
    return emit_code(*module, target, CodeForm::object, &phases);
}

// LLVM leaves tens of megabytes behind that the allocator would keep while a network trains.
void give_memory_back() {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

void add_times(CompileTimes& times, const std::vector<CodeJob*>& jobs,
               const std::vector<CodePhases>& phases) {
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        times.phases.emission += phases[i].emission;
        times.phases.optimization += phases[i].optimization;
        times.phases.code += phases[i].code;
        if (jobs[i]->kernel) times.kernels.push_back({*jobs[i]->kernel, phases[i]});
    }
    std::ranges::stable_sort(times.kernels, std::greater{},
                             [](const CompileTimes::Kernel& k) { return k.phases.sum(); });
}

}  // namespace

void add_jobs(const Program& program, const ProgramPlan& plan, std::size_t entry,
              std::set<std::string>& known, std::vector<CodeJob>& jobs) {
    for (const Call& call : program.entries[entry].calls) {
        const KernelPlan& kernel = plan.kernels[call.kernel];
        if (!known.insert(kernel.key).second) continue;
        const auto emit = [number = call.kernel](const ProgramCode& code,
                                                 llvm::Module& module) -> Status {
            const auto made = emit_kernel(code, number, module, true);
            return made ? Status() : made.error();
        };
        jobs.push_back({.key = kernel.key,
                        .emit = emit,
                        .kernel = call.kernel,
                        .work = kernel.work(program.batch_hint),
                        .object = {}});
    }
    const auto emit = [entry](const ProgramCode& code, llvm::Module& module) -> Status {
        const auto made = emit_entry(code, code.program->entries[entry], module, true);
        return made ? Status() : made.error();
    };
    jobs.push_back({.key = plan.entries[entry].key,
                    .emit = emit,
                    .kernel = std::nullopt,
                    .work = 0,
                    .object = {}});
}

bool load_objects(const CodeCache& cache, std::vector<CodeJob>& jobs) {
    bool complete = true;
    for (CodeJob& job : jobs) {
        auto known = job.key.empty() ? std::nullopt : cache.load(job.key);
        if (known) job.object = std::move(*known);
        complete = complete && known.has_value();
    }
    return complete;
}

Status compile_objects(const ProgramCode& code, const CodeCache& cache, int threads,
                       std::vector<CodeJob>& jobs, CompileTimes& times) {
    const Stopwatch watch(times.compiling);
    const NoMemoryEnds guard;
    std::vector<CodeJob*> open;
    for (CodeJob& job : jobs) {
        if (job.object.empty()) open.push_back(&job);
    }
    // The heaviest first, so that the threads end together.
    std::stable_sort(open.begin(), open.end(),
                     [](const CodeJob* a, const CodeJob* b) { return a->work > b->work; });
    std::vector<Status> results(open.size());
    std::vector<CodePhases> phases(open.size());
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
        auto target = make_target_machine(code.machine);
        for (std::size_t i = next++; i < open.size(); i = next++) {
            auto object = target ? compile(code, **target, *open[i], phases[i])
                                 : Result<std::string>(target.error());
            if (!object) {
                results[i] = object.error();
                continue;
            }
            open[i]->object = std::move(*object);
            if (!open[i]->key.empty()) cache.save(open[i]->key, open[i]->object);
        }
    };
    std::vector<std::thread> others;
    const std::size_t most =
        threads > 0 ? static_cast<std::size_t>(threads) : std::thread::hardware_concurrency();
    try {
        while (others.size() + 1 < std::min(open.size(), most)) others.emplace_back(work);
    } catch (const std::system_error&) {  // no more are granted: these do the work
    }
    work();
    for (std::thread& thread : others) thread.join();
    times.threads = static_cast<int>(others.size()) + 1;
    add_times(times, open, phases);
    if (!open.empty()) {
        cache.trim();
        give_memory_back();
    }
    for (const Status& result : results) {
        if (!result) return result;
    }
    return {};
}

}  // namespace netc
