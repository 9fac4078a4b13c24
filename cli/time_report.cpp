#include "cli/time_report.h"

#include <algorithm>

#include <fmt/format.h>

namespace netc {
namespace {

// More would be a list to search in.
constexpr std::size_t kShownKernels = 8;

std::string line(double seconds, std::string_view what) {
    return fmt::format("{:>9.3f} ms  {}\n", seconds * 1e3, what);
}

std::string label_of(const Program& program, std::uint32_t kernel) {
    for (const Entry& entry : program.entries) {
        for (const Call& call : entry.calls) {
            if (call.kernel == kernel) return entry.name + ", " + call.label;
        }
    }
    return fmt::format("kernel {}", kernel);
}

}  // namespace

std::string time_report(const PassRunner& passes) {
    std::string text;
    double sum = 0;
    for (const PassTime& time : passes.times) {
        text += line(time.seconds, time.name);
        sum += time.seconds;
    }
    return text + line(sum, "all passes");
}

std::string time_report(const CompileTimes& times, const Program& program) {
    std::string text = line(times.schedules, "schedules");
    text += line(times.compiling,
                 fmt::format("machine code on {} thread{}: {} object{}, {} of them from the cache",
                             times.threads, times.threads == 1 ? "" : "s", times.objects,
                             times.objects == 1 ? "" : "s", times.cached));
    text += line(times.phases.emission, "  LLVM IR, all threads together");
    text += line(times.phases.optimization, "  passes of LLVM");
    text += line(times.phases.code, "  instructions, registers, object");
    text += line(times.link, "link and load");
    const std::size_t shown = std::min(times.kernels.size(), kShownKernels);
    if (shown > 0) text += "slowest kernels: IR, passes, instructions\n";
    for (std::size_t i = 0; i < shown; ++i) {
        const auto& [number, phases] = times.kernels[i];
        text += line(phases.sum(), fmt::format("{} ({:.1f}, {:.1f}, {:.1f})",
                                               label_of(program, number), phases.emission * 1e3,
                                               phases.optimization * 1e3, phases.code * 1e3));
    }
    return text;
}

}  // namespace netc
