/* The program of an emitted GPU object as constant data: what object_runtime.c walks and gpu_object.cpp writes. C99 and
 * C++. A table begins with NetcProgram; its arrays follow, each at an offset in bytes from the start, so that nothing
 * of it needs a relocation. */
#ifndef NETC_OBJECT_PROGRAM_H
#define NETC_OBJECT_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

/* Elements first .. first + count - 1 of one of the arrays. */
typedef struct {
    uint32_t first, count;
} NetcRange;

/* As Bytes in ir/program.h: constant + per_16 * ceil(B / 16) + per_sample * B. */
typedef struct {
    int64_t constant, per_16, per_sample;
} NetcBytes;

/* As Extent in ir/dim.h. */
typedef struct {
    int64_t per_batch, constant, divisor;
} NetcExtent;

/* An array of a kernel or a caller: so many bytes an element, extents in `extents`. `place`: of an output, where it
 * lies in the gradients; below 0, it is the caller's. */
typedef struct {
    int64_t element, place;
    NetcRange extents;
} NetcArray;

/* As GridFactor in gpu_code.h. */
typedef struct {
    NetcExtent extent;
    int64_t points, unit, times;
} NetcFactor;

/* As GpuTensor in gpu_code.h: a parameter of a launch, dims in `dims`, bytes behind its first, what
 * cuTensorMapEncodeTiled calls a type and a swizzle. */
typedef struct {
    NetcExtent extent;
    int64_t stride; /* bytes */
    uint32_t box, unused;
} NetcDim;
typedef struct {
    uint32_t parameter;
    int32_t type, swizzle;
    uint32_t unused;
    int64_t start;
    NetcRange dims;
} NetcTensor;

/* Tensor maps that a launch has, and their dimensions, at the most. */
enum { NETC_MOST_TENSORS = 2, NETC_MOST_DIMS = 5 };

typedef struct {
    uint64_t symbol; /* offset of the name in `text` */
    int32_t threads, shared_bytes;
    NetcRange factors, tensors;
} NetcLaunch;

typedef struct {
    NetcRange launches;
    NetcRange scratch; /* in `arrays` */
} NetcKernel;

typedef struct {
    uint64_t loop; /* within the entry */
    NetcBytes bytes;
    int64_t first, modulo;
} NetcStride;

/* Numbers of regions, in the order of RegionKind in ir/program.h. */
enum {
    NETC_WEIGHTS,
    NETC_PREPARED,
    NETC_OPTIMIZER,
    NETC_WORKSPACE,
    NETC_INPUT,
    NETC_OUTPUT,
    NETC_HYPER,
    NETC_REGIONS
};

typedef struct {
    uint32_t region, number; /* number: of an input or output */
    NetcBytes offset;
    NetcRange strides;
} NetcBuffer;

typedef struct {
    uint64_t kernel;
    NetcRange buffers;
} NetcCall;

typedef struct {
    uint64_t begin, end; /* calls of the entry */
    int64_t steps;
} NetcLoop;

/* Elements whose place along an axis lies in begin .. end; see Entry::IndexRange in ir/program.h. */
typedef struct {
    int64_t inner, extent, begin, end;
} NetcPart;

/* Where an input is an index: which of its elements, what their values may be. */
typedef struct {
    uint32_t input, is_signed;
    int64_t limit, ignored;
    NetcPart parts[2];
} NetcIndex;

typedef struct {
    NetcExtent found, wanted;
} NetcEqual;

/* Numbers of entries; `train_step` and `gradient` only where the object trains. */
enum { NETC_INIT, NETC_PREPARE, NETC_FORWARD, NETC_GRADIENT, NETC_TRAIN_STEP, NETC_ENTRIES };

typedef struct {
    NetcRange calls, loops;
    NetcRange inputs, outputs; /* in `arrays` */
    NetcRange indices, equals;
    NetcBytes workspace;
    int64_t most; /* the largest batch */
} NetcEntry;

/* Regions that begin with a hash, in the order of their numbers. */
enum { NETC_HASHES = 3 };

typedef struct {
    uint64_t hashes[NETC_HASHES], seed;
    int64_t steps_per_epoch,
        steps_slot; /* what training stored, and where in the optimizer it goes; 0: nowhere */
    int64_t weights_size, prepared_size,
        optimizer_size;             /* bytes; of the last, 0 without training */
    int32_t capability, only_there; /* 90: compute capability 9.0 or, unless only_there, later */
    uint32_t most_parameters, most_loops, most_arrays, launch_count;
    /* Where the arrays begin. */
    uint64_t entries, calls, loops, buffers, strides, kernels, launches, factors, tensors, dims,
        arrays, extents, indices, equals, text;
} NetcProgram;

/* What the caller of a run gives. Regions and, in a stream, arrays lie in device memory. */
typedef struct {
    void *weights, *prepared, *optimizer, *workspace, *gradients;
    const void* const* inputs;
    void* const* outputs; /* of forward; of the others the loss, which may be null */
    size_t batch;
    const void* hyper; /* struct { float; uint64_t; uint64_t }, or null */
    uint64_t seed;     /* of init */
} NetcRun;

#endif
