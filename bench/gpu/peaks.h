// What the device can do at most, measured by kernels by hand.
#pragma once

#include "backends/gpu/device.h"

namespace netc::gpu_bench {

struct Peaks {
    double flops = 0;   // f32 multiply-adds, two a piece, a second
    double copy = 0;    // bytes read and written a second, of arrays that no cache holds
    double launch = 0;  // seconds from an empty kernel to the next, in a graph
};
Result<Peaks> measure_peaks(const SharedDevice& device);

}  // namespace netc::gpu_bench
