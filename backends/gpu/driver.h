// NVIDIA's driver, loaded when it is asked for: nothing of CUDA is needed to build netc or to run it without a
// GPU. The types and functions that we use are declared here, with the driver's own names in driver.cpp; their ABI
// has been the same since CUDA 12.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "ir/result.h"

namespace netc {
namespace cuda {

using Code = int;  // of an error; 0 is none
using DeviceNumber = int;
using Address = std::uint64_t;  // in device memory
using Context = struct ContextState*;
using Module = struct ModuleState*;
using Function = struct FunctionState*;
using Stream = struct StreamState*;
using Event = struct EventState*;
using Graph = struct GraphState*;
using GraphExec = struct GraphExecState*;
using Link = struct LinkState*;
using JitOption = int;
struct alignas(64) TensorMap {
    std::uint64_t words[16];  // what they are, the driver knows
};

inline constexpr Code kSuccess = 0, kOutOfMemory = 2, kNoDevice = 100;
inline constexpr int kCapabilityMajor = 75, kCapabilityMinor = 76;  // of a device
inline constexpr int kRegisters = 4, kMaxDynamicSharedBytes = 8,
                     kSharedCarveout = 9;  // of a function
inline constexpr JitOption kErrorLog = 5, kErrorLogBytes = 6, kJitTarget = 9;
inline constexpr std::uintptr_t kArchitectureTarget = 0x10000;  // + 90: sm_90a
inline constexpr int kInputPtx = 1;
inline constexpr unsigned kStreamNonBlocking = 1, kEventDisableTiming = 2;
inline constexpr int kCaptureThreadLocal = 1;

struct Functions {
    Code (*init)(unsigned flags);
    Code (*driver_version)(int* version);  // 12040 for 12.4
    Code (*error_name)(Code, const char**);
    Code (*error_text)(Code, const char**);
    Code (*device_count)(int*);
    Code (*device_get)(DeviceNumber*, int ordinal);
    Code (*device_name)(char*, int bytes, DeviceNumber);
    Code (*device_attribute)(int*, int attribute, DeviceNumber);
    Code (*device_memory)(std::size_t*, DeviceNumber);
    Code (*context_retain)(Context*, DeviceNumber);
    Code (*context_release)(DeviceNumber);
    Code (*context_set)(Context);
    Code (*memory_info)(std::size_t* free, std::size_t* total);
    Code (*memory_allocate)(Address*, std::size_t);
    Code (*memory_free)(Address);
    Code (*pinned_allocate)(void**, std::size_t, unsigned flags);
    Code (*pinned_free)(void*);
    Code (*copy_to_device)(Address, const void*, std::size_t, Stream);
    Code (*copy_to_host)(void*, Address, std::size_t, Stream);
    Code (*fill_bytes)(Address, unsigned char, std::size_t, Stream);
    Code (*module_load)(Module*, const void* image, unsigned, JitOption*, void**);
    Code (*module_unload)(Module);
    Code (*module_function)(Function*, Module, const char* name);
    Code (*function_get)(int* value, int attribute, Function);
    Code (*function_set)(Function, int attribute, int value);
    Code (*stream_create)(Stream*, unsigned flags);
    Code (*stream_destroy)(Stream);
    Code (*stream_synchronize)(Stream);
    Code (*stream_wait)(Stream, Event, unsigned flags);
    Code (*begin_capture)(Stream, int mode);
    Code (*end_capture)(Stream, Graph*);
    Code (*graph_instantiate)(GraphExec*, Graph, unsigned long long flags);
    Code (*graph_launch)(GraphExec, Stream);
    Code (*graph_destroy)(Graph);
    Code (*graph_exec_destroy)(GraphExec);
    Code (*launch)(Function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                   unsigned block_y, unsigned block_z, unsigned shared, Stream, void** parameters,
                   void** extra);
    Code (*event_create)(Event*, unsigned flags);
    Code (*event_destroy)(Event);
    Code (*event_record)(Event, Stream);
    Code (*event_synchronize)(Event);
    Code (*link_create)(unsigned, JitOption*, void**, Link*);
    Code (*link_add)(Link, int type, void* data, std::size_t, const char* name, unsigned,
                     JitOption*, void**);
    Code (*link_complete)(Link, void** image, std::size_t*);  // the image is the link's
    Code (*link_destroy)(Link);
    Code (*tensor_map_encode)(TensorMap*, int type, std::uint32_t rank, void* address,
                              const std::uint64_t* extents, const std::uint64_t* strides,
                              const std::uint32_t* box, const std::uint32_t* element_strides,
                              int interleave, int swizzle, int promotion, int outside);
};

}  // namespace cuda

class Driver {
public:
    // Loads and initialises the library at `path` (empty: libcuda.so.1 of the system), which stays loaded. Errors have
    // status 4: there is no such library, it is older than CUDA 12.0, it finds no GPU.
    static Result<std::shared_ptr<const Driver>> load(const std::string& path);

    const cuda::Functions& functions() const { return functions_; }
    int version() const { return version_; }  // 12040 for 12.4

    // What a failed call means for the user; `doing` goes on from "while": "copying the inputs". Status 4, and 70 where
    // our code was not taken.
    Error failed(cuda::Code code, std::string_view doing) const;
    Status check(cuda::Code code, std::string_view doing) const {
        if (code == cuda::kSuccess) return {};
        return failed(code, doing);
    }

private:
    cuda::Functions functions_{};
    int version_ = 0;
};

}  // namespace netc
