#include "cli/kernel_report.h"

#include <fmt/format.h>

namespace netc {

std::string place_of(const Entry& entry, const Call& call, const SourceMap& sources) {
    const std::string name = call.label.substr(0, call.label.find(": "));
    const Span span = entry.origins[call.origin].span;
    return span.known() ? fmt::format("`{}` at {}", name, sources.describe(span))
                        : fmt::format("`{}`", name);
}

std::string report_lines(const KernelReport& report, const std::string& place,
                         double seconds_per_cycle) {
    std::string text =
        seconds_per_cycle > 0
            ? fmt::format("    predicted  {:.2f} us on one core\n",
                          report.cycles * seconds_per_cycle * 1e6)
            : fmt::format("    predicted  {:.0f} cycles on one core\n", report.cycles);
    text += fmt::format("    schedule   {}\n    why        {}\n", report.schedule, report.why);
    for (const std::string& note : report.notes)
        text += fmt::format("    note: {} {}\n", place, note);
    return text;
}

std::string report_text(const Program& program, const std::vector<KernelReport>& kernels,
                        const SourceMap& sources) {
    std::string text;
    std::vector<bool> said(kernels.size());
    for (const Entry& entry : program.entries) {
        if (entry.name == "init" || entry.name == "prepare") continue;
        text += fmt::format("entry {}\n", entry.name);
        for (const Call& call : entry.calls) {
            text += "  " + call.label;
            text += said[call.kernel] ? ": as above\n" : "\n";
            if (said[call.kernel]) continue;
            said[call.kernel] = true;
            text += report_lines(kernels[call.kernel], place_of(entry, call, sources), 0);
        }
    }
    return text;
}

}  // namespace netc
