/* From nothing to the first output of a network that netc has compiled under the prefix `model`: reads the weights,
 * prepares them, computes one sample. bench/startup.py builds and times it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "model.h"

static void* region(size_t size) {
    char* memory = calloc(1, size + MODEL_ALIGN);
    if (memory == NULL) exit(1);
    return memory + (MODEL_ALIGN - (uintptr_t)memory % MODEL_ALIGN);
}

int main(int argc, char** argv) {
    FILE* file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    void* weights = region(MODEL_WEIGHTS_SIZE);
    void* prepared = region(MODEL_PREPARED_SIZE);
    float *x = region(INPUT * sizeof *x), *out = region(OUTPUT * sizeof *out);
    if (file == NULL || fread(weights, 1, MODEL_WEIGHTS_SIZE, file) != MODEL_WEIGHTS_SIZE) return 1;
    int status = model_prepare(weights, prepared);
    if (status == MODEL_OK)
        status = model_forward(prepared, x, out, 1, region(model_forward_workspace(1)));
    if (status != MODEL_OK) fprintf(stderr, "%s\n", model_strerror(status));
    printf("%g\n", out[0]);
    return status;
}
