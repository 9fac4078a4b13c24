#include "bench/gpu/report.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

namespace netc::gpu_bench {
namespace {

std::string micro(double seconds) {
    const double us = 1e6 * seconds;
    if (us <= 0) return "";
    return us < 100 ? fmt::format("{:.2f}", us) : fmt::format("{:.0f}", us);
}

std::string percent(double part, double whole) {
    return part > 0 && whole > 0 ? fmt::format("{:.1f} %", 100 * part / whole) : "";
}

std::string comparison(const std::vector<Outcome>& outcomes) {
    std::string text =
        "## Results\n\n"
        "Outputs and variables after some calls against those of the CPU, bit for bit.\n\n"
        "| workload | compared | different | largest difference of a loss |  |\n"
        "|---|---:|---:|---:|---|\n";
    for (const Outcome& each : outcomes) {
        if (each.compared == 0 && each.failure.empty()) continue;
        std::string names;
        for (std::size_t k = 0; k < each.different.size() && k < 6; ++k)
            names += (k > 0 ? ", " : "") + each.different[k];
        if (each.different.size() > 6) names += ", ...";
        text += fmt::format("| {} | {} | {} | {:.1e} | {} |\n", each.name, each.compared,
                            each.different.size(), each.largest,
                            !each.failure.empty() ? "**failed**: " + each.failure
                            : names.empty()       ? "equal"
                                                  : "**different**: " + names);
    }
    return text + "\n";
}

std::string times(const Setting& setting, const std::vector<Outcome>& outcomes) {
    std::string text =
        "## Times\n\n"
        "Medians in microseconds. `step`: call after call, inputs copied from the "
        "host's memory; `waited`: each waited for; "
        "`kernels`: its launches one by one, data in the device's memory. Rates are of "
        "the shorter of `step` and `kernels`, samples of the steps.\n\n"
        "| workload | batch | step | waited | kernels | samples/s | GFLOP/s | of "
        "FMA peak | GB/s | of copy | load s |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n";
    for (const Outcome& each : outcomes) {
        if (each.step == 0) continue;
        // Launches that need not wait for each other run side by side in a step, and one by one alone.
        const double taken = each.kernel_only ? each.counted : std::min(each.counted, each.step);
        const double flops = taken > 0 ? each.flops / taken : 0;
        const double bytes = taken > 0 ? each.bytes / taken : 0;
        text += fmt::format("| {} | {} | {} | {} | {} | {:.0f} | {} | {} | {} | {} | {:.2f} |\n",
                            each.name, each.batch, micro(each.step), micro(each.alone),
                            micro(each.counted), static_cast<double>(each.batch) / each.step,
                            flops > 0 ? fmt::format("{:.0f}", 1e-9 * flops) : "",
                            percent(flops, setting.peaks ? setting.peaks->flops : 0),
                            bytes > 0 ? fmt::format("{:.0f}", 1e-9 * bytes) : "",
                            percent(bytes, setting.peaks ? setting.peaks->copy : 0), each.load);
    }
    return text + "\n";
}

// The kernels that take most of an entry.
std::string kernels(const Outcome& each) {
    constexpr std::size_t kMost = 12;
    double sum = 0;
    for (const KernelTime& row : each.kernels) sum += row.seconds * static_cast<double>(row.calls);
    std::string text = fmt::format(
        "### {}, batch {}\n\n{} distinct kernels take {} us one by one, {} us in turn.\n\n"
        "| kernel | calls | us | share | launches | blocks | threads "
        "|\n|---|---:|---:|---:|---:|---:|---:|\n",
        each.name, each.batch, each.kernels.size(), micro(sum), micro(each.launches));
    for (std::size_t k = 0; k < each.kernels.size() && k < kMost; ++k) {
        const KernelTime& row = each.kernels[k];
        text += fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", row.label, row.calls,
                            micro(row.seconds),
                            percent(row.seconds * static_cast<double>(row.calls), sum),
                            row.launches, row.blocks, row.threads);
    }
    return text + "\n";
}

}  // namespace

std::string report(const Setting& setting, const std::vector<Outcome>& outcomes) {
    std::string text =
        fmt::format("# {}, {}\n\nnetc's code for GPUs, by `./dev gpu`. Compute capability {}.{}, "
                    "driver for CUDA {}.{}.\n\n",
                    setting.device, setting.date, setting.capability / 10, setting.capability % 10,
                    setting.driver / 1000, setting.driver % 1000 / 10);
    if (setting.peaks) {
        text += fmt::format("Measured here: {:.1f} TFLOP/s of f32 multiply-adds, {:.0f} GB/s "
                            "copied (read and written), "
                            "{:.2f} us from an empty kernel to the next.\n\n",
                            1e-12 * setting.peaks->flops, 1e-9 * setting.peaks->copy,
                            1e6 * setting.peaks->launch);
    }
    text += comparison(outcomes);
    if (std::ranges::any_of(outcomes, [](const Outcome& each) { return each.step > 0; }))
        text += times(setting, outcomes);
    if (std::ranges::any_of(outcomes, [](const Outcome& each) { return !each.kernels.empty(); }))
        text += "## Kernels\n\n";
    for (const Outcome& each : outcomes) {
        if (!each.kernels.empty()) text += kernels(each);
    }
    return text;
}

}  // namespace netc::gpu_bench
