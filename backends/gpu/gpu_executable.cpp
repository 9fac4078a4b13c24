#include "backends/gpu/gpu_executable.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace netc {
namespace {

constexpr std::int64_t kBehind = 256;  // loads of vectors may go on behind the last element
constexpr std::int64_t kDefaultShared = 48 * 1024;  // dynamic shared memory without asking
constexpr std::size_t kMostCalls = 32;              // entries at a batch that are kept ready

std::string_view name_of(RegionKind region) {
    switch (region) {
        case RegionKind::weights: return "weights";
        case RegionKind::prepared: return "prepared weights";
        case RegionKind::optimizer: return "optimizer's state";
        case RegionKind::workspace: return "workspace";
        case RegionKind::input: return "inputs";
        case RegionKind::output: return "outputs";
        case RegionKind::hyper: return "settings of the run";
    }
    return "?";
}

std::int64_t integer_at(DType type, const std::byte* from) {
    const auto as = [&]<class T>(T value) {
        std::memcpy(&value, from, sizeof value);
        return static_cast<std::int64_t>(value);
    };
    switch (netc::size_of(type)) {
        case 1: return type == DType::i8 ? as(std::int8_t{}) : as(std::uint8_t{});
        case 2: return as(std::int16_t{});
        case 4: return as(std::int32_t{});
        default: return as(std::int64_t{});
    }
}

// Labels and other indices, before anything is written.
Status check_ranges(const Entry& entry, const CallMemory& memory, std::int64_t batch) {
    for (const Entry::IndexRange& range : entry.index_ranges) {
        const EntryArgument& input = entry.inputs[range.input];
        std::int64_t count = 1;
        for (const Extent& dim : input.dims) count *= dim.at(batch);
        const std::byte* at = memory.inputs[range.input];
        for (std::int64_t i = 0; i < count; ++i, at += netc::size_of(input.dtype)) {
            if (range.covers(i) && !range.holds(integer_at(input.dtype, at)))
                return index_out_of_range(entry.name);
        }
    }
    return {};
}

std::byte* of(const CallMemory& memory, RegionKind region) {
    switch (region) {
        case RegionKind::weights: return memory.weights;
        case RegionKind::prepared: return memory.prepared;
        case RegionKind::optimizer: return memory.optimizer;
        case RegionKind::hyper: return memory.hyper;
        case RegionKind::workspace:
        case RegionKind::input:
        case RegionKind::output: break;
    }
    return nullptr;
}

Result<cuda::Function> find_function(const Device& device, cuda::Module module,
                                     const GpuLaunch& launch) {
    const cuda::Functions& f = device.functions();
    const std::string doing = fmt::format("looking for {}", launch.symbol);
    cuda::Function function = nullptr;
    if (Status s = device.check(f.module_function(&function, module, launch.symbol.c_str()), doing);
        !s)
        return s.error();
    // The driver loads a function when something of it is wanted, which is not to be while launches are recorded.
    int registers = 0;
    if (Status s = device.check(f.function_get(&registers, cuda::kRegisters, function), doing); !s)
        return s.error();
    // The driver divides a multiprocessor's memory into cache and shared memory for one block of a kernel, where
    // several would fit.
    constexpr std::int64_t kMuchShared = 16 * 1024;
    if (launch.shared_bytes >= kMuchShared) {
        if (Status s = device.check(f.function_set(function, cuda::kSharedCarveout, 100),
                                    fmt::format("dividing memory for {}", launch.symbol));
            !s)
            return s.error();
    }
    if (launch.shared_bytes <= kDefaultShared) return function;
    const auto bytes = static_cast<int>(launch.shared_bytes);
    if (Status s = device.check(
            f.function_set(function, cuda::kMaxDynamicSharedBytes, bytes),
            fmt::format("giving {} bytes of shared memory to {}", bytes, launch.symbol));
        !s)
        return s.error();
    return function;
}

// Launches that may run side by side are spread over so many streams more.
constexpr int kStreamsBeside = 5;

constexpr RegionKind kKept[] = {RegionKind::weights, RegionKind::prepared, RegionKind::optimizer,
                                RegionKind::hyper};

}  // namespace

Result<std::unique_ptr<GpuExecutable>>
GpuExecutable::create(SharedDevice device, Program program, std::vector<std::vector<Param>> params,
                      MakeGpuImage make_image, const std::vector<std::string>& entries,
                      const std::vector<std::string>& deferred) {
    std::unique_ptr<GpuExecutable> made(new GpuExecutable(
        std::move(device), std::move(program), std::move(params), std::move(make_image)));
    if (Status s = made->device_->use(); !s) return s.error();
    Result<DeviceStream> stream = make_stream(made->device_);
    if (!stream) return stream.error();
    made->stream_ = std::move(*stream);
    Result<DeviceStream> copies = make_stream(made->device_);
    if (!copies) return copies.error();
    made->copies_ = std::move(*copies);
    for (int k = 0; k < kStreamsBeside; ++k) {
        Result<DeviceStream> beside = make_stream(made->device_);
        if (!beside) return beside.error();
        made->beside_.push_back(std::move(*beside));
    }
    std::vector<EntryCode*> first;
    for (const Entry& entry : made->program_.entries) {
        if (!entries.empty() && std::ranges::find(entries, entry.name) == entries.end()) continue;
        EntryCode& code = made->entries_[entry.name];
        code.entry = &entry;
        if (std::ranges::find(deferred, entry.name) == deferred.end()) first.push_back(&code);
    }
    if (Status s = made->load(first); !s) return s.error();
    return made;
}

GpuExecutable::~GpuExecutable() {
    // What is under way works on memory that goes now.
    const std::lock_guard lock(running_);
    if (device_->use()) (void)finish_all();
}

Status GpuExecutable::load(const std::vector<EntryCode*>& entries) {
    if (entries.empty()) return {};
    std::vector<std::string> names;
    for (const EntryCode* code : entries) names.push_back(code->entry->name);
    Result<GpuImage> image = make_image_(names);
    if (!image) return image.error();
    Result<DeviceModule> module = load_module(device_, image->bytes);
    if (!module) return module.error();
    GpuModule loaded{std::move(*module), {}};
    for (GpuKernel& kernel : image->kernels) {
        LoadedKernel& in_device = loaded.kernels.emplace_back();
        for (const GpuLaunch& launch : kernel.launches) {
            Result<cuda::Function> function = find_function(*device_, loaded.module.get(), launch);
            if (!function) return function.error();
            in_device.functions.push_back(*function);
        }
        in_device.kernel = std::move(kernel);
    }
    modules_.push_back(std::move(loaded));
    for (EntryCode* code : entries) code->module = &modules_.back();
    return {};
}

std::int64_t GpuExecutable::size_of(RegionKind region) const {
    switch (region) {
        case RegionKind::weights: return program_.weights_size;
        case RegionKind::prepared: return program_.prepared_size;
        case RegionKind::optimizer: return program_.optimizer_size;
        case RegionKind::hyper: return kAlignment;
        case RegionKind::workspace:
        case RegionKind::input:
        case RegionKind::output: break;
    }
    return 0;
}

cuda::Address& GpuExecutable::address_of(RegionKind region) {
    switch (region) {
        case RegionKind::weights: return regions_.weights;
        case RegionKind::prepared: return regions_.prepared;
        case RegionKind::optimizer: return regions_.optimizer;
        case RegionKind::hyper: return regions_.hyper;
        case RegionKind::workspace:
        case RegionKind::input:
        case RegionKind::output: break;
    }
    return regions_.workspace;
}

// Memory of at least this size, zeroed. What it held before is lost.
Status GpuExecutable::reserve(RegionKind region, std::int64_t size) {
    auto& [memory, has] = memory_[region];
    if (memory && size <= has) return {};
    // Graphs hold the old address.
    if (Status s = finish_all(); !s) return s;
    for (auto& [key, call] : calls_) call->forget_graphs();
    memory.reset();
    has = 0;
    Result<DeviceMemory> made = allocate(device_, size + kBehind, name_of(region));
    if (!made) return made.error();
    memory = std::move(*made);
    has = size;
    address_of(region) = memory.get();
    const cuda::Functions& f = device_->functions();
    return device_->check(
        f.fill_bytes(memory.get(), 0, static_cast<std::size_t>(size + kBehind), stream_.get()),
        "clearing memory");
}

// Gives the device what the host has newer of these regions.
Status GpuExecutable::upload(unsigned regions, const CallMemory& memory) {
    bool any = false;
    const cuda::Functions& f = device_->functions();
    for (const RegionKind region : kKept) {
        if ((regions & bit(region)) == 0) continue;
        if (Status s = reserve(region, size_of(region)); !s) return s;
        if ((host_newer_ & bit(region)) == 0) continue;
        const cuda::Code code =
            f.copy_to_device(address_of(region), of(memory, region),
                             static_cast<std::size_t>(size_of(region)), stream_.get());
        if (Status s = device_->check(code, fmt::format("copying the {}", name_of(region))); !s)
            return s;
        any = true;
    }
    if (!any) return {};
    // The caller may change its bytes when this returns.
    if (Status s = device_->check(f.stream_synchronize(stream_.get()), "copying to the GPU"); !s)
        return s;
    host_newer_ &= ~regions;
    return {};
}

void GpuExecutable::release_calls() {
    calls_.clear();
    ended_ = {};
}

Result<GpuCall*> GpuExecutable::call_of(EntryCode& code, std::int64_t batch) {
    const auto key = std::pair(code.entry, batch);
    const auto found = calls_.find(key);
    if (found != calls_.end()) return found->second.get();
    if (calls_.size() >= kMostCalls) {
        if (Status s = finish_all(); !s) return s.error();
        release_calls();
    }
    Result<std::unique_ptr<GpuCall>> made =
        GpuCall::make(device_, *code.entry, batch, *code.module, params_);
    if (!made) return made.error();
    return (calls_[key] = std::move(*made)).get();
}

Status GpuExecutable::begin(std::string_view name, const CallMemory& memory, std::int64_t batch) {
    ended_ = {};  // memory of its outputs may be gone
    const auto found = entries_.find(name);
    if (found == entries_.end())
        return Error{kExitInternal, fmt::format("the entry {} was not compiled", name)};
    EntryCode& code = found->second;
    if (Status s = device_->use(); !s) return s;
    if (code.module == nullptr) {
        if (Status s = load({&code}); !s) return s;
    }
    if (Status s = check_batch(*code.entry, batch); !s) return s;
    if (Status s = check_ranges(*code.entry, memory, batch); !s) return s;
    Result<GpuCall*> made = call_of(code, batch);
    if (!made) return made.error();
    GpuCall& call = **made;
    if ((call.regions() & bit(RegionKind::workspace)) != 0) {
        if (Status s = reserve(RegionKind::workspace, code.entry->workspace.at(batch)); !s)
            return s;
    }
    if (Status s = upload(call.regions(), memory); !s) return s;
    while (call.under_way() == GpuCall::kSlots) {
        if (Status s = finish_oldest(); !s) return s;
    }
    const std::size_t before = call.recorded();
    GpuStreams streams{stream_.get(), copies_.get(), {}};
    for (const DeviceStream& stream : beside_) streams.beside.push_back(stream.get());
    if (Status s = call.start(streams, regions_, memory.inputs); !s) return s;
    recorded_ += call.recorded() - before;
    under_way_.push_back({&call, {memory.outputs.begin(), memory.outputs.end()}});
    return {};
}

Status GpuExecutable::finish_oldest() {
    ended_ = std::move(under_way_.front());
    under_way_.pop_front();
    Status finished = ended_.call->finish();
    if (!finished) ended_ = {};
    return finished;
}

// The first error of all.
Status GpuExecutable::finish_all(std::size_t may_run) {
    Status all;
    while (under_way_.size() > may_run) {
        if (Status s = finish_oldest(); !s && all) all = s;
    }
    return all;
}

Status GpuExecutable::start(std::string_view entry, const CallMemory& memory, std::int64_t batch) {
    const std::lock_guard lock(running_);
    return begin(entry, memory, batch);
}

Status GpuExecutable::wait(std::size_t may_run) {
    const std::lock_guard lock(running_);
    if (under_way_.size() > may_run) {
        if (Status s = device_->use(); !s) return s;
        if (Status s = finish_all(may_run); !s) return s;
    }
    const Run ended = std::exchange(ended_, {});
    if (ended.call != nullptr) ended.call->copy_outputs(ended.outputs);
    return {};
}

Status GpuExecutable::run(std::string_view entry, const CallMemory& memory, std::int64_t batch) {
    if (Status s = start(entry, memory, batch); !s) return s;
    return wait();
}

void GpuExecutable::host_changed(RegionKind region) {
    const std::lock_guard lock(running_);
    host_newer_ |= bit(region);
}

Status GpuExecutable::fetch(RegionKind region, std::byte* to, std::int64_t offset,
                            std::int64_t size) {
    const std::lock_guard lock(running_);
    const auto found = memory_.find(region);
    const bool kept = region != RegionKind::workspace;
    if (found == memory_.end() || (kept && (host_newer_ & bit(region)) != 0)) return {};
    if (Status s = device_->use(); !s) return s;
    if (Status s = finish_all(); !s) return s;
    const cuda::Functions& f = device_->functions();
    const cuda::Address from = found->second.first.get() + static_cast<cuda::Address>(offset);
    const std::string doing = fmt::format("copying the {} back", name_of(region));
    if (Status s = device_->check(
            f.copy_to_host(to, from, static_cast<std::size_t>(size), stream_.get()), doing);
        !s)
        return s;
    return device_->check(f.stream_synchronize(stream_.get()), doing);
}

}  // namespace netc
