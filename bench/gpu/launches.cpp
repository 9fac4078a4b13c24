#include "bench/gpu/launches.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include <fmt/format.h>

#include "backends/gpu/tensor_map.h"

namespace netc::gpu_bench {
namespace {

constexpr std::int64_t kBehind = 256;
constexpr std::int64_t kDefaultShared = 48 * 1024;
constexpr double kSecondsOfEntry = 0.25, kSecondsOfKernel = 0.02;

std::int64_t bytes_of(const EntryArgument& argument, std::int64_t batch) {
    std::int64_t bytes = size_of(argument.dtype);
    for (const Extent& extent : argument.dims) bytes *= extent.at(batch);
    return bytes;
}

}  // namespace

Result<double> median_seconds(double seconds, const std::function<Status(std::int64_t)>& work) {
    using Clock = std::chrono::steady_clock;
    constexpr std::size_t kFewest = 5;
    constexpr double kBlock = 0.01;
    Status failed;
    const auto block = [&](std::int64_t times) {
        const auto begin = Clock::now();
        if (Status s = work(times); !s && failed) failed = s;
        return std::chrono::duration<double>(Clock::now() - begin).count();
    };
    // What takes longer than all of the time is measured once, after a run that loads what it needs.
    std::int64_t times = 1;
    block(times);
    double last = 0;
    while (failed && (last = block(times)) < std::min(kBlock, seconds / kFewest)) times *= 2;
    std::vector<double> blocks = {last / static_cast<double>(times)};
    for (double spent = last; failed && spent < seconds * (blocks.size() < kFewest ? 3 : 1);) {
        last = block(times);
        spent += last;
        blocks.push_back(last / static_cast<double>(times));
    }
    if (!failed) return failed.error();
    std::ranges::sort(blocks);
    return blocks[blocks.size() / 2];
}

Result<cuda::Function> find_function(const SharedDevice& device, cuda::Module module,
                                     const std::string& symbol, std::int64_t shared_bytes) {
    const cuda::Functions& f = device->functions();
    const std::string doing = "looking for " + symbol;
    cuda::Function function = nullptr;
    Status s = device->check(f.module_function(&function, module, symbol.c_str()), doing);
    // The driver loads a function when something of it is wanted, which is not to be while launches are recorded.
    int registers = 0;
    if (s) s = device->check(f.function_get(&registers, cuda::kRegisters, function), doing);
    if (s && shared_bytes > kDefaultShared)
        s = device->check(
            f.function_set(function, cuda::kMaxDynamicSharedBytes, static_cast<int>(shared_bytes)),
            doing);
    if (!s) return s.error();
    return function;
}

Result<Launches> Launches::make(SharedDevice device, const Workload& workload,
                                const PackedCode& code) {
    Launches made(std::move(device), workload, code);
    if (Status s = made.load(); !s) return s.error();
    for (const char* entry : {"init", "prepare"}) {
        if (Status s = made.run_once(entry); !s) return s.error();
    }
    return made;
}

Status Launches::load() {
    Result<DeviceStream> stream = make_stream(device_);
    if (!stream) return stream.error();
    stream_ = std::move(*stream);
    Result<DeviceModule> module = load_module(device_, code_->image);
    if (!module) return module.error();
    module_ = std::move(*module);
    const Result<cuda::Address> flag = reserve(sizeof(std::int32_t));
    if (!flag) return flag.error();
    flag_ = *flag;

    const Program& program = workload_->program;
    const std::int64_t batch = workload_->batch;
    std::int64_t workspace = kAlignment;
    for (const Entry& entry : program.entries)
        workspace = std::max(workspace, entry.workspace.at(batch));
    const std::pair<RegionKind, std::int64_t> sizes[] = {
        {RegionKind::weights, program.weights_size},
        {RegionKind::prepared, program.prepared_size},
        {RegionKind::optimizer, program.optimizer_size},
        {RegionKind::hyper, kAlignment},
        {RegionKind::workspace, workspace}};
    for (const auto& [kind, size] : sizes) {
        const Result<cuda::Address> place = reserve(size);
        if (!place) return place.error();
        regions_[{kind, 0}] = {*place, size};
    }
    // The rate is what the program says; the seed is 0.
    const float rate = std::numeric_limits<float>::quiet_NaN();
    const Entry& entry = *program.find(workload_->entry);
    const cuda::Functions& f = device_->functions();
    const auto copy = [&](cuda::Address to, const void* from, std::size_t size) -> Status {
        Status s = device_->check(f.copy_to_device(to, from, size, stream_.get()), "copying");
        if (s) s = device_->check(f.stream_synchronize(stream_.get()), "copying");
        return s;
    };
    const cuda::Address hyper = regions_[{RegionKind::hyper, 0}].first;
    if (Status s = copy(hyper + kHyperRate, &rate, sizeof rate); !s) return s;
    const auto inputs = inputs_of(entry, batch, 0);
    for (std::uint32_t i = 0; i < inputs.size(); ++i) {
        const Result<cuda::Address> place = reserve(static_cast<std::int64_t>(inputs[i].size()));
        if (!place) return place.error();
        regions_[{RegionKind::input, i}] = {*place, 0};
        if (Status s = copy(*place, inputs[i].data(), inputs[i].size()); !s) return s;
    }
    for (std::uint32_t i = 0; i < entry.outputs.size(); ++i) {
        const Result<cuda::Address> place = reserve(bytes_of(entry.outputs[i], batch));
        if (!place) return place.error();
        regions_[{RegionKind::output, i}] = {*place, 0};
    }
    return {};
}

// Zeroed memory.
Result<cuda::Address> Launches::reserve(std::int64_t bytes) {
    Result<DeviceMemory> made = allocate(device_, bytes + kBehind, "benchmark");
    if (!made) return made.error();
    const cuda::Functions& f = device_->functions();
    const auto size = static_cast<std::size_t>(bytes + kBehind);
    if (Status s = device_->check(f.fill_bytes(made->get(), 0, size, stream_.get()), "clearing");
        !s)
        return s.error();
    memory_.push_back(std::move(*made));
    return memory_.back().get();
}

Result<std::vector<Launches::Launch>> Launches::list(const Entry& entry, std::int64_t batch) {
    std::vector<Launch> launches;
    const auto add = [&](const Call& call, const std::vector<std::int64_t>& steps) -> Status {
        const std::int64_t number = &call - entry.calls.data();
        const GpuKernel& kernel = code_->kernels[call.kernel];
        std::vector<cuda::Address> addresses;
        for (const BufferRef& buffer : call.arguments) {
            const bool numbered =
                buffer.region == RegionKind::input || buffer.region == RegionKind::output;
            addresses.push_back(regions_.at({buffer.region, numbered ? buffer.number : 0}).first +
                                static_cast<cuda::Address>(buffer.offset_at(batch, steps)));
        }
        for (std::size_t k = 0; k < kernel.scratch.size(); ++k) {
            cuda::Address& place =
                scratch_[{static_cast<std::int64_t>(call.kernel), static_cast<std::int64_t>(k)}];
            if (place == 0) {
                const auto made = reserve(
                    GpuKernel::scratch_bytes(kernel.scratch[k], std::max(batch, workload_->batch)));
                if (!made) return made.error();
                place = *made;
            }
            addresses.push_back(place);
        }
        for (const GpuLaunch& how : kernel.launches) {
            Launch launch{&how, nullptr, static_cast<unsigned>(how.blocks(batch)), addresses,
                          number};
            if (launch.blocks == 0) continue;
            Result<cuda::Function> function =
                find_function(device_, module_.get(), how.symbol, how.shared_bytes);
            if (!function) return function.error();
            launch.function = *function;
            launches.push_back(std::move(launch));
        }
        return {};
    };
    if (Status s = run_calls(entry, add); !s) return s.error();
    return launches;
}

Status Launches::add(const Launch& launch, std::int64_t batch) const {
    auto size = static_cast<std::int32_t>(batch);
    std::vector<cuda::Address> addresses = launch.addresses;
    cuda::Address flag = flag_;
    std::vector<void*> parameters;
    for (cuda::Address& address : addresses) parameters.push_back(&address);
    parameters.push_back(&size);
    parameters.push_back(&flag);
    std::vector<cuda::TensorMap> maps;
    for (const GpuTensor& view : launch.how->tensors) {
        const auto map =
            make_tensor_map(*device_, tensor_map_request(view, addresses[view.param], batch));
        if (!map) return map.error();
        maps.push_back(*map);
    }
    for (cuda::TensorMap& map : maps) parameters.push_back(&map);
    return device_->check(
        device_->functions().launch(launch.function, launch.blocks, 1, 1,
                                    static_cast<unsigned>(launch.how->threads), 1, 1,
                                    static_cast<unsigned>(launch.how->shared_bytes), stream_.get(),
                                    parameters.data(), nullptr),
        "launching " + launch.how->symbol);
}

Status Launches::run_once(const std::string& name) {
    const Entry* entry = workload_->program.find(name);
    if (entry == nullptr) return {};
    const auto launches = list(*entry, 1);
    if (!launches) return launches.error();
    for (const Launch& each : *launches) {
        if (Status s = add(each, 1); !s) return s;
    }
    return device_->check(device_->functions().stream_synchronize(stream_.get()),
                          "running " + name);
}

// Of all of them, one after the other.
Result<double> Launches::time(const std::vector<Launch>& launches, int repetitions,
                              double seconds) const {
    const cuda::Functions& f = device_->functions();
    const auto graph = capture(device_, stream_.get(), [&]() -> Status {
        for (int i = 0; i < repetitions; ++i) {
            for (const Launch& each : launches) {
                if (Status s = add(each, workload_->batch); !s) return s;
            }
        }
        return {};
    });
    if (!graph) return graph.error();
    const auto work = [&](std::int64_t times) -> Status {
        for (std::int64_t i = 0; i < times; ++i) {
            if (Status s = device_->check(f.graph_launch(graph->get(), stream_.get()), "running");
                !s)
                return s;
        }
        return device_->check(f.stream_synchronize(stream_.get()), "running");
    };
    const auto taken = median_seconds(seconds, work);
    if (!taken) return taken.error();
    return *taken / repetitions;
}

Result<double> Launches::seconds() {
    const auto launches = list(*workload_->program.find(workload_->entry), workload_->batch);
    if (!launches) return launches.error();
    return time(*launches, 1, kSecondsOfEntry);
}

Result<std::vector<KernelTime>> Launches::of_kernels() {
    constexpr int kRepetitions = 20;
    constexpr double kShort = 200e-6;  // so that launching a graph counts
    const Entry& entry = *workload_->program.find(workload_->entry);
    const auto launches = list(entry, workload_->batch);
    if (!launches) return launches.error();
    std::vector<KernelTime> times;
    std::map<std::uint32_t, std::size_t> rows;  // of kernels: what is called twice is timed once
    for (std::size_t c = 0; c < entry.calls.size(); ++c) {
        const Call& call = entry.calls[c];
        const auto [at, fresh] = rows.emplace(call.kernel, times.size());
        if (!fresh) {
            times[at->second].calls += times_called(entry, c);
            continue;
        }
        std::vector<Launch> mine;
        for (const Launch& each : *launches) {
            // Of a call in a loop the first step's.
            const std::size_t each_call = code_->kernels[call.kernel].launches.size();
            if (each.call == static_cast<std::int64_t>(c) && mine.size() < each_call)
                mine.push_back(each);
        }
        KernelTime& row = times.emplace_back();
        row.label = call.label;
        row.calls = times_called(entry, c);
        if (mine.empty()) continue;
        row.launches = static_cast<std::int64_t>(mine.size());
        row.blocks = mine.back().blocks;
        row.threads = mine.back().how->threads;
        auto seconds = time(mine, 1, 0);
        if (seconds && *seconds < kShort) {
            seconds = time(mine, kRepetitions, kSecondsOfKernel);
        } else if (seconds) {
            seconds = time(mine, 1, kSecondsOfKernel);
        }
        if (!seconds) return seconds.error();
        row.seconds = *seconds;
    }
    std::ranges::sort(times, std::greater(), [](const KernelTime& row) {
        return row.seconds * static_cast<double>(row.calls);
    });
    return times;
}

}  // namespace netc::gpu_bench
