/* What an emitted GPU object does: NVIDIA's driver loaded when it is asked for, a program's code and a little memory in
 * a device (here), runs of its entries (object_run.c). C99 with nothing but libc and dlopen. CMake compiles both; netc
 * carries the machine code and puts it into every object, where its names are local. docs/abi.md says what the callers
 * may expect; the semantics are those of gpu_call.cpp.
 *
 * Nothing here prints or ends the program. All pointers that come from outside are checked as far as they can be. */
#include "backends/gpu/object/object_runtime.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

size_t netc_object_workspace(const NetcProgram* program, uint32_t number, size_t batch) {
    const NetcEntry* entry = TABLE(program, NetcEntry, entries) + number;
    if (batch > (size_t)entry->most) return SIZE_MAX;
    return (size_t)(round_up(bytes_at(entry->workspace, (int64_t)batch)) +
                    scratch_bytes(program, entry, (int64_t)batch));
}

/* ---- the driver ---------------------------------------------------------------------------------- */

static int status_of(Code code) {
    switch (code) {
        case 0: return NETC_OK;
        case 2: return NETC_E_MEMORY;
        case 34:
        case 221:
        case 802:
        case 803:
        case 804: return NETC_E_DRIVER;
        case 46:
        case 100:
        case 101:
        case 805:
        case 806:
        case 807: return NETC_E_DEVICE;
        case 200:
        case 209:
        case 218:
        case 222:
        case 300:
        case 500: return NETC_E_CODE;
        case 214:
        case 220:
        case 226:
        case 700:
        case 702:
        case 710:
        case 714:
        case 715:
        case 716:
        case 717:
        case 718:
        case 719:
        case 999: return NETC_E_LOST;
        default: return NETC_E_GPU;
    }
}
int netc_object_check(Gpu* gpu, Code code) {
    if (code != 0) gpu->error = code;
    return status_of(code);
}

static int find_driver(Driver* driver) {
    int version = 0;
    /* It stays loaded: the driver does not expect to go while its threads run. */
    void* const library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) return NETC_E_DRIVER;
    int found = 1;
/* ISO C has no conversion from an object's address to a function's. */
#define FIND(field, name, arguments)                                                               \
    {                                                                                              \
        void* const symbol = dlsym(library, name);                                                 \
        memcpy(&driver->field, &symbol, sizeof symbol);                                            \
        found = found && symbol != NULL;                                                           \
    }
    DRIVER(FIND)
    if (driver->version != NULL) driver->version(&version);
    return found && version >= OLDEST_DRIVER ? NETC_OK : NETC_E_OLD_DRIVER;
}

/* The calling thread's own context comes back with leave(). */
int netc_object_enter(Gpu* gpu) {
    return netc_object_check(gpu, gpu->driver.context_push(gpu->context));
}
int netc_object_leave(Gpu* gpu, int status) {
    void* left = NULL;
    const int popped = netc_object_check(gpu, gpu->driver.context_pop(&left));
    return status != NETC_OK ? status : popped;
}

/* Whether code for this capability runs on the device. */
static int find_device(Gpu* gpu, int number) {
    const NetcProgram* program = gpu->program;
    int count = 0, major = 0, minor = 0, status;
    if ((status = netc_object_check(gpu, gpu->driver.init(0))) != NETC_OK) return status;
    if ((status = netc_object_check(gpu, gpu->driver.device_count(&count))) != NETC_OK)
        return status;
    if (number < 0 || number >= count) return NETC_E_DEVICE;
    if ((status = netc_object_check(gpu, gpu->driver.device_get(&gpu->device, number))) != NETC_OK)
        return status;
    status =
        netc_object_check(gpu, gpu->driver.device_attribute(&major, ATTRIBUTE_MAJOR, gpu->device));
    if (status != NETC_OK) return status;
    status =
        netc_object_check(gpu, gpu->driver.device_attribute(&minor, ATTRIBUTE_MINOR, gpu->device));
    if (status != NETC_OK) return status;
    const int has = 10 * major + minor, wants = program->capability;
    return has == wants || (has > wants && !program->only_there) ? NETC_OK : NETC_E_CODE;
}

static int load_functions(Gpu* gpu) {
    const NetcLaunch* launches = TABLE(gpu->program, NetcLaunch, launches);
    for (uint32_t i = 0; i < gpu->program->launch_count; i++) {
        const char* name = TABLE(gpu->program, char, text) + launches[i].symbol;
        int registers = 0;
        int status = netc_object_check(
            gpu, gpu->driver.module_function(&gpu->functions[i], gpu->module, name));
        /* The driver loads a function when something of it is wanted: now, not while a caller records a graph. */
        if (status == NETC_OK)
            status = netc_object_check(
                gpu, gpu->driver.function_get(&registers, ATTRIBUTE_REGISTERS, gpu->functions[i]));
        if (status == NETC_OK && launches[i].shared_bytes > DEFAULT_SHARED)
            status =
                netc_object_check(gpu, gpu->driver.function_set(gpu->functions[i], ATTRIBUTE_SHARED,
                                                                launches[i].shared_bytes));
        if (status != NETC_OK) return status;
    }
    return NETC_OK;
}

int netc_object_map_tensors(Gpu* gpu, const NetcLaunch* launch, int64_t batch,
                            unsigned char* maps) {
    static const uint32_t each[NETC_MOST_DIMS] = {1, 1, 1, 1, 1};
    const NetcTensor* tensors = TABLE(gpu->program, NetcTensor, tensors) + launch->tensors.first;
    for (uint32_t i = 0; i < launch->tensors.count; i++) {
        const NetcTensor* tensor = &tensors[i];
        const NetcDim* dims = TABLE(gpu->program, NetcDim, dims) + tensor->dims.first;
        uint64_t extents[NETC_MOST_DIMS], strides[NETC_MOST_DIMS];
        uint32_t box[NETC_MOST_DIMS];
        for (uint32_t d = 0; d < tensor->dims.count; d++) {
            extents[d] = (uint64_t)extent_at(dims[d].extent, batch);
            strides[d] = (uint64_t)dims[d].stride;
            box[d] = dims[d].box;
        }
        const Address address = gpu->values[tensor->parameter] + (Address)tensor->start;
        const int status = netc_object_check(
            gpu, gpu->driver.tensor_map(maps + i * TENSOR_MAP, tensor->type, tensor->dims.count,
                                        (void*)(uintptr_t)address, extents, strides + 1, box, each,
                                        0, tensor->swizzle, PROMOTE_TO_128, 0));
        if (status != NETC_OK) return status;
    }
    return NETC_OK;
}

static int prepare_memory(Gpu* gpu) {
    const NetcProgram* program = gpu->program;
    const int64_t sizes[NETC_HASHES] = {program->weights_size, program->prepared_size,
                                        program->optimizer_size};
    unsigned char first[OWN_WORKSPACE];
    size_t workspace = netc_object_workspace(program, NETC_INIT, 1);
    const size_t other = netc_object_workspace(program, NETC_PREPARE, 1);
    if (other > workspace) workspace = other;
    memset(first, 0, sizeof first);
    for (int i = 0; i < NETC_HASHES; i++) {
        memcpy(first + HEADERS + i * ALIGN, &program->hashes[i], 8);
        memcpy(first + HEADERS + i * ALIGN + 8, &sizes[i], 8);
    }
    int status =
        netc_object_check(gpu, gpu->driver.allocate(&gpu->own, OWN_WORKSPACE + workspace + BEHIND));
    if (status == NETC_OK)
        status = netc_object_check(
            gpu, gpu->driver.to_device(gpu->own, first, sizeof first, gpu->stream));
    if (status == NETC_OK) status = netc_object_check(gpu, gpu->driver.stream_wait(gpu->stream));
    return status;
}

/* Inside the context. */
static int load(Gpu* gpu, const char* ptx) {
    int status = netc_object_check(gpu, gpu->driver.module_load(&gpu->module, ptx, 0, NULL, NULL));
    if (status == NETC_OK) status = load_functions(gpu);
    if (status == NETC_OK)
        status = netc_object_check(gpu, gpu->driver.stream_create(&gpu->stream, 0));
    if (status == NETC_OK) status = prepare_memory(gpu);
    return status;
}

int netc_object_close(Gpu* gpu) {
    int status = NETC_OK;
    if (gpu == NULL) return NETC_OK;
    if (gpu->context != NULL) {
        const Driver* driver = &gpu->driver;
        const int entered = netc_object_enter(gpu);
        status = entered;
        /* All is released, whatever one of them says. */
        if (gpu->stream != NULL) {
            const int waited = netc_object_check(gpu, driver->stream_wait(gpu->stream));
            if (status == NETC_OK) status = waited;
            driver->stream_destroy(gpu->stream);
        }
        if (gpu->block != 0) driver->release(gpu->block);
        if (gpu->own != 0) driver->release(gpu->own);
        if (gpu->module != NULL) driver->module_unload(gpu->module);
        if (entered == NETC_OK) status = netc_object_leave(gpu, status);
        driver->context_release(gpu->device);
    }
    free(gpu->functions);
    free(gpu->values);
    free(gpu->arrays);
    free(gpu->parameters);
    free(gpu->steps);
    free(gpu);
    return status;
}

int netc_object_open(const NetcProgram* program, const char* ptx, int number, Gpu** made) {
    if (made == NULL) return NETC_E_ARGUMENT;
    *made = NULL;
    Gpu* const gpu = calloc(1, sizeof *gpu);
    if (gpu == NULL) return NETC_E_MEMORY;
    gpu->program = program;
    gpu->functions = calloc(program->launch_count + 1, sizeof *gpu->functions);
    gpu->values = calloc(program->most_parameters + 1, sizeof *gpu->values);
    gpu->parameters =
        calloc(program->most_parameters + NETC_MOST_TENSORS + 1, sizeof *gpu->parameters);
    gpu->arrays = calloc(program->most_arrays + 1, sizeof *gpu->arrays);
    gpu->steps = calloc(program->most_loops + 1, sizeof *gpu->steps);
    int status = NETC_E_MEMORY;
    if (gpu->functions != NULL && gpu->values != NULL && gpu->parameters != NULL &&
        gpu->arrays != NULL && gpu->steps != NULL)
        status = find_driver(&gpu->driver);
    if (status == NETC_OK) status = find_device(gpu, number);
    if (status == NETC_OK)
        status = netc_object_check(gpu, gpu->driver.context_retain(&gpu->context, gpu->device));
    if (status == NETC_OK) status = netc_object_enter(gpu);
    if (status == NETC_OK) status = netc_object_leave(gpu, load(gpu, ptx));
    if (status == NETC_OK) {
        *made = gpu;
    } else {
        netc_object_close(gpu);
    }
    return status;
}

int netc_object_driver_error(const Gpu* gpu) { return gpu == NULL ? 0 : gpu->error; }

/* ---- memory -------------------------------------------------------------------------------------- */

int netc_object_allocate(Gpu* gpu, size_t size, void** memory) {
    if (gpu == NULL || memory == NULL) return NETC_E_ARGUMENT;
    *memory = NULL;
    if (size > SIZE_MAX - BEHIND) return NETC_E_MEMORY;
    Address address = 0;
    int status = netc_object_enter(gpu);
    if (status == NETC_OK)
        status = netc_object_leave(
            gpu, netc_object_check(gpu, gpu->driver.allocate(&address, size + BEHIND)));
    if (status == NETC_OK) *memory = (void*)(uintptr_t)address;
    return status;
}

int netc_object_free(Gpu* gpu, void* memory) {
    if (gpu == NULL) return NETC_E_ARGUMENT;
    if (memory == NULL) return NETC_OK;
    const int status = netc_object_enter(gpu);
    if (status != NETC_OK) return status;
    return netc_object_leave(
        gpu, netc_object_check(gpu, gpu->driver.release((Address)(uintptr_t)memory)));
}

/* `to_host`: from the device; else to it. */
int netc_object_copy(Gpu* gpu, void* to, const void* from, size_t size, int to_host) {
    if (gpu == NULL || ((to == NULL || from == NULL) && size > 0)) return NETC_E_ARGUMENT;
    if (size == 0) return NETC_OK;
    int status = netc_object_enter(gpu);
    if (status != NETC_OK) return status;
    if (to_host)
        status = netc_object_check(
            gpu, gpu->driver.to_host(to, (Address)(uintptr_t)from, size, gpu->stream));
    else
        status = netc_object_check(
            gpu, gpu->driver.to_device((Address)(uintptr_t)to, from, size, gpu->stream));
    if (status == NETC_OK) status = netc_object_check(gpu, gpu->driver.stream_wait(gpu->stream));
    return netc_object_leave(gpu, status);
}
