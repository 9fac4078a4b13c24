#include "backends/cpu/program_plan.h"

#include <algorithm>

#include "backends/cpu/code_cache.h"
#include "ir/program_archive.h"

namespace netc {
namespace {

// What the code of an entry is made from: the code of its kernels, and where their buffers lie.
std::string describe(const ProgramCode& code, const Entry& entry) {
    ArchiveWriter writer;
    writer(entry.name, code.program->batch_hint, entry.loops);
    for (const Call& call : entry.calls) writer(code.keys[call.kernel], call.arguments);
    return std::move(writer.bytes);
}

}  // namespace

ProgramPlan plan_program(const ProgramCode& code) {
    ProgramPlan plan;
    const std::int64_t hint = code.program->batch_hint;
    for (std::size_t k = 0; k < code.kernels.size(); ++k) {
        KernelPlan kernel;
        kernel.key = code.keys[k];
        kernel.chunks = chunk_rule(code.kernels[k], code.schedules[k]);
        const double once = work_of(code.kernels[k], hint);
        const double twice = work_of(code.kernels[k], 2 * hint);
        kernel.work_per_sample = (twice - once) / static_cast<double>(hint);
        kernel.work_constant = once - (twice - once);
        kernel.ranking = ranking_of(code.kernels[k]);
        plan.kernels.push_back(std::move(kernel));
    }
    for (const Entry& entry : code.program->entries) {
        plan.entries.push_back({code_key({describe(code, entry), code.machine.triple,
                                          code.machine.cpu, code.machine.features}),
                                is_small(code, entry),
                                std::ranges::any_of(entry.calls, [&](const Call& call) {
                                    return plan.kernels[call.kernel].ranking.is_one;
                                })});
    }
    return plan;
}

}  // namespace netc
