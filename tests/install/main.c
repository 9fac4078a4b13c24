/* Runs the compiled model once, on buffers of exactly the published sizes. */
#include <stdio.h>
#include <stdlib.h>

#include "tiny.h"

static void* region(size_t size) {
    const size_t rounded = (size + TINY_ALIGN - 1) / TINY_ALIGN * TINY_ALIGN;
    return aligned_alloc(TINY_ALIGN, rounded > 0 ? rounded : TINY_ALIGN);
}

int main(void) {
    const float x[4] = {0.0f, 1.0f, 1.0f, 1.0f};
    float out[2] = {-100.0f, -100.0f};
    void* weights = region(TINY_WEIGHTS_SIZE);
    void* prepared = region(TINY_PREPARED_SIZE);
    void* workspace = region(tiny_forward_workspace(2));
    int status = tiny_init(weights, NULL, 1);
    if (status == TINY_OK) status = tiny_prepare(weights, prepared);
    if (status == TINY_OK) status = tiny_forward(prepared, x, out, 2, workspace);
    printf("%s: %g %g\n", tiny_strerror(status), (double)out[0], (double)out[1]);
    free(workspace);
    free(prepared);
    free(weights);
    return status == TINY_OK && out[0] > -10.0f && out[1] > -10.0f ? 0 : 1;
}
