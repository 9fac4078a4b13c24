// One GPU that netc works with, and what it owns there: all is given back when the object goes. Functions that fail
// give the errors of Driver::failed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "backends/gpu/driver.h"

namespace netc {

class Device {
public:
    // Holds the primary context of the GPU of this number, from 0 on. Error (status 4): there is no such GPU, with a
    // list of those that there are.
    static Result<std::shared_ptr<const Device>> open(std::shared_ptr<const Driver> driver,
                                                      int number);
    ~Device();
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    const Driver& driver() const { return *driver_; }
    const cuda::Functions& functions() const { return driver_->functions(); }
    const std::string& name() const { return name_; }  // NVIDIA H100 80GB HBM3
    int capability() const { return capability_; }     // 90 for 9.0
    std::int64_t bytes() const { return bytes_; }      // of its memory

    // Makes it the one that the calling thread's next driver calls are about.
    Status use() const { return check(functions().context_set(context_), "using the GPU"); }
    Status check(cuda::Code code, std::string_view doing) const {
        return driver_->check(code, doing);
    }

private:
    explicit Device(std::shared_ptr<const Driver> driver) : driver_(std::move(driver)) {}

    std::shared_ptr<const Driver> driver_;
    cuda::DeviceNumber device_ = 0;
    cuda::Context context_ = nullptr;
    std::string name_;
    int capability_ = 0;
    std::int64_t bytes_ = 0;
};

// Something of a device that a function of the driver releases: memory, a module, a stream.
template <class T>
class Owned {
public:
    using Release = cuda::Code (*)(T);

    Owned() = default;
    Owned(std::shared_ptr<const Device> device, T handle, Release release)
        : device_(std::move(device)), handle_(handle), release_(release) {}
    Owned(Owned&& other) noexcept
        : device_(std::move(other.device_)), handle_(std::exchange(other.handle_, T{})),
          release_(other.release_) {}
    Owned& operator=(Owned&& other) noexcept {
        if (this != &other) {
            reset();
            device_ = std::move(other.device_);
            handle_ = std::exchange(other.handle_, T{});
            release_ = other.release_;
        }
        return *this;
    }
    ~Owned() { reset(); }

    T get() const { return handle_; }
    explicit operator bool() const { return handle_ != T{}; }
    void reset() {
        if (handle_ == T{}) return;
        // A device that was lost gives errors here too; whoever ran something on it has reported them.
        (void)device_->use();
        release_(handle_);
        handle_ = T{};
    }

private:
    std::shared_ptr<const Device> device_;
    T handle_{};
    Release release_ = nullptr;
};

using DeviceMemory = Owned<cuda::Address>;
using PinnedMemory = Owned<void*>;  // of the host, where the device copies from and to
using DeviceModule = Owned<cuda::Module>;
using DeviceStream = Owned<cuda::Stream>;
using DeviceEvent = Owned<cuda::Event>;
using DeviceGraph = Owned<cuda::GraphExec>;

using SharedDevice = std::shared_ptr<const Device>;

// `bytes` of 1 or more, aligned to 256. Error: how much was wanted for `what` and how much the device has.
Result<DeviceMemory> allocate(const SharedDevice& device, std::int64_t bytes,
                              std::string_view what);
Result<PinnedMemory> allocate_pinned(const SharedDevice& device, std::int64_t bytes);
Result<DeviceStream> make_stream(const SharedDevice& device);
Result<DeviceEvent> make_event(const SharedDevice& device);
// `image`: a cubin, or PTX that ends with a 0. The error of PTX that is not taken has the driver's log.
Result<DeviceModule> load_module(const SharedDevice& device, const std::string& image);
// The machine code of a PTX text for this device. `architecture`: 90 for sm_90a, 0 for code that is not of one
// architecture alone.
Result<std::string> link_ptx(const SharedDevice& device, const std::string& ptx, int architecture);

// What `record` puts into the stream, as a graph. Parallel branches, once there are any, are forks of the stream by
// events within `record`: the captured graph has their edges.
template <class Record>
Result<DeviceGraph> capture(const SharedDevice& device, cuda::Stream stream, Record record) {
    const cuda::Functions& f = device->functions();
    constexpr std::string_view kDoing = "recording the calls";
    if (Status s = device->check(f.begin_capture(stream, cuda::kCaptureThreadLocal), kDoing); !s)
        return s.error();
    const Status recorded = record();
    cuda::Graph graph = nullptr;
    const cuda::Code ended = f.end_capture(stream, &graph);
    cuda::GraphExec exec = nullptr;
    Status made = recorded ? device->check(ended, kDoing) : recorded;
    if (made) made = device->check(f.graph_instantiate(&exec, graph, 0), kDoing);
    if (graph != nullptr) f.graph_destroy(graph);
    if (!made) return made.error();
    return DeviceGraph(device, exec, f.graph_exec_destroy);
}

}  // namespace netc
