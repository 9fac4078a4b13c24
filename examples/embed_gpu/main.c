/* A C program that trains a network on an NVIDIA GPU and then uses it.
 *
 *     netc compile examples/lenet5.net --target=nvptx64 -o lenet5.o
 *     cc -O2 examples/embed_gpu/main.c lenet5.o -I. -ldl -o digits_gpu
 *     ./digits_gpu samples.bin
 *
 * lenet5.h declares everything that is used here and says who owns what. The network's memory lies on the GPU, where
 * lenet5_gpu_allocate gives it; images, labels, scores and the loss are arrays of this program. A program that has
 * those on the GPU as well, and streams of its own, calls lenet5_train_step_on and lenet5_forward_on.
 *
 * Without a GPU, or without NVIDIA's driver, it says so and ends with status 0: nothing is wrong with it.
 *
 * samples.bin holds records of one int32 (the digit) and 28 * 28 floats, see examples/embed/main.c. The last fifth is
 * for testing. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "lenet5.h"

enum { PIXELS = 28 * 28, CLASSES = 10, BATCH = 64, EPOCHS = 10 };

static void fail(const char* what, const char* why) {
    fprintf(stderr, "digits_gpu: %s: %s\n", what, why);
    exit(1);
}

static void check(const lenet5_gpu* gpu, int status) {
    if (status == LENET5_OK) return;
    fprintf(stderr, "digits_gpu: %s (%d of the driver)\n", lenet5_strerror(status),
            lenet5_gpu_driver_error(gpu));
    exit(1);
}

static lenet5_gpu* open_gpu(void) {
    lenet5_gpu* gpu = NULL;
    const int status = lenet5_gpu_open(0, &gpu);
    switch (status) {
        case LENET5_OK: return gpu;
        case LENET5_E_DRIVER:
        case LENET5_E_OLD_DRIVER:
        case LENET5_E_DEVICE:
            printf("This needs an NVIDIA GPU: %s. Nothing was trained.\n", lenet5_strerror(status));
            exit(0);
        default: fail("the GPU", lenet5_strerror(status));
    }
    return NULL;
}

/* Memory on the GPU. */
static void* region(lenet5_gpu* gpu, size_t size) {
    void* memory = NULL;
    check(gpu, lenet5_gpu_allocate(gpu, size, &memory));
    return memory;
}

/* All samples of a file; gives how many there are. */
static size_t read_samples(const char* path, float** images, int32_t** labels) {
    const size_t record = sizeof(int32_t) + PIXELS * sizeof(float);
    FILE* file = fopen(path, "rb");
    size_t count;
    long size;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0)
        fail(path, "cannot be read");
    rewind(file);
    count = (size_t)size / record;
    *images = malloc((count + 1) * PIXELS * sizeof **images);
    *labels = malloc((count + 1) * sizeof **labels);
    if (*images == NULL || *labels == NULL) fail("memory", "there is none left");
    for (size_t i = 0; i < count; i++)
        if (fread(*labels + i, sizeof **labels, 1, file) != 1 ||
            fread(*images + i * PIXELS, sizeof **images, PIXELS, file) != PIXELS)
            fail(path, "cannot be read");
    fclose(file);
    return count;
}

static int largest(const float* scores) {
    int best = 0;
    for (int i = 1; i < CLASSES; i++)
        if (scores[i] > scores[best]) best = i;
    return best;
}

int main(int argc, char** argv) {
    if (argc != 2) fail("usage", "digits_gpu SAMPLES");
    lenet5_gpu* const gpu = open_gpu();
    float *images, *scores;
    int32_t* labels;
    const size_t count = read_samples(argv[1], &images, &labels);
    const size_t test = count / 5, train = count - test;
    if (test == 0) fail(argv[1], "holds too few samples");
    scores = malloc(test * CLASSES * sizeof *scores);
    if (scores == NULL) fail("memory", "there is none left");

    void* weights = region(gpu, LENET5_WEIGHTS_SIZE);
    void* optimizer = region(gpu, LENET5_OPTIMIZER_SIZE);
    void* workspace = region(gpu, lenet5_train_workspace(BATCH));
    check(gpu, lenet5_init(gpu, weights, optimizer, 1));
    for (int epoch = 1; epoch <= EPOCHS; epoch++) {
        double sum = 0;
        for (size_t at = 0; at < train; at += BATCH) {
            const size_t batch = train - at < BATCH ? train - at : BATCH;
            float loss;
            check(gpu, lenet5_train_step(gpu, weights, optimizer, images + at * PIXELS, labels + at,
                                         batch, NULL, workspace, &loss));
            sum += (double)loss * (double)batch;
        }
        printf("epoch %2d  loss %.4f\n", epoch, sum / (double)train);
    }
    check(gpu, lenet5_gpu_free(gpu, workspace));

    void* prepared = region(gpu, LENET5_PREPARED_SIZE);
    workspace = region(gpu, lenet5_forward_workspace(test));
    check(gpu, lenet5_prepare(gpu, weights, prepared));
    check(gpu, lenet5_forward(gpu, prepared, images + train * PIXELS, scores, test, workspace));
    size_t right = 0;
    for (size_t i = 0; i < test; i++) right += largest(scores + i * CLASSES) == labels[train + i];
    printf("%zu of %zu digits right, %.1f %%\n", right, test, 100.0 * (double)right / (double)test);

    void* const regions[] = {weights, optimizer, prepared, workspace};
    for (size_t i = 0; i < sizeof regions / sizeof *regions; i++)
        check(gpu, lenet5_gpu_free(gpu, regions[i]));
    const int closed = lenet5_gpu_close(gpu);
    if (closed != LENET5_OK) fail("the GPU", lenet5_strerror(closed));
    free(images);
    free(labels);
    free(scores);
    return 0;
}
