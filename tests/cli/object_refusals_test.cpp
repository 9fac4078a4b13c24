// links: runtime ir
// What objects refuse of small models: schedules without the steps of an epoch, indices that a model computes, other regions,
// processors, ranges of columns.
#include <catch2/catch.hpp>

#include "runtime/files/files.h"
#include "tests/cli/object_support.h"

using namespace netc;

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
