// The launches of an entry without what surrounds them: no copies, all data in the device's memory. What each kernel
// takes, and all of them together.
//
// Times are those of graphs that are launched again and again, so that no kernel waits for the host: a graph of all
// launches for the entry, one of a few repetitions for a kernel, which then may find its data in the cache.
#pragma once

#include <functional>
#include <map>

#include "backends/gpu/device.h"
#include "bench/gpu/workload_file.h"

namespace netc::gpu_bench {

struct KernelTime {
    std::string label;
    std::int64_t calls = 0;                              // of an entry
    double seconds = 0;                                  // of one call, all of its launches
    std::int64_t launches = 1, blocks = 0, threads = 0;  // of the last of them
};

class Launches {
public:
    static Result<Launches> make(SharedDevice device, const Workload& workload,
                                 const PackedCode& code);
    Result<double> seconds();                      // of the entry
    Result<std::vector<KernelTime>> of_kernels();  // the longest first

private:
    struct Launch {
        const GpuLaunch* how = nullptr;
        cuda::Function function = nullptr;
        unsigned blocks = 1;
        std::vector<cuda::Address> addresses;
        std::int64_t call = 0;  // number of the call among the entry's
    };

    Launches(SharedDevice device, const Workload& workload, const PackedCode& code)
        : device_(std::move(device)), workload_(&workload), code_(&code) {}
    Status load();
    Result<cuda::Address> reserve(std::int64_t bytes);
    Result<std::vector<Launch>> list(const Entry& entry, std::int64_t batch);
    Status add(const Launch& launch, std::int64_t batch) const;
    Status run_once(const std::string& entry);
    Result<double> time(const std::vector<Launch>& launches, int repetitions, double seconds) const;

    SharedDevice device_;
    const Workload* workload_;
    const PackedCode* code_;
    DeviceStream stream_;
    DeviceModule module_;
    std::vector<DeviceMemory> memory_;
    std::map<std::pair<RegionKind, std::uint32_t>, std::pair<cuda::Address, std::int64_t>> regions_;
    std::map<std::pair<std::int64_t, std::int64_t>, cuda::Address> scratch_;  // by call and number
    cuda::Address flag_ = 0;
};

// The median of how long `work` takes, by blocks of 10 ms or more, for about `seconds`, after a warm-up.
Result<double> median_seconds(double seconds, const std::function<Status(std::int64_t)>& work);

}  // namespace netc::gpu_bench
