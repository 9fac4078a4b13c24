// Networks for the tests of emitted objects, and the C program that calls one.
#pragma once

#include <catch2/catch.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ir/dtype.h"
#include "runtime/files/npy.h"
#include "tests/cli/expect.h"
#include "tests/cli/networks.h"
#include "tests/cli/run_command.h"

namespace netc {

struct ObjectArgument {
    std::string name;
    std::vector<std::int64_t> sample;  // shape of one
    std::int64_t classes = 0;          // above 0: i32 below it, else f32

    std::int64_t count() const {
        std::int64_t n = 1;
        for (const std::int64_t extent : sample) n *= extent;
        return n;
    }
    const char* c_type() const { return classes > 0 ? "int32_t" : "float"; }
};

struct ObjectCase {
    std::string prefix;  // also the names of all its files
    std::string source;
    std::vector<ObjectArgument> inputs, targets, outputs;
    std::int64_t batch = 4, rows = 4;
};

// The data lie in files, unshuffled, so that a C program sees the same batches.
inline std::string section(const std::string& model, const ObjectCase& net,
                           const std::string& rest) {
    std::string text = "train " + model + " {\n", data;
    for (const auto* list : {&net.inputs, &net.targets}) {
        for (const ObjectArgument& a : *list)
            data += (data.empty() ? "" : ", ") + a.name + " = \"" + a.name + ".npy\"";
    }
    for (const ObjectArgument& a : net.targets) {
        text += "  target " + a.name + ": " + (a.classes > 0 ? "i32" : "f32") + "[B";
        for (const std::int64_t extent : a.sample) text += ", " + std::to_string(extent);
        text += "]\n";
    }
    return text + "  data = npy(" + data +
           ")\n  shuffle = false\n  seed = 3\n  batch = " + std::to_string(net.batch) +
           "\n  epochs = 1\n" + rest + "}\n";
}

inline std::vector<ObjectCase> object_cases() {
    std::vector<ObjectCase> all;
    ObjectCase net{
        "xor",
        "net 1\nmodel Xor(x: f32[B, 2]) -> f32[B, 1] = x |> linear(4) |> tanh |> linear(1)\n",
        {{"x", {2}}},
        {{"t", {1}}},
        {{"out", {1}}},
        4,
        4};
    net.source +=
        section("Xor", net, "  loss = bce_with_logits(out, t)\n  optimizer = adam(lr = 0.05)\n");
    all.push_back(net);

    net = {"mlp",
           "net 1\nmodel Mlp(x: f32[B, 50]) -> f32[B, 10] = x |> repeat 2 { linear(33) >> relu >> "
           "dropout(0.3) } |> linear(10)\n",
           {{"x", {50}}},
           {{"y", {}, 10}},
           {{"out", {10}}},
           24,
           60};
    net.source +=
        section("Mlp", net,
                "  loss = cross_entropy(out, y)\n  penalty = l2(1e-3, on = \"*.weight\")\n"
                "  optimizer = adam(lr = cosine(0.01, over = 30st, warmup = 5st))\n");
    all.push_back(net);

    net = {"lstm",
           "net 1\nmodel Lstm(x: f32[B, 6, 3]) -> f32[B, 2] {\n  let h = x |> lstm(9)\n"
           "  return h[:, -1] |> dropout(0.2) |> linear(2)\n}\n",
           {{"x", {6, 3}}},
           {{"y", {}, 2}},
           {{"out", {2}}},
           7,
           20};
    net.source +=
        section("Lstm", net, "  loss = cross_entropy(out, y)\n  optimizer = adam(lr = 0.01)\n");
    all.push_back(net);

    net = {"lenet5",
           "net 1\nmodel LeNet5(x: f32[B, 1, 28, 28]) -> f32[B, 10] =\n"
           "  x |> conv(6, k=5, pad=2) |> tanh |> avg_pool(2) |> conv(16, k=5, pad=0) |> tanh |> "
           "avg_pool(2)\n"
           "    |> flatten |> linear(120) |> tanh |> linear(84) |> tanh |> linear(10)\n",
           {{"x", {1, 28, 28}}},
           {{"y", {}, 10}},
           {{"out", {10}}},
           8,
           20};
    net.source +=
        section("LeNet5", net,
                "  loss = cross_entropy(out, y)\n  optimizer = sgd(lr = 0.05, momentum = 0.9)\n");
    all.push_back(net);

    net = {"turned",
           "net 1\nlayer turn(o: int)(x: real[B, I]) -> real[B, o] {\n"
           "  param w: real[I, o] = orthogonal()\n  return x @ w\n}\n"
           "model Turned(x: f32[B, 7]) -> f32[B, 3] = x |> turn(12) |> tanh |> turn(3)\n",
           {{"x", {7}}},
           {{"t", {3}}},
           {{"out", {3}}},
           4,
           8};
    net.source += section("Turned", net, "  loss = mse(out, t)\n  optimizer = adam(lr = 0.05)\n");
    all.push_back(net);

    net = {"normed",
           "net 1\nmodel Normed(x: f32[B, 2, 9, 9]) -> f32[B, 3] =\n"
           "  x |> conv(5, k=3, pad=1, bias=false) |> batch_norm |> relu |> max_pool(2) |> conv(7, "
           "k=3) |> batch_norm |> relu\n"
           "    |> global_avg_pool |> linear(3)\n",
           {{"x", {2, 9, 9}}},
           {{"y", {}, 3}},
           {{"out", {3}}},
           5,
           12};
    net.source += section("Normed", net,
                          "  loss = cross_entropy(out, y)\n  optimizer = sgd(lr = 0.1, momentum = "
                          "0.9, nesterov = true)\n");
    all.push_back(net);

    net = {"pair",
           "net 1\nmodel Pair(a: f32[B, 3], word: i32[B]) -> (sum: f32[B, 4], low: f32[B, 1]) {\n"
           "  let e = word |> embedding(6, 4)\n  let s = (a |> linear(4)) + e\n  return (s, s |> "
           "tanh |> linear(1))\n}\n",
           {{"a", {3}}, {"word", {}, 6}},
           {{"t", {1}}, {"y", {}, 4}},
           {{"sum", {4}}, {"low", {1}}},
           7,
           18};
    net.source +=
        section("Pair", net,
                "  loss = mse(low, t) + cross_entropy(sum, y)\n  optimizer = adamw(lr = 0.01)\n");
    all.push_back(net);
    return all;
}

// Writes the source and a .npy and a .bin for every input and target.
inline void write_case(const ObjectCase& net, const TemporaryDirectory& directory) {
    directory.write(net.prefix + ".net", net.source);
    std::uint32_t seed = 1;
    for (const auto* list : {&net.inputs, &net.targets}) {
        for (const ObjectArgument& a : *list) {
            std::vector<std::int64_t> shape = a.sample;
            shape.insert(shape.begin(), net.rows);
            const std::vector<float> values =
                noise(static_cast<std::size_t>(net.rows * a.count()), seed++);
            std::vector<std::int32_t> labels;
            for (const float v : values)
                labels.push_back(static_cast<std::int32_t>((v + 1) * 1000) %
                                 static_cast<std::int32_t>(a.classes > 0 ? a.classes : 1));
            const auto bytes = a.classes > 0 ? bytes_of(labels) : bytes_of(values);
            REQUIRE(write_npy(directory.file(a.name + ".npy"),
                              a.classes > 0 ? DType::i32 : DType::f32, shape, bytes)
                        .ok());
            directory.write(a.name + ".bin",
                            std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
        }
    }
}

inline std::string replaced(std::string text,
                            const std::vector<std::pair<std::string, std::string>>& pairs) {
    for (const auto& [from, to] : pairs) {
        for (std::size_t at = text.find(from); at != std::string::npos;
             at = text.find(from, at + to.size()))
            text.replace(at, from.size(), to);
    }
    return text;
}

// C99. forward WEIGHTS: loads them, writes every output as NAME.out. train STEPS: from init on, writes the weights
// as PREFIX.trained, the losses and the tensor table to standard output. Every region has exactly its size.
inline std::string c_program(const ObjectCase& net) {
    std::string text = R"C(#define _POSIX_C_SOURCE 200112L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "@p@.h"

static void *region(size_t size) {
    void *memory = NULL;
    if (posix_memalign(&memory, @P@_ALIGN, size) != 0) exit(9);
    memset(memory, 0x5a, size);
    return memory;
}
static void *load(const char *path, size_t size, void *memory) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fread(memory, 1, size, file) != size) { fprintf(stderr, "%s?\n", path); exit(8); }
    fclose(file);
    return memory;
}
static void store(const char *path, const void *memory, size_t size) {
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(memory, 1, size, file) != size || fclose(file) != 0) exit(7);
}
static void check(int status) {
    if (status == @P@_OK) return;
    fprintf(stderr, "status %d: %s\n", status, @p@_strerror(status));
    exit(10 + status);
}

static void forward(const char *path) {
    void *weights = load(path, @P@_WEIGHTS_SIZE, region(@P@_WEIGHTS_SIZE));
    void *prepared = region(@P@_PREPARED_SIZE);
    void *workspace = region(@p@_forward_workspace(ROWS));
@declare_inputs@@declare_outputs@    if (@p@_forward_workspace(ROWS) != @P@_FORWARD_WORKSPACE(ROWS)) exit(6);
    check(@p@_prepare(weights, prepared));
    free(weights);
    check(@p@_forward(prepared, @inputs@, @outputs@, ROWS, workspace));
@store_outputs@@free_inputs@@free_outputs@    free(prepared);
    free(workspace);
}

static void train(int steps) {
    void *weights = region(@P@_WEIGHTS_SIZE), *optimizer = region(@P@_OPTIMIZER_SIZE);
    void *workspace = region(@p@_train_workspace(BATCH));
@declare_inputs@@declare_targets@    const size_t per_epoch = (ROWS + BATCH - 1) / BATCH;
    const @p@_tensor *tensors;
    size_t count, i;
    int step;
    if (@p@_train_workspace(BATCH) != @P@_TRAIN_WORKSPACE(BATCH) || @p@_optimizer_size() != @P@_OPTIMIZER_SIZE) exit(6);
    check(@p@_init(weights, optimizer, 3));
    store("@p@.start", weights, @P@_WEIGHTS_SIZE);
    for (step = 0; step < steps; step++) {
        const size_t at = (size_t)step % per_epoch * BATCH, size = ROWS - at < BATCH ? ROWS - at : BATCH;
        float loss = -1;
        check(@p@_train_step(weights, optimizer, @batches@, size, NULL, workspace, &loss));
        printf("loss %.9g\n", loss);
    }
    store("@p@.trained", weights, @P@_WEIGHTS_SIZE);
    tensors = @p@_tensors(&count);
    for (i = 0; i < count; i++)
        printf("tensor %s %d %llu %llu\n", tensors[i].name, (int)tensors[i].dtype, (unsigned long long)tensors[i].offset,
               (unsigned long long)tensors[i].size);
@free_inputs@@free_targets@    free(weights);
    free(optimizer);
    free(workspace);
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "forward") == 0) forward(argv[2]);
    else if (argc == 3 && strcmp(argv[1], "train") == 0) train(atoi(argv[2]));
    else return 5;
    return 0;
}
)C";
    std::string names[3], declare[3], release[3], stores, batches;
    const std::vector<ObjectArgument>* lists[] = {&net.inputs, &net.targets, &net.outputs};
    for (int k = 0; k < 3; ++k) {
        for (const ObjectArgument& a : *lists[k]) {
            const std::string size =
                "ROWS * " + std::to_string(a.count()) + " * sizeof(" + a.c_type() + ")";
            const std::string memory = "malloc(" + size + ")";
            names[k] += (names[k].empty() ? "" : ", ") + a.name;
            declare[k] +=
                "    " + std::string(a.c_type()) + " *" + a.name + " = " +
                (k < 2 ? "load(\"" + a.name + ".bin\", " + size + ", " + memory + ")" : memory) +
                ";\n";
            release[k] += "    free(" + a.name + ");\n";
            if (k < 2)
                batches +=
                    (batches.empty() ? "" : ", ") + a.name + " + at * " + std::to_string(a.count());
            if (k == 2)
                stores += "    store(\"" + a.name + ".out\", " + a.name + ", " + size + ");\n";
        }
    }
    std::string upper = net.prefix;
    for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return replaced(text, {{"@declare_inputs@", declare[0]},
                           {"@declare_targets@", declare[1]},
                           {"@declare_outputs@", declare[2]},
                           {"@free_inputs@", release[0]},
                           {"@free_targets@", release[1]},
                           {"@free_outputs@", release[2]},
                           {"@inputs@", names[0]},
                           {"@outputs@", names[2]},
                           {"@store_outputs@", stores},
                           {"@batches@", batches},
                           {"@p@", net.prefix},
                           {"@P@", upper},
                           {"ROWS", "(size_t)" + std::to_string(net.rows)},
                           {"BATCH", "(size_t)" + std::to_string(net.batch)}});
}

inline Outcome shell(const std::string& command, const TemporaryDirectory& directory) {
    return run_command({{"sh", "-c", command}, directory.path(), {}, {}, {}});
}

inline const std::string kStrict = "cc -std=c99 -Wall -Wextra -pedantic -Werror ";

// netc compile, then the C program around the object, as PREFIX.
inline void build_case(const ObjectCase& net, const TemporaryDirectory& directory,
                       const std::string& flags) {
    write_case(net, directory);
    expect_success(run_netc({"init", net.prefix + ".net", "-o", net.prefix + ".safetensors"},
                            directory.path()));
    expect_success(
        run_netc({"compile", net.prefix + ".net", "--weights", net.prefix + ".safetensors",
                  "--emit=obj,header,weights", "-o", net.prefix + ".o"},
                 directory.path()));
    directory.write(net.prefix + ".c", c_program(net));
    expect_success(
        shell(kStrict + flags + " " + net.prefix + ".c " + net.prefix + ".o -o " + net.prefix,
              directory));
}

}  // namespace netc
