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

namespace {

// A C program around the object of a model with the prefix `net`; `body` is main's.
std::string program_around_net(const std::string& body) {
    return R"C(#define _POSIX_C_SOURCE 200112L
#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "net.h"
static int failures = 0;
#define EXPECT(condition) do { if (!(condition)) { failures++; printf("line %d: %s\n", __LINE__, #condition); } } while (0)
static unsigned char *region(size_t size) {
    void *memory = NULL;
    if (posix_memalign(&memory, NET_ALIGN, size + 1) != 0) exit(9);
    memset(memory, 0x5a, size + 1);
    return memory;
}
int main(void) {
)C" + body +
           "    return failures != 0;\n}\n";
}

void compile_net(const TemporaryDirectory& directory, const std::string& source,
                 std::vector<std::string> more = {}) {
    directory.write("net.net", source);
    std::vector<std::string> words{"compile", "net.net", "--prefix", "net", "-o", "net.o"};
    words.insert(words.end(), more.begin(), more.end());
    expect_success(run_netc(words, directory.path()));
}

void expect_runs(const TemporaryDirectory& directory, const std::string& body) {
    directory.write("call.c", program_around_net(body));
    expect_success(shell(kStrict + "call.c net.o -lm -o call", directory));
    const Outcome outcome = shell("./call", directory);
    INFO(outcome.out);
    CHECK(outcome.signal == 0);
    CHECK(outcome.status == 0);
}

std::string scheduled(const std::string& rate) {
    return "net 1\nmodel Net(x: f32[B, 3]) -> f32[B, 2] = x |> linear(2)\n"
           "train Net { target y: f32[B, 2]\n  batch = 2\n  epochs = 2\n"
           "  loss = mse(out, y)\n  optimizer = sgd(lr = " +
           rate + ") }\n";
}

const char* const kTrainOnce = R"C(
    unsigned char *weights = region(NET_WEIGHTS_SIZE), *before = region(NET_WEIGHTS_SIZE);
    unsigned char *optimizer = region(NET_OPTIMIZER_SIZE), *optimizer_before = region(NET_OPTIMIZER_SIZE);
    unsigned char *work = region(net_train_workspace(2)), *gradients = region(NET_WEIGHTS_SIZE);
    float x[6] = {1, 2, 3, 4, 5, 6}, y[4] = {0, 0, 0, 0}, loss = 77;
    net_hyper hyper = {0, 1, 0};
    EXPECT(net_init(weights, optimizer, 1) == NET_OK);
    memcpy(before, weights, NET_WEIGHTS_SIZE);
    memcpy(optimizer_before, optimizer, NET_OPTIMIZER_SIZE);
)C";

}  // namespace

TEST_CASE("a schedule in epochs wants the number of steps in one") {
    const TemporaryDirectory directory;
    for (const char* rate :
         {"cosine(0.1, over = 3ep, warmup = 1ep)", "linear(0.1, over = 3ep)",
          "step(0.1, gamma = 0.5, every = 2ep)", "exponential(0.1, gamma = 0.9, every = 1ep)",
          "piecewise([(0ep, 0.1), (2ep, 0.01)])"}) {
        INFO(rate);
        compile_net(directory, scheduled(rate));
        expect_runs(directory, kTrainOnce + std::string(R"C(
    EXPECT(net_train_step(weights, optimizer, x, y, 2, NULL, work, &loss) == NET_E_EPOCH);
    hyper.learning_rate = nanf("");
    EXPECT(net_train_step(weights, optimizer, x, y, 2, &hyper, work, &loss) == NET_E_EPOCH);
    EXPECT(memcmp(before, weights, NET_WEIGHTS_SIZE) == 0 && loss == 77);
    EXPECT(memcmp(optimizer_before, optimizer, NET_OPTIMIZER_SIZE) == 0);
    /* No rate comes from the schedule here. */
    EXPECT(net_gradient(weights, x, y, 2, NULL, work, &loss, gradients) == NET_OK);
    hyper.learning_rate = 0.5f;
    EXPECT(net_train_step(weights, optimizer, x, y, 2, &hyper, work, &loss) == NET_OK && isfinite(loss));
    /* Said once, it is known. */
    hyper.learning_rate = nanf("");
    hyper.steps_per_epoch = 4;
    EXPECT(net_train_step(weights, optimizer, x, y, 2, &hyper, work, &loss) == NET_OK && isfinite(loss));
    EXPECT(net_train_step(weights, optimizer, x, y, 2, NULL, work, &loss) == NET_OK && isfinite(loss));
)C"));
    }
}

TEST_CASE("an object with the weights of a run knows the steps of its epochs") {
    const TemporaryDirectory directory;
    directory.write("d.csv", "1,2,3,0,0\n4,5,6,0,0\n1,1,1,1,0\n2,1,0,0,1\n");
    std::string source = scheduled("linear(0.1, over = 3ep)");
    source.insert(source.find("  batch"),
                  "  data = csv(\"d.csv\", x = cols(0..3), y = cols(3..5))\n  shuffle = false\n");
    directory.write("net.net", source);
    expect_success(run_netc({"train", "net.net", "--run", "run"}, directory.path()));
    compile_net(directory, source, {"--weights", "run", "--emit=obj,header,weights"});
    // Two steps an epoch, so that the sixth leaves nothing of the rate.
    expect_runs(directory, kTrainOnce + std::string(R"C(
    int i;
    for (i = 0; i < 6; i++) EXPECT(net_train_step(weights, optimizer, x, y, 2, NULL, work, &loss) == NET_OK && isfinite(loss));
    EXPECT(memcmp(before, weights, NET_WEIGHTS_SIZE) != 0);
    memcpy(before, weights, NET_WEIGHTS_SIZE);
    EXPECT(net_train_step(weights, optimizer, x, y, 2, NULL, work, &loss) == NET_OK);
    EXPECT(memcmp(before, weights, NET_WEIGHTS_SIZE) == 0);
    EXPECT(hyper.seed == 1 && gradients != NULL);
)C"));
}

TEST_CASE("a bad index that the model computes leaves weights and optimizer as they were") {
    const TemporaryDirectory directory;
    const std::string training =
        "train Net { target t: f32[B, 2]\n  loss = mse(out, t)\n  optimizer = adam(lr = 0.1) }\n";
    for (const std::string body :
         {"gather(table, ids + 1) |> linear(2)", "gather(table, -ids) |> linear(3) |> linear(2)",
          "(gather(table, ids) |> linear(2)) + (gather(table, ids * 2) |> linear(2))"}) {
        INFO(body);
        compile_net(directory, "net 1\nmodel Net(ids: i32[B]) -> f32[B, 2] {\n"
                               "  param table: f32[5, 2] = normal(0.0, 1.0)\n  return " +
                                   body + "\n}\n" + training);
        // The batch that the small entry has code for (32), and another.
        expect_runs(directory, R"C(
    unsigned char *weights = region(NET_WEIGHTS_SIZE), *before = region(NET_WEIGHTS_SIZE);
    unsigned char *optimizer = region(NET_OPTIMIZER_SIZE), *optimizer_before = region(NET_OPTIMIZER_SIZE);
    unsigned char *work = region(net_train_workspace(32));
    int32_t ids[32];
    float t[64], loss;
    size_t i, batch;
    for (i = 0; i < 64; i++) t[i] = 0;
    EXPECT(net_init(weights, optimizer, 1) == NET_OK);
    memcpy(before, weights, NET_WEIGHTS_SIZE);
    memcpy(optimizer_before, optimizer, NET_OPTIMIZER_SIZE);
    for (batch = 3; batch <= 32; batch += 29) {
        for (i = 0; i < 32; i++) ids[i] = 0;
        ids[batch - 1] = 3;
        for (i = 0; i < 2; i++) {
            const int status = net_train_step(weights, optimizer, ids, t, batch, NULL, work, &loss);
            if (status == NET_OK) { EXPECT(ids[batch - 1] == 3); EXPECT(net_init(weights, optimizer, 1) == NET_OK); }
            else EXPECT(status == NET_E_INDEX);
            EXPECT(memcmp(before, weights, NET_WEIGHTS_SIZE) == 0);
            EXPECT(memcmp(optimizer_before, optimizer, NET_OPTIMIZER_SIZE) == 0);
            ids[batch - 1] = 40;
        }
        ids[batch - 1] = 0;
        EXPECT(net_train_step(weights, optimizer, ids, t, batch, NULL, work, &loss) == NET_OK && isfinite(loss));
        EXPECT(memcmp(before, weights, NET_WEIGHTS_SIZE) != 0);
        EXPECT(net_init(weights, optimizer, 1) == NET_OK);
    }
)C");
    }
}

TEST_CASE("an object asks for every extension that its code may use") {
    const TemporaryDirectory directory;
    const std::string model = "net 1\nmodel Net(x: f32[B, 8]) -> f32[B, 4] = x |> linear(4)\n";
    const std::string known = *read_file("/proc/cpuinfo");
    struct Case {
        const char *option, *flag;
    };
    for (const Case& each :
         {Case{"--cpu=bdver4", " xop "}, Case{"--cpu=x86-64-v3", " avx2 "},
          Case{"--features=+xop", " xop "}, Case{"--features=+fma4", " fma4 "},
          Case{"--features=+avxvnni", " avx_vnni "},
          Case{"--features=+avxvnniint8", " avx_vnni_int8 "}, Case{"--features=+sha512", " avx2 "},
          Case{"--cpu=alderlake", " avx_vnni "}}) {
        INFO(each.option);
        std::vector<std::string> options{each.option};
        if (count_of(each.option, "features") > 0) options.emplace_back("--cpu=x86-64-v3");
        compile_net(directory, model, options);
        const bool there = count_of(known, each.flag) > 0;
        expect_runs(directory,
                    std::string("    EXPECT(net_init(region(NET_WEIGHTS_SIZE), NULL, 1) == ") +
                        (there ? "NET_OK" : "NET_E_CPU") + ");\n");
    }
}

TEST_CASE("features that go together make code, others are the user's mistake") {
    const TemporaryDirectory directory;
    directory.write("net.net",
                    "net 1\nmodel Net(x: f32[B, 8, 9, 9]) -> f32[B, 16, 9, 9] = x |> conv(16)\n");
    const auto compile = [&](const std::string& target) {
        return shell(std::string(NETC_BINARY) + " compile net.net -o net.o " + target, directory);
    };
    for (const char* good :
         {"+avx512f", "+avx512bf16", "+avx512vnni", "+avx512f,+avx512vl,+avx512bw,+avx512dq",
          "+avx512f,+avx512vl,+avx512bw,+avx512dq,-evex512", "+avx10.1-256", "-cmov"}) {
        INFO(good);
        expect_success(compile(std::string("--cpu=x86-64-v3 --features=") + good));
    }
    expect_success(compile("--cpu=x86-64-v4 --features=-evex512"));
    for (const char* bad :
         {"--cpu=x86-64-v3 --features=+avx512f,-evex512", "--cpu=x86-64-v3 --features=-64bit",
          "--cpu=x86-64-v3 --features=+soft-float",
          "--target=aarch64-linux-gnu --cpu=neoverse-n2 --features=-neon",
          "--target=aarch64-linux-gnu --cpu=neoverse-n2 --features=-fp-armv8"}) {
        INFO(bad);
        const Outcome outcome = compile(bad);
        CHECK(outcome.signal == 0);
        CHECK(outcome.status == 2);
        CHECK(count_of(outcome.err, "error: ") == 1);
    }
}

TEST_CASE("an object takes only what it has prepared itself") {
    const TemporaryDirectory directory;
    const std::string model =
        "net 1\nmodel Net(x: f32[B, 16, 8, 8]) -> f32[B, 16, 8, 8] = x |> conv(16, k=3, pad=1)\n";
    compile_net(directory, model, {"--matmul=f32", "--cpu=x86-64-v3"});
    expect_runs(directory, R"C(
    unsigned char *weights = region(NET_WEIGHTS_SIZE), *prepared = region(NET_PREPARED_SIZE);
    FILE *file = fopen("prepared.bin", "wb");
    if (file == NULL) return 8;
    EXPECT(net_init(weights, NULL, 1) == NET_OK && net_prepare(weights, prepared) == NET_OK);
    EXPECT(fwrite(prepared, 1, NET_PREPARED_SIZE, file) == NET_PREPARED_SIZE);
    fclose(file);
)C");
    const auto forward = [&](const char* status) {
        expect_runs(directory, std::string(R"C(
    unsigned char *prepared = region(NET_PREPARED_SIZE + 4096 * 64);
    static float x[16 * 64], out[16 * 64];
    FILE *file = fopen("prepared.bin", "rb");
    if (file == NULL || fread(prepared, 1, NET_PREPARED_SIZE, file) == 0) return 8;
    fclose(file);
    EXPECT(net_forward(prepared, x, out, 1, region(net_forward_workspace(1))) == )C") +
                                   status + ");\n");
    };
    forward("NET_OK");
    compile_net(directory, model, {"--matmul=f32", "--cpu=x86-64-v3"});
    forward("NET_OK");
    compile_net(directory, model, {"--matmul=bf16", "--cpu=x86-64-v3"});
    forward("NET_E_WEIGHTS");
    compile_net(directory, model, {"--matmul=f32", "--cpu=haswell"});
    forward("NET_E_WEIGHTS");
}

TEST_CASE("the caller's rounding does not change what an object computes") {
    const TemporaryDirectory directory;
    compile_net(directory, scheduled("0.1"), {"--cpu=x86-64-v3"});
    expect_runs(directory, kTrainOnce + std::string(R"C(
    EXPECT(net_train_step(weights, optimizer, x, y, 2, NULL, work, &loss) == NET_OK);
    EXPECT(net_init(before, optimizer_before, 1) == NET_OK);
    EXPECT(fesetround(FE_UPWARD) == 0);
    EXPECT(net_train_step(before, optimizer_before, x, y, 2, NULL, work, &loss) == NET_OK);
    EXPECT(fegetround() == FE_UPWARD);
    EXPECT(memcmp(before, weights, NET_WEIGHTS_SIZE) == 0);
    EXPECT(hyper.seed == 1 && gradients != NULL);
)C"));
}

TEST_CASE("columns of one input have ranges of their own") {
    const TemporaryDirectory directory;
    directory.write("v.net", R"(net 1
model V(ids: i32[B, 2]) -> f32[B, 2]
  = concat(1)(ids[:, 0] |> embedding(100, 2), ids[:, 1] |> embedding(5, 2)) |> linear(2)
)");
    expect_success(run_netc({"compile", "v.net", "-o", "v.o"}, directory.path()));
    directory.write("call.c", R"C(#define _POSIX_C_SOURCE 200112L
#include <stdio.h>
#include <stdlib.h>
#include "v.h"
static void *region(size_t size) {
    void *memory = NULL;
    if (posix_memalign(&memory, V_ALIGN, size + 1) != 0) exit(9);
    return memory;
}
int main(void) {
    const int32_t good[] = {50, 1, 99, 4}, second[] = {50, 1, 7, 5}, first[] = {100, 1, 7, 4};
    void *weights = region(V_WEIGHTS_SIZE), *prepared = region(V_PREPARED_SIZE), *work = region(v_forward_workspace(2));
    float out[4];
    if (v_init(weights, NULL, 1) != 0 || v_prepare(weights, prepared) != 0) return 8;
    printf("%d ", v_forward(prepared, good, out, 2, work));
    printf("%d ", v_forward(prepared, second, out, 2, work));
    printf("%d", v_forward(prepared, first, out, 2, work));
    return 0;
}
)C");
    expect_success(shell(kStrict + "call.c v.o -o call", directory));
    CHECK(shell("./call", directory).out == "0 5 5");
}
