// What was measured and compared on a GPU, as Markdown: one file, with where and when.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/gpu/launches.h"
#include "bench/gpu/peaks.h"

namespace netc::gpu_bench {

struct Outcome {
    std::string name;
    std::int64_t batch = 1;
    double flops = 0, bytes = 0;  // of a call
    std::string failure;          // empty, or what ended it
    // Results against the CPU's.
    std::size_t compared = 0;            // values: outputs of calls, variables afterwards
    std::vector<std::string> different;  // names
    double largest = 0;                  // relative difference of a loss
    // Seconds; 0: not measured.
    double load = 0;
    double step = 0;           // a call after the other, inputs from the host's memory
    double alone = 0;          // a call that is waited for
    double launches = 0;       // its kernels as a graph, data in the device's memory
    double counted = 0;        // those of them that the rate is about
    bool kernel_only = false;  // not all of them are
    std::vector<KernelTime> kernels;
};

struct Setting {
    std::string device, date;
    int capability = 0, driver = 0;
    std::optional<Peaks> peaks;
};

std::string report(const Setting& setting, const std::vector<Outcome>& outcomes);

}  // namespace netc::gpu_bench
