/* A C program with a trained network inside.
 *
 *     netc train examples/lenet5.net --run run
 *     netc compile examples/lenet5.net --weights run --emit=obj,header,weights -o lenet5.o
 *     cc -O2 examples/embed/main.c lenet5.o -I. -o digits
 *     ./digits lenet5.weights samples.bin
 *
 * lenet5.h declares everything that is used here and says who owns what. The network allocates nothing: this
 * program gives it three pieces of memory, whose sizes the header states.
 *
 * samples.bin holds records of one int32 (the digit) and 28 * 28 floats (its image, row by row, 0 is
 * paper and 1 is ink); `./dev demo` makes it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lenet5.h"

enum { SIDE = 28, PIXELS = SIDE * SIDE, CLASSES = 10, BATCH = 50, PER_ROW = 4, SHOWN = 8 };

static void fail(const char* what, const char* why) {
    fprintf(stderr, "digits: %s: %s\n", what, why);
    exit(1);
}

/* Memory at a multiple of LENET5_ALIGN, as the header asks. It lives as long as the program. */
static void* region(size_t size) {
    char* memory = malloc(size + LENET5_ALIGN);
    if (memory == NULL) fail("memory", "there is none left");
    return memory + (LENET5_ALIGN - (uintptr_t)memory % LENET5_ALIGN);
}

static void check(int status) {
    if (status != LENET5_OK) fail("lenet5", lenet5_strerror(status));
}

static void read_weights(const char* path, void* weights) {
    FILE* file = fopen(path, "rb");
    if (file == NULL) fail(path, "cannot be opened");
    if (fread(weights, 1, LENET5_WEIGHTS_SIZE, file) != LENET5_WEIGHTS_SIZE || fgetc(file) != EOF)
        fail(path, "is not a weights file of this network");
    fclose(file);
}

/* Up to BATCH samples; gives how many there were. */
static size_t read_batch(FILE* file, float* images, int32_t* labels) {
    size_t count = 0;
    while (count < BATCH && fread(&labels[count], sizeof *labels, 1, file) == 1) {
        if (fread(images + count * PIXELS, sizeof *images, PIXELS, file) != PIXELS)
            fail("samples", "the last one is cut off");
        count++;
    }
    return count;
}

static int largest(const float* scores) {
    int best = 0;
    for (int i = 1; i < CLASSES; i++)
        if (scores[i] > scores[best]) best = i;
    return best;
}

/* Images side by side, two rows of pixels to a line of text. */
static void show(const float* images, const int32_t* labels, const float* scores, int count) {
    static const char shades[] = " .:-=+*#%@";
    for (int y = 0; y < SIDE; y += 2) {
        for (int i = 0; i < count; i++) {
            const float* upper = images + i * PIXELS + y * SIDE;
            for (int x = 0; x < SIDE; x++) {
                float ink = (upper[x] + upper[x + SIDE]) / 2;
                ink = ink < 0 ? 0 : ink > 1 ? 1 : ink;
                putchar(shades[(int)(ink * 9)]);
            }
        }
        putchar('\n');
    }
    for (int i = 0; i < count; i++) {
        const int guess = largest(scores + i * CLASSES);
        printf("%*s%d%s%*s", SIDE / 2 - 1, "", guess, guess == labels[i] ? "        " : " (wrong)",
               SIDE / 2 - 8, "");
    }
    printf("\n\n");
}

int main(int argc, char** argv) {
    static float images[BATCH * PIXELS], scores[BATCH * CLASSES];
    static int32_t labels[BATCH];
    if (argc != 3) fail("usage", "digits WEIGHTS SAMPLES");

    void* weights = region(LENET5_WEIGHTS_SIZE);
    void* prepared = region(LENET5_PREPARED_SIZE);
    void* workspace = region(lenet5_forward_workspace(BATCH));
    read_weights(argv[1], weights);
    check(lenet5_prepare(weights, prepared)); /* once; forward only reads what it makes */

    FILE* samples = fopen(argv[2], "rb");
    if (samples == NULL) fail(argv[2], "cannot be opened");
    size_t seen = 0, right = 0;
    for (size_t count; (count = read_batch(samples, images, labels)) > 0; seen += count) {
        check(lenet5_forward(prepared, images, scores, count, workspace));
        for (size_t i = 0; i < count; i++) right += largest(scores + i * CLASSES) == labels[i];
        if (seen == 0)
            for (size_t i = 0; i + PER_ROW <= count && i < SHOWN; i += PER_ROW)
                show(images + i * PIXELS, labels + i, scores + i * CLASSES, PER_ROW);
    }
    fclose(samples);
    if (seen == 0) fail(argv[2], "holds no sample");
    printf("%zu of %zu digits right, %.1f %%\n", right, seen, 100.0 * (double)right / (double)seen);
    return 0;
}
