/* What the files of the runtime of emitted GPU objects share; see object_open.c. */
#ifndef NETC_OBJECT_RUNTIME_H
#define NETC_OBJECT_RUNTIME_H

#include "backends/gpu/object/object_program.h"
#include "backends/gpu/object/object_status.h"

typedef int Code; /* of the driver; 0 is none */
typedef uint64_t Address;

/* Field, the driver's name, arguments. */
#define DRIVER(F)                                                                                  \
    F(version, "cuDriverGetVersion", (int*))                                                       \
    F(init, "cuInit", (unsigned))                                                                  \
    F(device_count, "cuDeviceGetCount", (int*))                                                    \
    F(device_get, "cuDeviceGet", (int*, int))                                                      \
    F(device_attribute, "cuDeviceGetAttribute", (int*, int, int))                                  \
    F(context_retain, "cuDevicePrimaryCtxRetain", (void**, int))                                   \
    F(context_release, "cuDevicePrimaryCtxRelease_v2", (int))                                      \
    F(context_push, "cuCtxPushCurrent_v2", (void*))                                                \
    F(context_pop, "cuCtxPopCurrent_v2", (void**))                                                 \
    F(allocate, "cuMemAlloc_v2", (Address*, size_t))                                               \
    F(release, "cuMemFree_v2", (Address))                                                          \
    F(to_device, "cuMemcpyHtoDAsync_v2", (Address, const void*, size_t, void*))                    \
    F(to_host, "cuMemcpyDtoHAsync_v2", (void*, Address, size_t, void*))                            \
    F(within, "cuMemcpyDtoDAsync_v2", (Address, Address, size_t, void*))                           \
    F(fill, "cuMemsetD8Async", (Address, unsigned char, size_t, void*))                            \
    F(module_load, "cuModuleLoadDataEx", (void**, const void*, unsigned, int*, void**))            \
    F(module_unload, "cuModuleUnload", (void*))                                                    \
    F(module_function, "cuModuleGetFunction", (void**, void*, const char*))                        \
    F(function_get, "cuFuncGetAttribute", (int*, int, void*))                                      \
    F(function_set, "cuFuncSetAttribute", (void*, int, int))                                       \
    F(stream_create, "cuStreamCreate", (void**, unsigned))                                         \
    F(stream_destroy, "cuStreamDestroy_v2", (void*))                                               \
    F(stream_wait, "cuStreamSynchronize", (void*))                                                 \
    F(launch, "cuLaunchKernel",                                                                    \
      (void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, \
       void**))                                                                                    \
    F(tensor_map, "cuTensorMapEncodeTiled",                                                        \
      (void*, int, uint32_t, void*, const uint64_t*, const uint64_t*, const uint32_t*,             \
       const uint32_t*, int, int, int, int))
#define FIELD(field, name, arguments) Code(*field) arguments;
typedef struct {
    DRIVER(FIELD)
} Driver;

enum {
    ALIGN = 64,
    TENSOR_MAP = 128, /* bytes of one, which are aligned to 64 */
    PROMOTE_TO_128 = 2,
    BEHIND = 256, /* loads of vectors may go on behind the last element */
    OLDEST_DRIVER = 12000,
    ATTRIBUTE_MAJOR = 75,
    ATTRIBUTE_MINOR = 76,
    ATTRIBUTE_REGISTERS = 4,
    ATTRIBUTE_SHARED = 8,
    DEFAULT_SHARED = 48 * 1024
};

/* What the handle's memory holds: the flag of bad indices, settings of a step, a loss that nobody wants, the first 64
 * bytes of weights, prepared weights and optimizer, workspace of init and prepare. */
enum { FLAG = 0, HYPER = 64, LOSS = 128, HEADERS = 192, OWN_WORKSPACE = 512 };

typedef struct {
    const NetcProgram* program;
    Driver driver;
    Code error; /* the driver's last */
    int device;
    void *context, *module, *stream;
    void** functions;   /* of the launches, in the order of the table */
    Address own, block; /* block: inputs and outputs of calls without a stream */
    size_t block_size;
    unsigned char hyper[ALIGN]; /* as they are in the device */
    int has_hyper;
    /* Room for one launch, and for one run. */
    Address *values, *arrays;
    void** parameters;
    int64_t* steps;
} Gpu;

#define TABLE(program, type, array)                                                                \
    ((const type*)(const void*)((const char*)(program) + (program)->array))

static inline int64_t round_up(int64_t bytes) { return (bytes + ALIGN - 1) / ALIGN * ALIGN; }
static inline int64_t bytes_at(NetcBytes bytes, int64_t batch) {
    return bytes.constant + bytes.per_16 * ((batch + 15) / 16) + bytes.per_sample * batch;
}
static inline int64_t extent_at(NetcExtent extent, int64_t batch) {
    return (extent.per_batch * batch + extent.constant + extent.divisor - 1) / extent.divisor;
}
static inline int64_t count_at(const NetcProgram* program, const NetcArray* array, int64_t batch) {
    const NetcExtent* extents = TABLE(program, NetcExtent, extents) + array->extents.first;
    int64_t count = 1;
    for (uint32_t i = 0; i < array->extents.count; i++) count *= extent_at(extents[i], batch);
    return count;
}
static inline int64_t array_bytes(const NetcProgram* program, const NetcArray* array,
                                  int64_t batch) {
    return array->element * count_at(program, array, batch);
}

/* Memory between the launches of a kernel; one call after the other uses the same. */
static inline int64_t scratch_bytes(const NetcProgram* program, const NetcEntry* entry,
                                    int64_t batch) {
    const NetcCall* calls = TABLE(program, NetcCall, calls) + entry->calls.first;
    int64_t most = 0;
    for (uint32_t c = 0; c < entry->calls.count; c++) {
        const NetcRange scratch = TABLE(program, NetcKernel, kernels)[calls[c].kernel].scratch;
        const NetcArray* arrays = TABLE(program, NetcArray, arrays) + scratch.first;
        int64_t bytes = 0;
        for (uint32_t i = 0; i < scratch.count; i++)
            bytes += round_up(array_bytes(program, &arrays[i], batch));
        if (bytes > most) most = bytes;
    }
    return most;
}

/* Of an entry for a batch, scratch memory included; SIZE_MAX where the batch is too large. */
size_t netc_object_workspace(const NetcProgram* program, uint32_t number, size_t batch);

/* The status that a code of the driver means; keeps the code. */
int netc_object_check(Gpu* gpu, Code code);
/* Tensor maps of a launch whose parameters are in `values`, one behind the other, aligned to ALIGN. */
int netc_object_map_tensors(Gpu* gpu, const NetcLaunch* launch, int64_t batch, unsigned char* maps);
/* Makes the handle's context the calling thread's until netc_object_leave(), which gives `status`, or what failed. */
int netc_object_enter(Gpu* gpu);
int netc_object_leave(Gpu* gpu, int status);

#endif
