// links: runtime ir
// Emitted functions refuse wrong arguments with their code and touch nothing; null hypers, tables, gradients.
#include <catch2/catch.hpp>

#include <sstream>

#include "runtime/files/files.h"
#include "runtime/files/safetensors.h"
#include "tests/cli/object_support.h"

using namespace netc;

namespace {

// Two models: `pair` has labels among inputs and targets. The program says what went wrong by line.
const char* const kProgram = R"C(#define _POSIX_C_SOURCE 200112L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pair.h"
#include "xor.h"

enum { BATCH = 7 };
static int failures = 0;
static void *region(size_t size) {
    void *memory = NULL;
    if (posix_memalign(&memory, PAIR_ALIGN, size + 1) != 0) exit(9);
    memset(memory, 0x5a, size + 1);
    return memory;
}
#define EXPECT(condition) do { if (!(condition)) { failures++; printf("line %d: %s\n", __LINE__, #condition); } } while (0)

/* The call gives `code`, and weights, optimizer, loss, outputs keep their bytes. */
#define REFUSED(code, call) do { \
        memcpy(weights_before, weights, PAIR_WEIGHTS_SIZE); \
        memcpy(optimizer_before, optimizer, PAIR_OPTIMIZER_SIZE); \
        memcpy(prepared_before, prepared, PAIR_PREPARED_SIZE); \
        memset(gradients, 0x33, PAIR_WEIGHTS_SIZE); memset(sum, 0x33, sizeof sum); memset(low, 0x33, sizeof low); loss = 77; \
        status = (call); \
        if (status != (code)) { failures++; printf("line %d: status %d: %s\n", __LINE__, status, #call); } \
        EXPECT(memcmp(weights_before, weights, PAIR_WEIGHTS_SIZE) == 0); \
        EXPECT(memcmp(optimizer_before, optimizer, PAIR_OPTIMIZER_SIZE) == 0); \
        EXPECT(memcmp(prepared_before, prepared, PAIR_PREPARED_SIZE) == 0); \
        for (i = 0; i < PAIR_WEIGHTS_SIZE; i++) if (gradients[i] != 0x33) { EXPECT(!"gradients"); break; } \
        for (i = 0; i < sizeof sum; i++) if (((unsigned char *)sum)[i] != 0x33) { EXPECT(!"sum"); break; } \
        for (i = 0; i < sizeof low; i++) if (((unsigned char *)low)[i] != 0x33) { EXPECT(!"low"); break; } \
        EXPECT(loss == 77); \
    } while (0)

static float a[BATCH * 3], t[BATCH], sum[BATCH * 4], low[BATCH];
static int32_t word[BATCH], y[BATCH];

static void wrong_arguments(void) {
    unsigned char *weights = region(PAIR_WEIGHTS_SIZE), *prepared = region(PAIR_PREPARED_SIZE);
    unsigned char *optimizer = region(PAIR_OPTIMIZER_SIZE), *gradients = region(PAIR_WEIGHTS_SIZE);
    unsigned char *scratch = region(pair_forward_workspace(BATCH) + 64), *work = region(pair_train_workspace(BATCH) + 64);
    unsigned char *weights_before = region(PAIR_WEIGHTS_SIZE), *optimizer_before = region(PAIR_OPTIMIZER_SIZE);
    unsigned char *prepared_before = region(PAIR_PREPARED_SIZE);
    unsigned char *other = region(XOR_WEIGHTS_SIZE), *other_optimizer = region(XOR_OPTIMIZER_SIZE);
    float loss;
    size_t i;
    int status;
    REFUSED(PAIR_E_ALIGN, pair_init(weights + 4, optimizer, 1));
    REFUSED(PAIR_E_ALIGN, pair_init(weights, optimizer + 4, 1));
    EXPECT(pair_init(NULL, NULL, 1) == PAIR_OK);
    REFUSED(PAIR_E_WEIGHTS, pair_prepare(weights, prepared));
    EXPECT(pair_init(weights, NULL, 1) == PAIR_OK);
    REFUSED(PAIR_E_WEIGHTS, pair_train_step(weights, optimizer, a, word, t, y, BATCH, NULL, work, &loss));
    EXPECT(pair_init(NULL, optimizer, 1) == PAIR_OK);
    REFUSED(PAIR_E_ALIGN, pair_prepare(weights + 4, prepared));
    REFUSED(PAIR_E_ALIGN, pair_prepare(weights, prepared + 4));
    REFUSED(PAIR_E_ALIGN, pair_prepare(NULL, prepared));
    REFUSED(PAIR_E_WEIGHTS, pair_forward(prepared, a, word, sum, low, BATCH, scratch));
    EXPECT(xor_init(other, other_optimizer, 1) == XOR_OK);
    REFUSED(PAIR_E_WEIGHTS, pair_prepare(other, prepared));
    REFUSED(PAIR_E_WEIGHTS, pair_train_step(other, optimizer, a, word, t, y, BATCH, NULL, work, &loss));
    EXPECT(pair_prepare(weights, prepared) == PAIR_OK);
    /* Regions of this model, but not the ones that are wanted. */
    REFUSED(PAIR_E_WEIGHTS, pair_prepare(prepared, weights));
    REFUSED(PAIR_E_WEIGHTS, pair_prepare(optimizer, prepared));
    REFUSED(PAIR_E_WEIGHTS, pair_forward(weights, a, word, sum, low, BATCH, scratch));
    REFUSED(PAIR_E_WEIGHTS, pair_train_step(weights, prepared, a, word, t, y, BATCH, NULL, work, &loss));
    REFUSED(PAIR_E_WEIGHTS, pair_train_step(optimizer, weights, a, word, t, y, BATCH, NULL, work, &loss));
    REFUSED(PAIR_E_WEIGHTS, pair_gradient(prepared, a, word, t, y, BATCH, NULL, work, &loss, gradients));

    REFUSED(PAIR_E_ALIGN, pair_forward(prepared + 4, a, word, sum, low, BATCH, scratch));
    REFUSED(PAIR_E_ALIGN, pair_forward(NULL, a, word, sum, low, BATCH, scratch));
    if (pair_forward_workspace(BATCH) > 0) REFUSED(PAIR_E_ALIGN, pair_forward(prepared, a, word, sum, low, BATCH, scratch + 4));
    REFUSED(PAIR_E_BATCH, pair_forward(prepared, a, word, sum, low, 0, scratch));
    REFUSED(PAIR_E_ALIGN, pair_train_step(weights + 4, optimizer, a, word, t, y, BATCH, NULL, work, &loss));
    REFUSED(PAIR_E_ALIGN, pair_train_step(weights, optimizer + 4, a, word, t, y, BATCH, NULL, work, &loss));
    REFUSED(PAIR_E_ALIGN, pair_train_step(weights, NULL, a, word, t, y, BATCH, NULL, work, &loss));
    REFUSED(PAIR_E_ALIGN, pair_train_step(weights, optimizer, a, word, t, y, BATCH, NULL, work + 4, &loss));
    REFUSED(PAIR_E_BATCH, pair_train_step(weights, optimizer, a, word, t, y, 0, NULL, work, &loss));
    REFUSED(PAIR_E_ALIGN, pair_gradient(weights, a, word, t, y, BATCH, NULL, work, &loss, gradients + 4));
    REFUSED(PAIR_E_BATCH, pair_gradient(weights, a, word, t, y, 0, NULL, work, &loss, gradients));

    /* The last label, so that all before it was good. */
    y[BATCH - 1] = 4;
    REFUSED(PAIR_E_INDEX, pair_train_step(weights, optimizer, a, word, t, y, BATCH, NULL, work, &loss));
    REFUSED(PAIR_E_INDEX, pair_gradient(weights, a, word, t, y, BATCH, NULL, work, &loss, gradients));
    y[BATCH - 1] = -1;
    REFUSED(PAIR_E_INDEX, pair_train_step(weights, optimizer, a, word, t, y, BATCH, NULL, work, &loss));
    y[BATCH - 1] = 0;
    word[BATCH - 1] = 6;
    REFUSED(PAIR_E_INDEX, pair_forward(prepared, a, word, sum, low, BATCH, scratch));
    REFUSED(PAIR_E_INDEX, pair_train_step(weights, optimizer, a, word, t, y, BATCH, NULL, work, &loss));
    word[BATCH - 1] = 0;
    EXPECT(pair_forward(prepared, a, word, sum, low, BATCH, scratch) == PAIR_OK);
    EXPECT(pair_train_step(weights, optimizer, a, word, t, y, BATCH, NULL, work, NULL) == PAIR_OK);
}

static void hypers(void) {
    unsigned char *one = region(PAIR_WEIGHTS_SIZE), *two = region(PAIR_WEIGHTS_SIZE), *optimizer = region(PAIR_OPTIMIZER_SIZE);
    unsigned char *work = region(pair_train_workspace(BATCH)), *gradients = region(PAIR_WEIGHTS_SIZE);
    const pair_tensor *tensors;
    pair_hyper hyper;
    size_t count, i, k;
    float loss, again;
    hyper.learning_rate = nanf("");
    hyper.seed = 3;
    hyper.steps_per_epoch = 0;
    EXPECT(pair_init(one, optimizer, 3) == PAIR_OK);
    EXPECT(pair_train_step(one, optimizer, a, word, t, y, BATCH, NULL, work, &loss) == PAIR_OK);
    EXPECT(pair_init(two, optimizer, 3) == PAIR_OK);
    EXPECT(pair_train_step(two, optimizer, a, word, t, y, BATCH, &hyper, work, &again) == PAIR_OK);
    EXPECT(memcmp(one, two, PAIR_WEIGHTS_SIZE) == 0 && loss == again);
    /* A rate of zero: nothing moves. */
    hyper.learning_rate = 0;
    EXPECT(pair_init(one, optimizer, 3) == PAIR_OK);
    memcpy(two, one, PAIR_WEIGHTS_SIZE);
    EXPECT(pair_train_step(one, optimizer, a, word, t, y, BATCH, &hyper, work, &again) == PAIR_OK);
    EXPECT(memcmp(one, two, PAIR_WEIGHTS_SIZE) == 0 && loss == again);
    /* The gradient has the layout of the weights and the loss of the same step. */
    EXPECT(pair_gradient(one, a, word, t, y, BATCH, NULL, work, &again, gradients) == PAIR_OK);
    EXPECT(memcmp(one, two, PAIR_WEIGHTS_SIZE) == 0 && loss == again);
    tensors = pair_tensors(&count);
    EXPECT(pair_tensors(NULL) == tensors);
    for (i = 0; i < count; i++) {
        float length = 0;
        EXPECT(tensors[i].kind == PAIR_PARAMETER && tensors[i].dtype == PAIR_F32 && tensors[i].frozen == 0);
        EXPECT(tensors[i].offset % PAIR_ALIGN == 0 && tensors[i].offset + tensors[i].size <= PAIR_WEIGHTS_SIZE);
        printf("tensor %s %d", tensors[i].name, (int)tensors[i].rank);
        for (k = 0; k < (size_t)tensors[i].rank; k++) printf(" %d", (int)tensors[i].shape[k]);
        printf("\n");
        for (k = 0; k < tensors[i].size / sizeof(float); k++) length += fabsf(((const float *)(gradients + tensors[i].offset))[k]);
        EXPECT(length > 0);
    }
    for (i = 0; i < 8; i++) EXPECT(strlen(pair_strerror((int)i)) > 3);
    EXPECT(strcmp(pair_strerror(PAIR_OK), pair_strerror(PAIR_E_INDEX)) != 0);
    EXPECT(strlen(pair_strerror(99)) > 3 && strlen(pair_strerror(-1)) > 3);
}

int main(void) {
    size_t i;
    for (i = 0; i < BATCH; i++) {
        a[3 * i] = 0.1f * (float)i, a[3 * i + 1] = 1, a[3 * i + 2] = -0.3f * (float)i;
        t[i] = (float)(i % 2), y[i] = (int32_t)(i % 4), word[i] = (int32_t)(i % 6);
    }
    wrong_arguments();
    hypers();
    return failures != 0;
}
)C";

}  // namespace

TEST_CASE("wrong arguments are refused before anything is touched") {
    const TemporaryDirectory directory;
    for (const ObjectCase& net : object_cases()) {
        if (net.prefix != "xor" && net.prefix != "pair") continue;
        write_case(net, directory);
        expect_success(
            run_netc({"compile", net.prefix + ".net", "-o", net.prefix + ".o"}, directory.path()));
    }
    directory.write("errors.c", kProgram);
    expect_success(shell(kStrict + "errors.c pair.o xor.o -lm -o errors", directory));
    const Outcome outcome = shell("./errors", directory);
    INFO(outcome.out);
    CHECK(outcome.signal == 0);
    CHECK(outcome.status == 0);
    CHECK(outcome.out.find("tensor embedding_1.") != std::string::npos);
    CHECK(outcome.out.find("tensor linear_1.weight 2 3 4") != std::string::npos);
}

TEST_CASE("the gradient of an object is what netc grad writes") {
    const TemporaryDirectory directory;
    ObjectCase net;
    for (const ObjectCase& each : object_cases()) {
        if (each.prefix == "normed") net = each;
    }
    write_case(net, directory);
    expect_success(run_netc({"init", "normed.net", "-o", "w.safetensors"}, directory.path()));
    expect_success(run_netc({"grad", "normed.net", "--weights", "w.safetensors", "--input",
                             "x=x.npy", "--input", "y=y.npy", "-o", "g.safetensors"},
                            directory.path()));
    expect_success(run_netc({"compile", "normed.net", "--weights", "w.safetensors",
                             "--emit=obj,header,weights", "-o", "normed.o"},
                            directory.path()));
    directory.write("gradient.c", R"C(#define _POSIX_C_SOURCE 200112L
#include <stdio.h>
#include <stdlib.h>
#include "normed.h"
enum { ROWS = 12 };
static void *load(const char *path, size_t size) {
    void *memory = NULL;
    FILE *file = fopen(path, "rb");
    if (file == NULL || posix_memalign(&memory, NORMED_ALIGN, size) != 0 || fread(memory, 1, size, file) != size) exit(9);
    fclose(file);
    return memory;
}
int main(void) {
    void *weights = load("normed.weights", NORMED_WEIGHTS_SIZE), *gradients = load("normed.weights", NORMED_WEIGHTS_SIZE);
    void *workspace = NULL;
    float loss;
    size_t count, i;
    FILE *file = fopen("gradients.bin", "wb");
    const normed_tensor *tensors = normed_tensors(&count);
    if (file == NULL || posix_memalign(&workspace, NORMED_ALIGN, normed_train_workspace(ROWS)) != 0) return 8;
    if (normed_gradient(weights, load("x.bin", ROWS * 162 * 4), load("y.bin", ROWS * 4), ROWS, NULL, workspace, &loss, gradients) != 0) return 7;
    fwrite(gradients, 1, NORMED_WEIGHTS_SIZE, file);
    fclose(file);
    for (i = 0; i < count; i++)
        if (tensors[i].kind == NORMED_PARAMETER) printf("%s %lu %lu\n", tensors[i].name, (unsigned long)tensors[i].offset, (unsigned long)tensors[i].size);
    return 0;
}
)C");
    expect_success(shell(kStrict + "gradient.c normed.o -o gradient", directory));
    const Outcome outcome = shell("./gradient", directory);
    expect_success(outcome);
    const std::string region = *read_file(directory.file("gradients.bin"));
    const Result<Safetensors> wanted = read_safetensors(directory.file("g.safetensors"));
    REQUIRE(wanted.ok());
    std::istringstream rows(outcome.out);
    std::string name;
    std::size_t offset = 0, size = 0, parameters = 0;
    while (rows >> name >> offset >> size) {
        INFO(name);
        const Safetensors::Tensor* tensor = wanted->find(name);
        REQUIRE(tensor != nullptr);
        REQUIRE(tensor->size == size);
        CHECK(region.compare(offset, size,
                             reinterpret_cast<const char*>(wanted->data(*tensor).data()),
                             size) == 0);
        ++parameters;
    }
    CHECK(parameters == wanted->tensors.size());
}

TEST_CASE("an object with tiles of AMX says so, and refuses where there are none") {
    const TemporaryDirectory directory;
    directory.write("net.net", "net 1\nmodel Net(x: f32[B, 64]) -> f32[B, 32] = x |> linear(32)\n");
    const std::string compile = std::string(NETC_BINARY) +
                                " compile net.net --cpu=x86-64-v4 "
                                "--features=+amx-tile,+amx-bf16 --prefix net -o net.o --matmul=";
    expect_success(shell(compile + "f32", directory));
    CHECK(count_of(*read_file(directory.file("net.h")), "AMX") == 0);
    expect_success(shell(compile + "bf16", directory));
    CHECK(count_of(*read_file(directory.file("net.h")), "AMX") == 1);
    directory.write("call.c", R"C(#define _POSIX_C_SOURCE 200112L
#include <stdio.h>
#include <stdlib.h>
#include "net.h"
int main(void) {
    void *weights = NULL;
    if (posix_memalign(&weights, NET_ALIGN, NET_WEIGHTS_SIZE) != 0) return 9;
    printf("%d\n", net_init(weights, NULL, 1));
    return 0;
}
)C");
    expect_success(shell(kStrict + "call.c net.o -o call", directory));
    const Outcome outcome = shell("./call", directory);
    expect_success(outcome);
    const bool there = count_of(*read_file("/proc/cpuinfo"), "amx_bf16") > 0;
    INFO(outcome.out);
    CHECK((outcome.out == "6\n" || (there && outcome.out == "0\n")));
}
