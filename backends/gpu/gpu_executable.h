// A program on a GPU: its memory there, and runs of its entries. Knows nothing of how the code was made, so that a
// program whose code came along in a file runs the same way.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "backends/backend.h"
#include "backends/gpu/gpu_call.h"

namespace netc {

// Machine code, or PTX, of the kernels that some entries call.
struct GpuImage {
    std::string bytes;
    std::vector<GpuKernel> kernels;  // by number; without launches where there is none
};
using MakeGpuImage = std::function<Result<GpuImage>(const std::vector<std::string>& entries)>;

class GpuExecutable final : public Executable {
public:
    // `params`: of each kernel, as the program may come without its kernels. `make_image` is called for `entries` at
    // once, and for each of `deferred` when it first runs.
    static Result<std::unique_ptr<GpuExecutable>> create(SharedDevice device, Program program,
                                                         std::vector<std::vector<Param>> params,
                                                         MakeGpuImage make_image,
                                                         const std::vector<std::string>& entries,
                                                         const std::vector<std::string>& deferred);
    ~GpuExecutable() override;

    Status run(std::string_view entry, const CallMemory& memory, std::int64_t batch) override;
    Status start(std::string_view entry, const CallMemory& memory, std::int64_t batch) override;
    using Executable::wait;
    Status wait(std::size_t may_run) override;
    bool has_own_memory() const override { return true; }
    void host_changed(RegionKind region) override;
    Status fetch(RegionKind region, std::byte* to, std::int64_t offset, std::int64_t size) override;
    const Program& program() const override { return program_; }

    // How often launches were recorded as graphs.
    std::size_t recorded() const { return recorded_; }

private:
    struct EntryCode {
        const Entry* entry = nullptr;
        GpuModule* module = nullptr;  // null until it was loaded
    };

    GpuExecutable(SharedDevice device, Program program, std::vector<std::vector<Param>> params,
                  MakeGpuImage make_image)
        : device_(std::move(device)), program_(std::move(program)), params_(std::move(params)),
          make_image_(std::move(make_image)) {}

    Status load(const std::vector<EntryCode*>& entries);
    Result<GpuCall*> call_of(EntryCode& code, std::int64_t batch);
    Status begin(std::string_view entry, const CallMemory& memory, std::int64_t batch);
    Status finish_oldest();
    Status finish_all(std::size_t may_run = 0);
    Status reserve(RegionKind region, std::int64_t size);
    Status upload(unsigned regions, const CallMemory& memory);
    cuda::Address& address_of(RegionKind region);
    std::int64_t size_of(RegionKind region) const;
    void release_calls();

    SharedDevice device_;
    Program program_;
    std::vector<std::vector<Param>> params_;
    MakeGpuImage make_image_;
    DeviceStream stream_, copies_;
    std::vector<DeviceStream> beside_;
    std::map<std::string, EntryCode, std::less<>> entries_;
    std::list<GpuModule> modules_;
    std::map<RegionKind, std::pair<DeviceMemory, std::int64_t>> memory_;  // with its size
    GpuRegions regions_;
    unsigned host_newer_ = ~0U;  // bits of regions
    std::map<std::pair<const Entry*, std::int64_t>, std::unique_ptr<GpuCall>> calls_;
    struct Run {
        GpuCall* call = nullptr;
        std::vector<std::byte*> outputs;
    };
    std::list<Run> under_way_;  // in the order of their starts
    Run ended_;                 // the last that ended, until wait() has given its outputs
    std::size_t recorded_ = 0;
    std::mutex running_;
};

}  // namespace netc
