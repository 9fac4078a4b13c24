/* From nothing to the first output of a network that netc has compiled under the prefix `model`: maps the weights,
 * prepares them, computes one sample. bench/startup.py builds and times it. */
#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "model.h"

/* Zeros, aligned to a page; in large pages where the system has them. */
static void* region(size_t size) {
    const size_t large = (size_t)2 << 20;
    size_t whole = (size + large - 1) / large * large + large;
    char* memory = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) _exit(1);
    memory += (large - (size_t)memory % large) % large;
    if (size >= large) madvise(memory, whole - large, MADV_HUGEPAGE);
    return memory;
}

int main(int argc, char** argv) {
    int file = argc == 2 ? open(argv[1], O_RDONLY) : -1;
    void* weights =
        file < 0 ? MAP_FAILED
                 : mmap(NULL, MODEL_WEIGHTS_SIZE, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    void* prepared = region(MODEL_PREPARED_SIZE);
    float *x = region(INPUT * sizeof *x), *out = region(OUTPUT * sizeof *out);
    if (weights == MAP_FAILED) return 1;
    int status = model_prepare(weights, prepared);
    if (status == MODEL_OK)
        status = model_forward(prepared, x, out, 1, region(model_forward_workspace(1)));
    if (status != MODEL_OK) fprintf(stderr, "%s\n", model_strerror(status));
    printf("%g\n", out[0]);
    return status;
}
