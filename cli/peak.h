// What this machine can do at best, measured: the yardstick of `netc bench`.
#pragma once

namespace netc {

struct Peak {
    double gflops = 0;    // f32 fused multiply-adds counted as two, one core
    double read_gbs = 0;  // memory read, one core, 10^9 bytes a second
    double copy_gbs = 0;  // read + write
    double fork_join =
        0;  // seconds to share empty work with a second thread that is awake; 0: none came
    const char* vectors = "";  // "AVX-512", "AVX2", "scalar"
};

// Takes `seconds` a figure; the best of several short runs counts, since others share the machine.
Peak measure_peak(double seconds);

}  // namespace netc
