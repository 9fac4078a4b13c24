// An entry at one batch, ready to run: its launches, recorded once as a graph, between a copy of the inputs to the
// device and one of the outputs back.
//
// Inputs, the flag of bad indices and outputs lie in one block, of which there are copies in device memory and in
// pinned memory of the host:
//
//     input 0 | input 1 | ... | flag | output 0 | output 1 | ...
//
// so a run is two copies, inputs with a flag of 0 in, flag with outputs out. There are two such pairs: the inputs of
// the next run are written while one is under way, and large ones also copied to the device, in a stream of their own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "backends/backend.h"
#include "backends/gpu/device.h"
#include "backends/gpu/gpu_code.h"

namespace netc {

// Code that is in the device, by number of the kernel.
struct LoadedKernel {
    GpuKernel kernel;
    std::vector<cuda::Function> functions;  // of its launches
};
struct GpuModule {
    DeviceModule module;
    std::vector<LoadedKernel> kernels;
};

// Where the regions of a program lie in device memory; inputs and outputs are each call's.
struct GpuRegions {
    cuda::Address weights = 0, prepared = 0, optimizer = 0, workspace = 0, hyper = 0;
};

// One bit each, for sets of regions.
constexpr unsigned bit(RegionKind region) { return 1U << static_cast<unsigned>(region); }

struct GpuStreams {
    cuda::Stream work = nullptr, copies = nullptr;
    std::vector<cuda::Stream> beside;  // for launches that need not wait for each other
};

class GpuCall {
public:
    // `params`: of each kernel. All of these outlive the call. Errors: a launch that a GPU cannot do (status 4), a
    // kernel without code (status 70).
    static Result<std::unique_ptr<GpuCall>> make(SharedDevice device, const Entry& entry,
                                                 std::int64_t batch, const GpuModule& module,
                                                 const std::vector<std::vector<Param>>& params);

    // Puts a run into the streams. At most kSlots are under way: finish() the oldest before another.
    Status start(const GpuStreams& streams, const GpuRegions& regions,
                 std::span<const std::byte* const> inputs);
    // Waits for the oldest run. Error: the device's, or of an index among the data that is out of range.
    Status finish();
    std::size_t under_way() const { return under_way_; }
    // Outputs of the run that was finished last, until another is started.
    void copy_outputs(std::span<std::byte* const> outputs) const;
    // Of a region outside of this call another address is to be used.
    void forget_graphs();

    const Entry& entry() const { return entry_; }
    unsigned regions() const { return regions_; }  // bits of those that its calls work on
    // How often the launches were recorded.
    std::size_t recorded() const { return recorded_; }

    static constexpr std::size_t kSlots = 2;

private:
    struct Piece {
        std::int64_t offset = 0, size = 0;  // within the block
    };
    struct Slot {
        DeviceMemory device;
        PinnedMemory host;
        DeviceEvent arrived, done;  // the inputs, the run
        DeviceGraph graph;
    };
    struct Launch {
        const Call* call = nullptr;
        const GpuLaunch* how = nullptr;
        cuda::Function function = nullptr;
        unsigned blocks = 1;
        std::vector<std::int64_t> offsets;  // of its buffers, each within its region
        std::vector<std::int64_t> scratch;  // offsets within the scratch memory
        std::vector<std::uint32_t> waits;   // for which launches
    };

    GpuCall(SharedDevice device, const Entry& entry, std::int64_t batch)
        : device_(std::move(device)), entry_(entry), batch_(batch) {}
    void lay_out();
    Status copy_inputs(const Slot& slot, cuda::Stream stream) const;
    Status add_launches(const Call& call, const std::vector<std::int64_t>& steps,
                        const GpuModule& module, const std::vector<std::vector<Param>>& params);
    void order_launches(const std::vector<std::vector<Param>>& params);
    Status prepare(Slot& slot, const GpuStreams& streams, const GpuRegions& regions);
    Status record(const Slot& slot, const GpuStreams& streams, const GpuRegions& regions);
    Status record_launches(const Slot& slot, const GpuStreams& streams, const GpuRegions& regions);
    Status launch(const Launch& launch, const Slot& slot, cuda::Stream stream,
                  const GpuRegions& regions) const;
    bool in_host_memory() const;
    cuda::Address base(const Slot& slot) const;
    cuda::Address address(const BufferRef& buffer, const Slot& slot,
                          const GpuRegions& regions) const;
    static std::byte* host(const Slot& slot) { return static_cast<std::byte*>(slot.host.get()); }

    SharedDevice device_;
    const Entry& entry_;
    std::int64_t batch_;
    unsigned regions_ = 0;
    std::vector<Piece> inputs_, outputs_;
    std::int64_t flag_ = 0, block_ = 0;  // offset of the flag, size of the block
    std::int64_t scratch_bytes_ = 0;     // each call has its own
    DeviceMemory scratch_;
    bool copies_beside_ = false;  // the inputs, in a stream of their own
    bool maps_tensors_ = false;   // of device memory: the block is there then
    std::vector<Launch> launches_;
    std::array<Slot, kSlots> slots_;
    std::size_t next_ = 0, under_way_ = 0, finished_ = 0;  // slots, and how many of them run
    std::vector<DeviceEvent> events_;                      // while launches are recorded
    std::size_t recorded_ = 0;
};

}  // namespace netc
