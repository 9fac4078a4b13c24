#include "backends/gpu/gpu_call.h"

#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "backends/gpu/launch_order.h"
#include "backends/gpu/tensor_map.h"

namespace netc {
namespace {

// Of pieces of a block; loads of vectors may go on behind the last element.
constexpr std::int64_t kPieceAlignment = 256;
constexpr std::int64_t kBehind = 128;
// Inputs of so many bytes take longer to copy than a second stream takes to ask for: about 3 microseconds.
constexpr std::int64_t kLargeInputs = 64 * 1024;
// Inputs and outputs of so few bytes stay in the host's memory.
constexpr std::int64_t kSmallBlock = 4096;
constexpr std::size_t kMostOrdered = 1500;
constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();

std::int64_t size_of(const EntryArgument& argument, std::int64_t batch) {
    std::int64_t bytes = size_of(argument.dtype);
    for (const Extent& extent : argument.dims) bytes *= extent.at(batch);
    return bytes;
}

}  // namespace

Result<std::unique_ptr<GpuCall>> GpuCall::make(SharedDevice device, const Entry& entry,
                                               std::int64_t batch, const GpuModule& module,
                                               const std::vector<std::vector<Param>>& params) {
    if (batch > kMost)
        return Error{kExitRun, fmt::format("a batch of {} is too large for a GPU", batch)};
    std::unique_ptr<GpuCall> call(new GpuCall(std::move(device), entry, batch));
    call->lay_out();
    const auto add = [&](const Call& each, const std::vector<std::int64_t>& steps) {
        return call->add_launches(each, steps, module, params);
    };
    if (Status s = run_calls(entry, add); !s) return s.error();
    call->order_launches(params);
    return call;
}

void GpuCall::lay_out() {
    const auto place = [&](std::int64_t size) {
        const std::int64_t offset = block_;
        const std::int64_t pieces = (size + kBehind + kPieceAlignment - 1) / kPieceAlignment;
        block_ += pieces * kPieceAlignment;
        return Piece{offset, size};
    };
    for (const EntryArgument& input : entry_.inputs)
        inputs_.push_back(place(size_of(input, batch_)));
    flag_ = place(sizeof(std::int32_t)).offset;
    copies_beside_ = flag_ >= kLargeInputs;
    for (const EntryArgument& output : entry_.outputs)
        outputs_.push_back(place(size_of(output, batch_)));
}

Status GpuCall::add_launches(const Call& call, const std::vector<std::int64_t>& steps,
                             const GpuModule& module,
                             const std::vector<std::vector<Param>>& params) {
    const std::vector<Param>& own = params[call.kernel];
    if (module.kernels.size() <= call.kernel || module.kernels[call.kernel].functions.empty() ||
        own.size() != call.arguments.size())
        return Error{kExitInternal, fmt::format("no code for {} of {}", call.label, entry_.name)};
    const LoadedKernel& loaded = module.kernels[call.kernel];
    // Kernels count elements of a tensor in 32 bits.
    for (const Param& param : own) {
        const std::int64_t count = element_count(param, batch_);
        if (count <= kMost) continue;
        return Error{
            kExitRun,
            fmt::format("{}: a tensor of {} elements is too large for a GPU", call.label, count),
            std::nullopt, "at most 2^31 - 1 are possible: a smaller --batch may fit"};
    }
    std::vector<std::int64_t> offsets, scratch;
    for (const BufferRef& buffer : call.arguments) {
        offsets.push_back(buffer.offset_at(batch_, steps));
        regions_ |= bit(buffer.region);
    }
    for (const Param& param : loaded.kernel.scratch) {
        scratch.push_back(scratch_bytes_);
        scratch_bytes_ += GpuKernel::scratch_bytes(param, batch_);
    }
    for (std::size_t k = 0; k < loaded.functions.size(); ++k) {
        const GpuLaunch& how = loaded.kernel.launches[k];
        const std::int64_t blocks = how.blocks(batch_);
        if (blocks > kMost)
            return Error{kExitRun,
                         fmt::format("{}: {} blocks are too many for a GPU", call.label, blocks),
                         std::nullopt, "a smaller --batch may fit"};
        if (blocks <= 0) continue;
        maps_tensors_ = maps_tensors_ || !how.tensors.empty();
        launches_.push_back({&call,
                             &how,
                             loaded.functions[k],
                             static_cast<unsigned>(blocks),
                             offsets,
                             scratch,
                             {}});
    }
    return {};
}

// Which launches wait for which. Long loops keep the order they have: there is little beside it, and finding out takes
// time by the square.
void GpuCall::order_launches(const std::vector<std::vector<Param>>& params) {
    if (launches_.size() > kMostOrdered) {
        for (std::size_t k = 1; k < launches_.size(); ++k)
            launches_[k].waits = {static_cast<std::uint32_t>(k - 1)};
        return;
    }
    std::vector<std::vector<TouchedRange>> touched;
    std::vector<std::uint32_t> groups;
    for (const Launch& launch : launches_) {
        std::vector<TouchedRange>& ranges = touched.emplace_back();
        const std::vector<Param>& own = params[launch.call->kernel];
        for (std::size_t i = 0; i < own.size(); ++i) {
            const BufferRef& buffer = launch.call->arguments[i];
            const std::int64_t bytes = element_count(own[i], batch_) * size_of(own[i].dtype);
            ranges.push_back({buffer.region, buffer.number, launch.offsets[i],
                              launch.offsets[i] + bytes, own[i].direction != Direction::in});
        }
        // The launches of one kernel stand side by side and share its scratch memory.
        const bool same = touched.size() > 1 && !launch.scratch.empty() &&
                          launches_[touched.size() - 2].scratch == launch.scratch;
        groups.push_back(same ? groups.back() : static_cast<std::uint32_t>(touched.size()));
    }
    const auto order = launch_order(touched, groups);
    for (std::size_t k = 0; k < launches_.size(); ++k) launches_[k].waits = order[k];
}

bool GpuCall::in_host_memory() const { return block_ <= kSmallBlock && !maps_tensors_; }

// Where the device has inputs, flag and outputs. Small ones it reads and writes where the host has them, which its
// addresses reach as they are: a few accesses over the bus cost less than two copies.
cuda::Address GpuCall::base(const Slot& slot) const {
    if (slot.device) return slot.device.get();
    return reinterpret_cast<cuda::Address>(slot.host.get());
}

cuda::Address GpuCall::address(const BufferRef& buffer, const Slot& slot,
                               const GpuRegions& regions) const {
    const auto in_block = [&](const Piece& piece) {
        return base(slot) + static_cast<cuda::Address>(piece.offset);
    };
    switch (buffer.region) {
        case RegionKind::weights: return regions.weights;
        case RegionKind::prepared: return regions.prepared;
        case RegionKind::optimizer: return regions.optimizer;
        case RegionKind::workspace: return regions.workspace;
        case RegionKind::hyper: return regions.hyper;
        case RegionKind::input: return in_block(inputs_[buffer.number]);
        case RegionKind::output: return in_block(outputs_[buffer.number]);
    }
    return 0;
}

Status GpuCall::launch(const Launch& launch, const Slot& slot, cuda::Stream stream,
                       const GpuRegions& regions) const {
    std::vector<cuda::Address> addresses;
    for (std::size_t i = 0; i < launch.offsets.size(); ++i) {
        const cuda::Address base = address(launch.call->arguments[i], slot, regions);
        addresses.push_back(base + static_cast<cuda::Address>(launch.offsets[i]));
    }
    for (const std::int64_t offset : launch.scratch)
        addresses.push_back(scratch_.get() + static_cast<cuda::Address>(offset));
    auto batch = static_cast<std::uint32_t>(batch_);
    cuda::Address flag = base(slot) + static_cast<cuda::Address>(flag_);
    std::vector<void*> parameters;
    for (cuda::Address& each : addresses) parameters.push_back(&each);
    parameters.push_back(&batch);
    parameters.push_back(&flag);
    std::vector<cuda::TensorMap> maps;
    for (const GpuTensor& view : launch.how->tensors) {
        const auto map =
            make_tensor_map(*device_, tensor_map_request(view, addresses[view.param], batch_));
        if (!map) return map.error();
        maps.push_back(*map);
    }
    for (cuda::TensorMap& map : maps) parameters.push_back(&map);
    return device_->check(
        device_->functions().launch(
            launch.function, launch.blocks, 1, 1, static_cast<unsigned>(launch.how->threads), 1, 1,
            static_cast<unsigned>(launch.how->shared_bytes), stream, parameters.data(), nullptr),
        launch.call->label);
}

Status GpuCall::copy_inputs(const Slot& slot, cuda::Stream stream) const {
    const auto bytes = static_cast<std::size_t>(flag_) + sizeof(std::int32_t);
    return device_->check(
        device_->functions().copy_to_device(slot.device.get(), host(slot), bytes, stream),
        "copying the inputs");
}

// Each launch goes into the stream of one that it waits for, if that is the last there, else into another; it waits for
// the others by events. At the end the first stream waits for all.
Status GpuCall::record_launches(const Slot& slot, const GpuStreams& streams,
                                const GpuRegions& regions) {
    const cuda::Functions& f = device_->functions();
    constexpr std::string_view kDoing = "recording the calls";
    std::vector<cuda::Stream> all{streams.work};
    all.insert(all.end(), streams.beside.begin(), streams.beside.end());
    constexpr std::uint32_t kStart = ~0U;
    std::vector<std::uint32_t> last(all.size(), kStart);  // launch in each stream
    std::vector<bool> used(all.size(), false);
    used[0] = true;
    const auto record_event = [&](cuda::Stream stream) -> Status {
        Result<DeviceEvent> event = make_event(device_);
        if (!event) return event.error();
        events_.push_back(std::move(*event));
        return device_->check(f.event_record(events_.back().get(), stream), kDoing);
    };
    const auto wait = [&](std::size_t stream, std::size_t event) {
        return device_->check(f.stream_wait(all[stream], events_[event].get(), 0), kDoing);
    };
    if (Status s = record_event(all[0]); !s) return s;  // number 0: the start
    std::vector<std::size_t> stream_of(launches_.size());
    std::size_t turn = 0;
    for (std::size_t k = 0; k < launches_.size(); ++k) {
        const std::vector<std::uint32_t>& waits = launches_[k].waits;
        const auto goes_on = [&](std::size_t stream) {
            return last[stream] != kStart && std::ranges::find(waits, last[stream]) != waits.end();
        };
        std::size_t stream = 0;
        while (stream < all.size() && !goes_on(stream)) ++stream;
        if (stream == all.size()) {
            turn = (turn + 1) % all.size();
            stream = turn;
        }
        if (!used[stream]) {
            used[stream] = true;
            if (Status s = wait(stream, 0); !s) return s;
        }
        for (const std::uint32_t other : waits) {
            if (stream_of[other] == stream) continue;
            if (Status s = wait(stream, other + 1); !s) return s;
        }
        if (Status s = launch(launches_[k], slot, all[stream], regions); !s) return s;
        stream_of[k] = stream;
        last[stream] = static_cast<std::uint32_t>(k);
        if (Status s = record_event(all[stream]); !s) return s;
    }
    for (std::size_t stream = 1; stream < all.size(); ++stream) {
        if (last[stream] == kStart) continue;
        if (Status s = wait(0, last[stream] + 1); !s) return s;
    }
    return {};
}

Status GpuCall::record(const Slot& slot, const GpuStreams& streams, const GpuRegions& regions) {
    const cuda::Functions& f = device_->functions();
    if (!copies_beside_ && !in_host_memory()) {
        if (Status s = copy_inputs(slot, streams.work); !s) return s;
    }
    if (Status s = record_launches(slot, streams, regions); !s) return s;
    if (in_host_memory()) return {};
    const auto from = static_cast<std::size_t>(flag_);
    const auto end = outputs_.empty()
                         ? from + sizeof(std::int32_t)
                         : static_cast<std::size_t>(outputs_.back().offset + outputs_.back().size);
    return device_->check(
        f.copy_to_host(host(slot) + from, slot.device.get() + from, end - from, streams.work),
        "copying the outputs");
}

Status GpuCall::prepare(Slot& slot, const GpuStreams& streams, const GpuRegions& regions) {
    if (!scratch_ && scratch_bytes_ > 0) {
        Result<DeviceMemory> scratch = allocate(device_, scratch_bytes_, "parts of sums");
        if (!scratch) return scratch.error();
        scratch_ = std::move(*scratch);
    }
    if (!slot.host) {
        if (!in_host_memory()) {
            Result<DeviceMemory> device = allocate(device_, block_, "inputs and outputs");
            if (!device) return device.error();
            slot.device = std::move(*device);
        }
        Result<PinnedMemory> host = allocate_pinned(device_, block_);
        if (!host) return host.error();
        Result<DeviceEvent> arrived = make_event(device_);
        if (!arrived) return arrived.error();
        Result<DeviceEvent> done = make_event(device_);
        if (!done) return done.error();
        slot.host = std::move(*host);
        slot.arrived = std::move(*arrived);
        slot.done = std::move(*done);
    }
    if (slot.graph) return {};
    Result<DeviceGraph> graph =
        capture(device_, streams.work, [&] { return record(slot, streams, regions); });
    events_.clear();
    if (!graph) return graph.error();
    slot.graph = std::move(*graph);
    recorded_ += 1;
    return {};
}

Status GpuCall::start(const GpuStreams& streams, const GpuRegions& regions,
                      std::span<const std::byte* const> inputs) {
    // One pair is enough while each run is waited for.
    if (under_way_ == 0) next_ = 0;
    Slot& slot = slots_[next_];
    if (Status s = prepare(slot, streams, regions); !s) return s;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
        if (inputs_[i].size == 0) continue;
        std::memcpy(host(slot) + inputs_[i].offset, inputs[i],
                    static_cast<std::size_t>(inputs_[i].size));
    }
    std::memset(host(slot) + flag_, 0, sizeof(std::int32_t));
    const cuda::Functions& f = device_->functions();
    const auto check = [&](cuda::Code code) {
        return device_->check(code, "starting " + entry_.name);
    };
    if (copies_beside_) {
        if (Status s = copy_inputs(slot, streams.copies); !s) return s;
        if (Status s = check(f.event_record(slot.arrived.get(), streams.copies)); !s) return s;
        if (Status s = check(f.stream_wait(streams.work, slot.arrived.get(), 0)); !s) return s;
    }
    if (Status s = check(f.graph_launch(slot.graph.get(), streams.work)); !s) return s;
    if (Status s = check(f.event_record(slot.done.get(), streams.work)); !s) return s;
    next_ = (next_ + 1) % kSlots;
    under_way_ += 1;
    return {};
}

Status GpuCall::finish() {
    finished_ = (next_ + kSlots - under_way_) % kSlots;
    under_way_ -= 1;
    const Slot& slot = slots_[finished_];
    const cuda::Code code = device_->functions().event_synchronize(slot.done.get());
    if (Status s = device_->check(code, fmt::format("running {}", entry_.name)); !s) return s;
    std::int32_t flag = 0;
    std::memcpy(&flag, host(slot) + flag_, sizeof flag);
    if (flag != 0) return index_out_of_range(entry_.name);
    return {};
}

void GpuCall::copy_outputs(std::span<std::byte* const> outputs) const {
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
        if (outputs_[i].size == 0) continue;
        std::memcpy(outputs[i], host(slots_[finished_]) + outputs_[i].offset,
                    static_cast<std::size_t>(outputs_[i].size));
    }
}

void GpuCall::forget_graphs() {
    for (Slot& slot : slots_) slot.graph.reset();
}

}  // namespace netc
