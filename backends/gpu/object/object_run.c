/* Runs of the entries of an emitted GPU object: checks, copies, launches. See object_open.c. */
#include "backends/gpu/object/object_runtime.h"

#include <stdlib.h>
#include <string.h>

/* One run under way. */
typedef struct {
    Gpu* gpu;
    const NetcEntry* entry;
    void* stream;
    int64_t batch;
    Address base[NETC_REGIONS], scratch;
    const Address *inputs, *outputs;
} Run;

static Address address_of(const void* memory) { return (Address)(uintptr_t)memory; }

/* ---- checks, before anything is written ----------------------------------------------------------- */

static int is_misaligned(const void* memory) { return (uintptr_t)memory % ALIGN != 0; }
static int check_region(const void* memory) {
    return memory == NULL || is_misaligned(memory) ? NETC_E_ALIGN : NETC_OK;
}

static int64_t integer_at(const void* values, int64_t i, int64_t bytes, int is_signed) {
    const unsigned char* const from = (const unsigned char*)values + i * bytes;
    int8_t i8;
    int16_t i16;
    int32_t i32;
    int64_t i64;
    switch (bytes) {
        case 1: memcpy(&i8, from, 1); return is_signed ? i8 : *from;
        case 2: memcpy(&i16, from, 2); return i16;
        case 4: memcpy(&i32, from, 4); return i32;
        default: memcpy(&i64, from, 8); return i64;
    }
}

static int covers(const NetcPart* part, int64_t element) {
    const int64_t place = element / part->inner % part->extent;
    return place >= part->begin && place < part->end;
}

/* Labels and other indices in the host's memory. */
static int check_indices(const NetcProgram* program, const NetcEntry* entry, const NetcRun* run) {
    const NetcIndex* indices = TABLE(program, NetcIndex, indices) + entry->indices.first;
    const NetcArray* inputs = TABLE(program, NetcArray, arrays) + entry->inputs.first;
    for (uint32_t k = 0; k < entry->indices.count; k++) {
        const NetcIndex* index = &indices[k];
        const NetcArray* input = &inputs[index->input];
        const int64_t count = count_at(program, input, (int64_t)run->batch);
        for (int64_t i = 0; i < count; i++) {
            const int64_t value =
                integer_at(run->inputs[index->input], i, input->element, (int)index->is_signed);
            if ((value < 0 || value >= index->limit) && value != index->ignored &&
                covers(&index->parts[0], i) && covers(&index->parts[1], i))
                return NETC_E_INDEX;
        }
    }
    return NETC_OK;
}

/* Regions that an entry needs, and the workspace where it is not empty. */
static int check_regions(const NetcProgram* program, uint32_t number, const NetcRun* run) {
    int status = NETC_OK;
    if (number == NETC_INIT)
        return is_misaligned(run->weights) || is_misaligned(run->optimizer) ? NETC_E_ALIGN
                                                                            : NETC_OK;
    if (number != NETC_FORWARD) status = check_region(run->weights);
    if (status == NETC_OK && (number == NETC_PREPARE || number == NETC_FORWARD))
        status = check_region(run->prepared);
    if (status == NETC_OK && number == NETC_TRAIN_STEP) status = check_region(run->optimizer);
    if (status == NETC_OK && number == NETC_GRADIENT) status = check_region(run->gradients);
    if (status == NETC_OK && number != NETC_PREPARE &&
        netc_object_workspace(program, number, run->batch) > 0)
        status = check_region(run->workspace);
    return status;
}

static int check_batch(const NetcProgram* program, const NetcEntry* entry, size_t batch) {
    const NetcEqual* equals = TABLE(program, NetcEqual, equals) + entry->equals.first;
    if (batch == 0 || batch > (size_t)entry->most) return NETC_E_BATCH;
    for (uint32_t i = 0; i < entry->equals.count; i++) {
        if (extent_at(equals[i].found, (int64_t)batch) !=
            extent_at(equals[i].wanted, (int64_t)batch))
            return NETC_E_BATCH;
    }
    return NETC_OK;
}

/* Null: of the caller's arrays only the loss may be, which in the device needs no more than its element's alignment. */
static int check_arrays(const NetcEntry* entry, uint32_t number, const NetcRun* run,
                        int in_stream) {
    for (uint32_t i = 0; i < entry->inputs.count; i++) {
        if (run->inputs[i] == NULL) return NETC_E_ARGUMENT;
        if (in_stream && is_misaligned(run->inputs[i])) return NETC_E_ALIGN;
    }
    for (uint32_t i = 0; number == NETC_FORWARD && i < entry->outputs.count; i++) {
        if (run->outputs[i] == NULL) return NETC_E_ARGUMENT;
        if (in_stream && is_misaligned(run->outputs[i])) return NETC_E_ALIGN;
    }
    return NETC_OK;
}

/* Whether a region in the device begins with its hash; `which`: its number. Waits for the device. */
static int check_hash(Gpu* gpu, const void* region, int which) {
    uint64_t hash = 0;
    int status =
        netc_object_check(gpu, gpu->driver.to_host(&hash, address_of(region), 8, gpu->stream));
    if (status == NETC_OK) status = netc_object_check(gpu, gpu->driver.stream_wait(gpu->stream));
    if (status != NETC_OK) return status;
    return hash == gpu->program->hashes[which] ? NETC_OK : NETC_E_WEIGHTS;
}
static int check_hashes(Gpu* gpu, uint32_t number, const NetcRun* run) {
    int status = NETC_OK;
    if (number == NETC_FORWARD) return check_hash(gpu, run->prepared, NETC_PREPARED);
    if (number != NETC_INIT) status = check_hash(gpu, run->weights, NETC_WEIGHTS);
    if (status == NETC_OK && number == NETC_TRAIN_STEP)
        status = check_hash(gpu, run->optimizer, NETC_OPTIMIZER);
    return status;
}

/* The number of steps in an epoch, where the schedule of the rate needs it: the caller's, or what lies in the optimizer. */
static int check_epoch(Gpu* gpu, uint32_t number, const NetcRun* run) {
    const int64_t slot = gpu->program->steps_slot;
    float rate = 0;
    uint64_t steps = 0;
    int status = NETC_OK;
    if (number != NETC_TRAIN_STEP || slot == 0) return NETC_OK;
    if (run->hyper != NULL) {
        memcpy(&rate, run->hyper, 4);
        memcpy(&steps, (const char*)run->hyper + 16, 8);
        if (rate == rate || steps != 0) return NETC_OK;
    }
    status = netc_object_check(
        gpu,
        gpu->driver.to_host(&steps, address_of(run->optimizer) + (Address)slot, 8, gpu->stream));
    if (status == NETC_OK) status = netc_object_check(gpu, gpu->driver.stream_wait(gpu->stream));
    if (status != NETC_OK) return status;
    return steps != 0 ? NETC_OK : NETC_E_EPOCH;
}

/* ---- work that is put into a stream ---------------------------------------------------------------- */

/* The first 64 bytes of a region; `which`: its number. */
static int put_header(const Run* r, const void* region, int which) {
    return netc_object_check(r->gpu,
                             r->gpu->driver.within(address_of(region),
                                                   r->gpu->own + (Address)(HEADERS + which * ALIGN),
                                                   ALIGN, r->stream));
}
static int put_empty(const Run* r, const void* region, int64_t size, int which) {
    const int status = netc_object_check(
        r->gpu, r->gpu->driver.fill(address_of(region), 0, (size_t)size, r->stream));
    return status == NETC_OK ? put_header(r, region, which) : status;
}

/* Settings of a step: seed, steps of an epoch, rate, see kHyper* in ir/program.h. They are the same from step to step
 * as a rule, and then in the device already. */
static int put_hyper(const Run* r, const NetcRun* run, uint32_t number) {
    Gpu* const gpu = r->gpu;
    unsigned char hyper[ALIGN];
    const uint32_t nan = UINT32_C(0x7fc00000);
    memset(hyper, 0, sizeof hyper);
    memcpy(hyper, number == NETC_INIT ? &run->seed : &gpu->program->seed, 8);
    memcpy(hyper + 16, &nan, 4);
    if (run->hyper != NULL) {
        memcpy(hyper, (const char*)run->hyper + 8, 16);
        memcpy(hyper + 16, run->hyper, 4);
    }
    if (gpu->has_hyper && memcmp(hyper, gpu->hyper, ALIGN) == 0) return NETC_OK;
    memcpy(gpu->hyper, hyper, ALIGN);
    const Code code = gpu->driver.to_device(gpu->own + HYPER, gpu->hyper, ALIGN, r->stream);
    gpu->has_hyper = code == 0;
    return netc_object_check(gpu, code);
}

static Address place_of(const Run* r, const NetcBuffer* buffer) {
    const NetcStride* strides = TABLE(r->gpu->program, NetcStride, strides) + buffer->strides.first;
    int64_t offset = bytes_at(buffer->offset, r->batch);
    for (uint32_t i = 0; i < buffer->strides.count; i++) {
        int64_t count = r->gpu->steps[strides[i].loop] + strides[i].first;
        if (strides[i].modulo != 0) count %= strides[i].modulo;
        offset += count * bytes_at(strides[i].bytes, r->batch);
    }
    Address base = r->base[buffer->region];
    if (buffer->region == NETC_INPUT) base = r->inputs[buffer->number];
    if (buffer->region == NETC_OUTPUT) base = r->outputs[buffer->number];
    return base + (Address)offset;
}

static int64_t blocks_of(const NetcProgram* program, const NetcLaunch* launch, int64_t batch) {
    const NetcFactor* factors = TABLE(program, NetcFactor, factors) + launch->factors.first;
    int64_t blocks = 1;
    for (uint32_t i = 0; i < launch->factors.count; i++) {
        const NetcFactor* f = &factors[i];
        const int64_t units = (extent_at(f->extent, batch) + f->unit - 1) / f->unit;
        blocks *= (units * f->times + f->points - 1) / f->points;
    }
    return blocks;
}

static int launch_call(const Run* r, const NetcCall* call) {
    Gpu* const gpu = r->gpu;
    const NetcProgram* const program = gpu->program;
    const NetcKernel* kernel = &TABLE(program, NetcKernel, kernels)[call->kernel];
    const NetcBuffer* buffers = TABLE(program, NetcBuffer, buffers) + call->buffers.first;
    const NetcArray* scratch = TABLE(program, NetcArray, arrays) + kernel->scratch.first;
    uint32_t batch = (uint32_t)r->batch, count = 0;
    Address flag = gpu->own + FLAG, next = r->scratch;
    for (uint32_t i = 0; i < call->buffers.count; i++)
        gpu->values[count++] = place_of(r, &buffers[i]);
    for (uint32_t i = 0; i < kernel->scratch.count; i++) {
        gpu->values[count++] = next;
        next += (Address)round_up(array_bytes(program, &scratch[i], r->batch));
    }
    for (uint32_t i = 0; i < count; i++) gpu->parameters[i] = &gpu->values[i];
    gpu->parameters[count++] = &batch;
    gpu->parameters[count++] = &flag;
    unsigned char room[NETC_MOST_TENSORS * TENSOR_MAP + ALIGN];
    unsigned char* const maps = room + (ALIGN - (uintptr_t)room % ALIGN) % ALIGN;
    for (uint32_t i = 0; i < kernel->launches.count; i++) {
        const uint32_t number = kernel->launches.first + i;
        const NetcLaunch* launch = &TABLE(program, NetcLaunch, launches)[number];
        const int64_t blocks = blocks_of(program, launch, r->batch);
        if (blocks <= 0) continue;
        int status = netc_object_map_tensors(gpu, launch, r->batch, maps);
        if (status != NETC_OK) return status;
        for (uint32_t k = 0; k < launch->tensors.count; k++)
            gpu->parameters[count + k] = maps + k * TENSOR_MAP;
        status = netc_object_check(gpu, gpu->driver.launch(gpu->functions[number], (unsigned)blocks,
                                                           1, 1, (unsigned)launch->threads, 1, 1,
                                                           (unsigned)launch->shared_bytes,
                                                           r->stream, gpu->parameters, NULL));
        if (status != NETC_OK) return status;
    }
    return NETC_OK;
}

/* As run_calls in ir/program.h. The depth is that of the loops of the program. */
static int launch_calls(const Run* r, uint64_t begin, uint64_t end, uint32_t loop) {
    const NetcProgram* program = r->gpu->program;
    const NetcCall* calls = TABLE(program, NetcCall, calls) + r->entry->calls.first;
    const NetcLoop* loops = TABLE(program, NetcLoop, loops) + r->entry->loops.first;
    const uint32_t loop_count = r->entry->loops.count;
    for (uint64_t c = begin; c < end;) {
        while (loop < loop_count && loops[loop].begin < c) loop++;
        if (loop == loop_count || loops[loop].begin > c) {
            const int status = launch_call(r, &calls[c++]);
            if (status != NETC_OK) return status;
            continue;
        }
        for (int64_t step = 0; step < loops[loop].steps; step++) {
            r->gpu->steps[loop] = step;
            const int status = launch_calls(r, c, loops[loop].end, loop + 1);
            if (status != NETC_OK) return status;
        }
        c = loops[loop].end;
    }
    return NETC_OK;
}

/* Headers and settings, then the entry's calls. */
static int put_run(Run* r, uint32_t number, const NetcRun* run) {
    const NetcProgram* program = r->gpu->program;
    const int own_workspace = number == NETC_INIT || number == NETC_PREPARE;
    int status = NETC_OK;
    if (number == NETC_INIT && run->optimizer != NULL && program->optimizer_size > 0)
        status = put_empty(r, run->optimizer, program->optimizer_size, NETC_OPTIMIZER);
    if (status == NETC_OK && number == NETC_INIT && run->optimizer != NULL &&
        program->steps_slot != 0)
        status = netc_object_check(
            r->gpu,
            r->gpu->driver.to_device(address_of(run->optimizer) + (Address)program->steps_slot,
                                     &program->steps_per_epoch, 8, r->stream));
    if (status == NETC_OK && number == NETC_INIT) {
        if (run->weights == NULL) return NETC_OK;
        status = put_empty(r, run->weights, program->weights_size, NETC_WEIGHTS);
    }
    if (status == NETC_OK && number == NETC_PREPARE)
        status = put_header(r, run->prepared, NETC_PREPARED);
    if (status == NETC_OK && number == NETC_GRADIENT)
        status = put_header(r, run->gradients, NETC_WEIGHTS);
    if (status == NETC_OK && number != NETC_PREPARE && number != NETC_FORWARD)
        status = put_hyper(r, run, number);
    if (status != NETC_OK) return status;
    r->base[NETC_WEIGHTS] = address_of(run->weights);
    r->base[NETC_PREPARED] = address_of(run->prepared);
    r->base[NETC_OPTIMIZER] = address_of(run->optimizer);
    r->base[NETC_WORKSPACE] =
        own_workspace ? r->gpu->own + OWN_WORKSPACE : address_of(run->workspace);
    r->base[NETC_HYPER] = r->gpu->own + HYPER;
    /* Scratch memory lies behind what the entry itself needs. */
    r->scratch =
        r->base[NETC_WORKSPACE] + (Address)round_up(bytes_at(r->entry->workspace, r->batch));
    return launch_calls(r, 0, r->entry->calls.count, 0);
}

/* ---- calls ------------------------------------------------------------------------------------------- */

/* Waits for the stream; the flag of bad indices begins anew where it was raised. */
static int take_flag(Gpu* gpu, void* stream) {
    int32_t flag = 0;
    int status = netc_object_check(gpu, gpu->driver.to_host(&flag, gpu->own + FLAG, 4, stream));
    if (status == NETC_OK) status = netc_object_check(gpu, gpu->driver.stream_wait(stream));
    if (status != NETC_OK || flag == 0) return status;
    status = netc_object_check(gpu, gpu->driver.fill(gpu->own + FLAG, 0, 4, stream));
    if (status == NETC_OK) status = netc_object_check(gpu, gpu->driver.stream_wait(stream));
    return status == NETC_OK ? NETC_E_INDEX : status;
}

int netc_object_wait(Gpu* gpu, void* stream) {
    if (gpu == NULL) return NETC_E_ARGUMENT;
    const int status = netc_object_enter(gpu);
    return status == NETC_OK ? netc_object_leave(gpu, take_flag(gpu, stream)) : status;
}

/* Where the caller's arrays lie in the device: in the block of the handle or, with a stream, where they are. Outputs
 * that are gradients lie in their region. Gives how much of the block is used. */
static size_t lay_out(const Run* r, const NetcRun* run, int in_stream) {
    Gpu* const gpu = r->gpu;
    const NetcArray* arrays = TABLE(gpu->program, NetcArray, arrays);
    const uint32_t inputs = r->entry->inputs.count, outputs = r->entry->outputs.count;
    size_t size = 0;
    uint32_t given_outputs = 0;
    for (uint32_t i = 0; i < inputs + outputs; i++) {
        const int is_input = i < inputs;
        const NetcArray* array = is_input ? &arrays[r->entry->inputs.first + i]
                                          : &arrays[r->entry->outputs.first + (i - inputs)];
        const void* given = NULL;
        if (!is_input && array->place >= 0) {
            gpu->arrays[i] = address_of(run->gradients) + (Address)array->place;
            continue;
        }
        given = is_input ? run->inputs[i] : run->outputs[given_outputs++];
        if (given == NULL) {
            gpu->arrays[i] = gpu->own + LOSS;
        } else if (in_stream) {
            gpu->arrays[i] = address_of(given);
        } else {
            const size_t bytes = (size_t)array_bytes(gpu->program, array, r->batch);
            gpu->arrays[i] = gpu->block + size;
            size += (bytes + 2 * BEHIND - 1) / BEHIND * BEHIND;
        }
    }
    return size;
}

/* The block grows to what the call at hand needs; nothing is under way in it. */
static int reserve_block(Gpu* gpu, size_t size) {
    int status = NETC_OK;
    if (size <= gpu->block_size) return NETC_OK;
    if (gpu->block != 0) status = netc_object_check(gpu, gpu->driver.release(gpu->block));
    gpu->block = 0;
    gpu->block_size = 0;
    if (status == NETC_OK) status = netc_object_check(gpu, gpu->driver.allocate(&gpu->block, size));
    if (status == NETC_OK) gpu->block_size = size;
    return status;
}

/* Between the caller's arrays in the host's memory and the block. */
static int copy_arrays(const Run* r, const NetcRun* run, int to_host) {
    Gpu* const gpu = r->gpu;
    const NetcRange range = to_host ? r->entry->outputs : r->entry->inputs;
    const NetcArray* arrays = TABLE(gpu->program, NetcArray, arrays) + range.first;
    const Address* places = to_host ? r->outputs : r->inputs;
    uint32_t given_outputs = 0;
    for (uint32_t i = 0; i < range.count; i++) {
        const size_t bytes = (size_t)array_bytes(gpu->program, &arrays[i], r->batch);
        Code code = 0;
        if (!to_host) {
            if (bytes > 0)
                code = gpu->driver.to_device(places[i], run->inputs[i], bytes, r->stream);
        } else if (arrays[i].place < 0) {
            void* const output = run->outputs[given_outputs++];
            if (output != NULL && bytes > 0)
                code = gpu->driver.to_host(output, places[i], bytes, r->stream);
        }
        if (code != 0) return netc_object_check(gpu, code);
    }
    return NETC_OK;
}

/* All of a call without a stream, in the handle's own. */
static int run_and_wait(Run* r, uint32_t number, const NetcRun* run) {
    Gpu* const gpu = r->gpu;
    int status = check_hashes(gpu, number, run);
    if (status == NETC_OK) status = check_indices(gpu->program, r->entry, run);
    if (status == NETC_OK) status = check_epoch(gpu, number, run);
    if (status == NETC_OK) status = reserve_block(gpu, lay_out(r, run, 0));
    if (status != NETC_OK) return status;
    lay_out(r, run, 0);
    status = copy_arrays(r, run, 0);
    if (status == NETC_OK) status = put_run(r, number, run);
    if (status == NETC_OK) status = copy_arrays(r, run, 1);
    if (status == NETC_OK) return take_flag(gpu, r->stream);
    /* What was put into the stream works on the caller's memory. */
    gpu->driver.stream_wait(r->stream);
    return status;
}

/* `in_stream`: returns when all is put into `stream`, and arrays lie in device memory. */
int netc_object_run(Gpu* gpu, uint32_t number, const NetcRun* run, void* stream, int in_stream) {
    if (gpu == NULL) return NETC_E_ARGUMENT;
    const NetcProgram* const program = gpu->program;
    const NetcEntry* const entry = TABLE(program, NetcEntry, entries) + number;
    int status = check_regions(program, number, run);
    if (status == NETC_OK) status = check_batch(program, entry, run->batch);
    if (status == NETC_OK) status = check_arrays(entry, number, run, in_stream);
    if (status == NETC_OK) status = netc_object_enter(gpu);
    if (status != NETC_OK) return status;
    Run r;
    memset(&r, 0, sizeof r);
    r.gpu = gpu;
    r.entry = entry;
    r.stream = in_stream ? stream : gpu->stream;
    r.batch = (int64_t)run->batch;
    r.inputs = gpu->arrays;
    r.outputs = gpu->arrays + entry->inputs.count;
    if (in_stream) {
        lay_out(&r, run, 1);
        status = put_run(&r, number, run);
    } else {
        status = run_and_wait(&r, number, run);
    }
    return netc_object_leave(gpu, status);
}
