// See driver.h: names of the driver's functions, and what its errors mean.
#include "backends/gpu/driver.h"

#include <dlfcn.h>

#include <fmt/format.h>

namespace netc {
namespace {

constexpr int kOldest = 12000;  // CUDA 12.0: sm_90a, and all functions below

std::string version_text(int version) {
    return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

// Finds functions until one is missing, whose name it keeps.
class Finder {
public:
    explicit Finder(void* library) : library_(library) {}
    const char* missing() const { return missing_; }

    template <class F>
    void operator()(F*& function, const char* name) {
        function = reinterpret_cast<F*>(dlsym(library_, name));
        if (function == nullptr && missing_ == nullptr) missing_ = name;
    }

private:
    void* library_;
    const char* missing_ = nullptr;
};

// Where a function has versions, the one that driver 12.0 has: later ones stand beside it.
void find_all(cuda::Functions& f, Finder& find) {
    find(f.init, "cuInit");
    find(f.driver_version, "cuDriverGetVersion");
    find(f.error_name, "cuGetErrorName");
    find(f.error_text, "cuGetErrorString");
    find(f.device_count, "cuDeviceGetCount");
    find(f.device_get, "cuDeviceGet");
    find(f.device_name, "cuDeviceGetName");
    find(f.device_attribute, "cuDeviceGetAttribute");
    find(f.device_memory, "cuDeviceTotalMem_v2");
    find(f.context_retain, "cuDevicePrimaryCtxRetain");
    find(f.context_release, "cuDevicePrimaryCtxRelease_v2");
    find(f.context_set, "cuCtxSetCurrent");
    find(f.memory_info, "cuMemGetInfo_v2");
    find(f.memory_allocate, "cuMemAlloc_v2");
    find(f.memory_free, "cuMemFree_v2");
    find(f.pinned_allocate, "cuMemHostAlloc");
    find(f.pinned_free, "cuMemFreeHost");
    find(f.copy_to_device, "cuMemcpyHtoDAsync_v2");
    find(f.copy_to_host, "cuMemcpyDtoHAsync_v2");
    find(f.fill_bytes, "cuMemsetD8Async");
    find(f.module_load, "cuModuleLoadDataEx");
    find(f.module_unload, "cuModuleUnload");
    find(f.module_function, "cuModuleGetFunction");
    find(f.function_get, "cuFuncGetAttribute");
    find(f.function_set, "cuFuncSetAttribute");
    find(f.stream_create, "cuStreamCreate");
    find(f.stream_destroy, "cuStreamDestroy_v2");
    find(f.stream_synchronize, "cuStreamSynchronize");
    find(f.stream_wait, "cuStreamWaitEvent");
    find(f.begin_capture, "cuStreamBeginCapture_v2");
    find(f.end_capture, "cuStreamEndCapture");
    find(f.graph_instantiate, "cuGraphInstantiateWithFlags");
    find(f.graph_launch, "cuGraphLaunch");
    find(f.graph_destroy, "cuGraphDestroy");
    find(f.graph_exec_destroy, "cuGraphExecDestroy");
    find(f.launch, "cuLaunchKernel");
    find(f.event_create, "cuEventCreate");
    find(f.event_destroy, "cuEventDestroy_v2");
    find(f.event_record, "cuEventRecord");
    find(f.event_synchronize, "cuEventSynchronize");
    find(f.link_create, "cuLinkCreate_v2");
    find(f.link_add, "cuLinkAddData_v2");
    find(f.link_complete, "cuLinkComplete");
    find(f.link_destroy, "cuLinkDestroy");
    find(f.tensor_map_encode, "cuTensorMapEncodeTiled");
}

// What the user has before them, by the driver's numbers.
enum class Cause : std::uint8_t { no_driver, no_device, busy, memory, code, lost, other };

Cause cause_of(cuda::Code code) {
    switch (code) {
        case 2: return Cause::memory;       // OUT_OF_MEMORY
        case 34:                            // STUB_LIBRARY
        case 221:                           // JIT_COMPILER_NOT_FOUND
        case 802:                           // SYSTEM_NOT_READY
        case 803:                           // SYSTEM_DRIVER_MISMATCH
        case 804: return Cause::no_driver;  // COMPAT_NOT_SUPPORTED_ON_DEVICE
        case 100:                           // NO_DEVICE
        case 101: return Cause::no_device;  // INVALID_DEVICE
        case 46:                            // DEVICE_UNAVAILABLE
        case 805:                           // MPS_CONNECTION_FAILED
        case 806:                           // MPS_SERVER_NOT_READY
        case 807: return Cause::busy;       // MPS_MAX_CLIENTS_REACHED
        case 200:                           // INVALID_IMAGE
        case 209:                           // NO_BINARY_FOR_GPU
        case 218:                           // INVALID_PTX
        case 222:                           // UNSUPPORTED_PTX_VERSION
        case 300:                           // INVALID_SOURCE
        case 500: return Cause::code;       // NOT_FOUND
        case 214:                           // ECC_UNCORRECTABLE
        case 220:                           // NVLINK_UNCORRECTABLE
        case 226:                           // CONTAINED
        case 700:                           // ILLEGAL_ADDRESS
        case 702:                           // LAUNCH_TIMEOUT
        case 710:                           // ASSERT
        case 714:                           // HARDWARE_STACK_ERROR
        case 715:                           // ILLEGAL_INSTRUCTION
        case 716:                           // MISALIGNED_ADDRESS
        case 717:                           // INVALID_ADDRESS_SPACE
        case 718:                           // INVALID_PC
        case 719:                           // LAUNCH_FAILED
        case 999: return Cause::lost;       // UNKNOWN
        default: return Cause::other;
    }
}

}  // namespace

Error Driver::failed(cuda::Code code, std::string_view doing) const {
    const char *name = nullptr, *text = nullptr;
    if (functions_.error_name(code, &name) != cuda::kSuccess || name == nullptr) name = "unknown";
    if (functions_.error_text(code, &text) != cuda::kSuccess || text == nullptr) text = "no text";
    const std::string said = fmt::format("while {}: {} ({}, {})", doing, text, name, code);
    const auto error = [](int status, std::string message, const char* help) {
        return Error{status, std::move(message), std::nullopt, help};
    };
    switch (cause_of(code)) {
        case Cause::no_driver:
            return error(kExitRun, "the NVIDIA driver does not work, " + said,
                         "`nvidia-smi` should list the GPU; the driver's library and its kernel "
                         "module must be of one version");
        case Cause::no_device:
            return error(kExitRun, "there is no such GPU, " + said,
                         "`nvidia-smi` lists what the driver finds; CUDA_VISIBLE_DEVICES may hide "
                         "some of it");
        case Cause::busy:
            return error(kExitRun, "the GPU is in use by others, " + said,
                         "`nvidia-smi` shows by whom");
        case Cause::memory:
            return error(kExitRun, "no memory, " + said,
                         "a smaller --batch or --recompute needs less");
        case Cause::code:
            return error(kExitInternal,
                         "the GPU's driver does not take the compiled program, " + said,
                         "this is a bug in netc, please report it with the program; a newer driver "
                         "may help");
        case Cause::lost:
            return error(kExitRun, "the GPU stopped, " + said,
                         "start again, with --resume where a run was written; if it stops again, "
                         "please report it with the program");
        case Cause::other: break;
    }
    return error(kExitRun, "the GPU's driver failed, " + said,
                 "`nvidia-smi` shows whether the GPU works");
}

Result<std::shared_ptr<const Driver>> Driver::load(const std::string& path) {
    const std::string name = path.empty() ? "libcuda.so.1" : path;
    void* const library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        const char* const why = dlerror();
        return Error{kExitRun,
                     fmt::format("no driver for an NVIDIA GPU: {}", why != nullptr ? why : name),
                     std::nullopt,
                     "`--device gpu` needs NVIDIA's driver for CUDA 12.0 or later; `--device cpu` "
                     "runs here"};
    }
    const auto driver = std::make_shared<Driver>();
    cuda::Functions& f = driver->functions_;
    Finder find(library);
    find_all(f, find);
    const auto too_old = [](const std::string& why) {
        return Error{kExitRun, "the NVIDIA driver is too old: " + why, std::nullopt,
                     "netc needs a driver for CUDA 12.0 or later (525.60 or later)"};
    };
    if (f.driver_version != nullptr) f.driver_version(&driver->version_);
    if (driver->version_ < kOldest && driver->version_ > 0)
        return too_old("it is for CUDA " + version_text(driver->version_));
    if (find.missing() != nullptr) return too_old(fmt::format("it has no {}", find.missing()));
    if (Status s = driver->check(f.init(0), "starting the driver"); !s) return s.error();
    return std::shared_ptr<const Driver>(driver);
}

}  // namespace netc
