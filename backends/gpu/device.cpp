#include "backends/gpu/device.h"

#include <array>

#include <fmt/format.h>

namespace netc {
namespace {

std::string gigabytes(double bytes) {
    return bytes < 1e9 ? fmt::format("{:.1f} MB", bytes / 1e6)
                       : fmt::format("{:.1f} GB", bytes / 1e9);
}

Result<std::string> name_of(const Driver& driver, cuda::DeviceNumber device) {
    std::array<char, 256> name{};
    const auto size = static_cast<int>(name.size());
    if (Status s = driver.check(driver.functions().device_name(name.data(), size, device),
                                "asking for the GPU's name");
        !s)
        return s.error();
    name.back() = 0;
    return std::string(name.data());
}

Error no_such_device(const Driver& driver, int number, int count) {
    Error error{kExitRun, fmt::format("there is no GPU {}: the driver finds {}", number, count)};
    for (int i = 0; i < count; ++i) {
        cuda::DeviceNumber device = 0;
        if (driver.functions().device_get(&device, i) != cuda::kSuccess) continue;
        const Result<std::string> name = name_of(driver, device);
        error.message += fmt::format("\n  gpu:{} {}", i, name ? *name : "without a name");
    }
    error.help = "`--device gpu:N` counts from 0; CUDA_VISIBLE_DEVICES may hide some";
    return error;
}

// The driver writes its log here. The options of a link are kept as long as it is.
class JitLog {
public:
    explicit JitLog(int architecture) {
        add(cuda::kErrorLog, text_.data());
        add(cuda::kErrorLogBytes, reinterpret_cast<void*>(text_.size() - 1));
        if (architecture != 0) {
            const auto target = cuda::kArchitectureTarget + static_cast<unsigned>(architecture);
            add(cuda::kJitTarget, reinterpret_cast<void*>(target));
        }
    }
    unsigned count() const { return count_; }
    cuda::JitOption* options() { return options_.data(); }
    void** values() { return values_.data(); }
    Error with_log(Error error) const {
        if (text_[0] != 0) error.message += fmt::format("\n{}", text_.data());
        return error;
    }

private:
    void add(cuda::JitOption option, void* value) {
        options_[count_] = option;
        values_[count_++] = value;
    }
    std::array<char, 8192> text_{};
    std::array<cuda::JitOption, 3> options_{};
    std::array<void*, 3> values_{};
    unsigned count_ = 0;
};

}  // namespace

Result<SharedDevice> Device::open(std::shared_ptr<const Driver> driver, int number) {
    const cuda::Functions& f = driver->functions();
    int count = 0;
    const cuda::Code code = f.device_count(&count);
    if (code != cuda::kSuccess && code != cuda::kNoDevice)
        return driver->failed(code, "counting the GPUs");
    if (count == 0) return driver->failed(cuda::kNoDevice, "looking for a GPU");
    if (number < 0 || number >= count) return no_such_device(*driver, number, count);
    const std::shared_ptr<Device> device(new Device(std::move(driver)));
    const auto check = [&](cuda::Code each) { return device->check(each, "opening the GPU"); };
    if (Status s = check(f.device_get(&device->device_, number)); !s) return s.error();
    Result<std::string> name = name_of(device->driver(), device->device_);
    if (!name) return name.error();
    device->name_ = std::move(*name);
    int major = 0, minor = 0;
    std::size_t bytes = 0;
    if (Status s = check(f.device_attribute(&major, cuda::kCapabilityMajor, device->device_)); !s)
        return s.error();
    if (Status s = check(f.device_attribute(&minor, cuda::kCapabilityMinor, device->device_)); !s)
        return s.error();
    if (Status s = check(f.device_memory(&bytes, device->device_)); !s) return s.error();
    device->capability_ = 10 * major + minor;
    device->bytes_ = static_cast<std::int64_t>(bytes);
    if (Status s = check(f.context_retain(&device->context_, device->device_)); !s)
        return s.error();
    if (Status s = device->use(); !s) return s.error();
    return SharedDevice(device);
}

Device::~Device() {
    if (context_ != nullptr) functions().context_release(device_);
}

Result<DeviceMemory> allocate(const SharedDevice& device, std::int64_t bytes,
                              std::string_view what) {
    const cuda::Functions& f = device->functions();
    cuda::Address address = 0;
    const cuda::Code code = f.memory_allocate(&address, static_cast<std::size_t>(bytes));
    if (code == cuda::kOutOfMemory) {
        std::size_t free = 0, total = 0;
        std::string has = "it has " + gigabytes(static_cast<double>(device->bytes()));
        if (f.memory_info(&free, &total) == cuda::kSuccess)
            has += fmt::format(", of which {} are free", gigabytes(static_cast<double>(free)));
        return Error{kExitRun,
                     fmt::format("no memory on {} for the {}: {} are needed, {}", device->name(),
                                 what, gigabytes(static_cast<double>(bytes)), has),
                     std::nullopt, "a smaller --batch or --recompute needs less"};
    }
    if (Status s = device->check(code, fmt::format("allocating memory for the {}", what)); !s)
        return s.error();
    return DeviceMemory(device, address, f.memory_free);
}

Result<PinnedMemory> allocate_pinned(const SharedDevice& device, std::int64_t bytes) {
    const cuda::Functions& f = device->functions();
    void* memory = nullptr;
    const cuda::Code code = f.pinned_allocate(&memory, static_cast<std::size_t>(bytes), 0);
    if (Status s = device->check(code, fmt::format("allocating {} of host memory for copies",
                                                   gigabytes(static_cast<double>(bytes))));
        !s)
        return s.error();
    return PinnedMemory(device, memory, f.pinned_free);
}

Result<DeviceStream> make_stream(const SharedDevice& device) {
    const cuda::Functions& f = device->functions();
    cuda::Stream stream = nullptr;
    if (Status s =
            device->check(f.stream_create(&stream, cuda::kStreamNonBlocking), "making a stream");
        !s)
        return s.error();
    return DeviceStream(device, stream, f.stream_destroy);
}

Result<DeviceEvent> make_event(const SharedDevice& device) {
    const cuda::Functions& f = device->functions();
    cuda::Event event = nullptr;
    if (Status s =
            device->check(f.event_create(&event, cuda::kEventDisableTiming), "making an event");
        !s)
        return s.error();
    return DeviceEvent(device, event, f.event_destroy);
}

Result<DeviceModule> load_module(const SharedDevice& device, const std::string& image) {
    const cuda::Functions& f = device->functions();
    JitLog log(0);
    cuda::Module module = nullptr;
    const cuda::Code code =
        f.module_load(&module, image.c_str(), log.count(), log.options(), log.values());
    if (Status s = device->check(code, "loading the code"); !s)
        return log.with_log(std::move(s.error()));
    return DeviceModule(device, module, f.module_unload);
}

Result<std::string> link_ptx(const SharedDevice& device, const std::string& ptx, int architecture) {
    const cuda::Functions& f = device->functions();
    JitLog log(architecture);
    cuda::Link handle = nullptr;
    if (Status s = device->check(f.link_create(log.count(), log.options(), log.values(), &handle),
                                 "compiling PTX");
        !s)
        return s.error();
    const Owned<cuda::Link> link(device, handle, f.link_destroy);
    // The size counts the 0 at the end. The driver does not write to the text.
    const cuda::Code added = f.link_add(handle, cuda::kInputPtx, const_cast<char*>(ptx.c_str()),
                                        ptx.size() + 1, "netc", 0, nullptr, nullptr);
    void* image = nullptr;
    std::size_t size = 0;
    const cuda::Code code =
        added != cuda::kSuccess ? added : f.link_complete(handle, &image, &size);
    if (Status s = device->check(code, "compiling PTX"); !s)
        return log.with_log(std::move(s.error()));
    return std::string(static_cast<const char*>(image), size);
}

}  // namespace netc
