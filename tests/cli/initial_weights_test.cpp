// links: runtime ir
// What training starts from and what it leaves alone: orthogonal, from_file, load, freeze, rate.
#include <catch2/catch.hpp>

#include <cmath>
#include <cstring>

#include "runtime/files/files.h"
#include "runtime/files/safetensors.h"
#include "tests/cli/expect.h"
#include "tests/cli/networks.h"
#include "tests/cli/run_command.h"

using namespace netc;

namespace {

std::vector<double> tensor(const std::string& path, const std::string& name) {
    const Result<Safetensors> file = read_safetensors(path);
    INFO(path << ": " << name);
    REQUIRE(file.ok());
    const Safetensors::Tensor* found = file->find(name);
    REQUIRE(found != nullptr);
    std::vector<double> values;
    for (std::size_t at = 0; at < found->size; at += sizeof(float)) {
        float value = 0;
        std::memcpy(&value, file->data(*found).data() + at, sizeof value);
        values.push_back(static_cast<double>(value));
    }
    return values;
}

const std::string kMatrices = R"(net 1
layer turn(o: int)(x: real[B, I]) -> real[B, o] { param w: real[I, o] = orthogonal()
  return x @ w }
model M(x: f32[B, 12]) -> f32[B, 30] = x |> turn(12) |> tanh |> turn(5) |> tanh |> turn(1) |> tanh |> turn(30)
)";

const std::string kFromFile = R"(net 1
layer fixed()(x: real[B, 3]) -> real[B, 2] { param w: real[3, 2] = from_file("w.npy")
  return x @ w }
model M(x: f32[B, 3]) -> f32[B, 2] = x |> fixed
)";

// A backbone with a normalisation, whose state training would change, and dropout.
std::string transfer(const std::string& settings) {
    return R"(net 1
layer backbone()(x: real[B, C]) -> real[B, 6] = x |> linear(6) |> batch_norm |> relu |> dropout(0.5)
model M(x: f32[B, 2]) -> f32[B, 1] = x |> backbone |> linear(1)
train M {
  target y: f32[B, 1]
  data      = moons(n = 64, seed = 5)
  loss      = mse(out, y)
  optimizer = sgd(lr = 0.1)
  batch     = 64
  steps     = 1
)" + settings +
           "}\n";
}

}  // namespace

TEST_CASE("orthogonal matrices have orthonormal rows or columns") {
    const TemporaryDirectory directory;
    directory.write("m.net", kMatrices);
    expect_success(run_netc({"init", "m.net", "--seed", "4", "-o", "w"}, directory.path()));
    expect_success(run_netc({"init", "m.net", "--seed", "5", "-o", "v"}, directory.path()));
    const std::pair<std::size_t, std::size_t> shapes[] = {{12, 12}, {12, 5}, {5, 1}, {1, 30}};
    for (std::size_t n = 0; n < 4; ++n) {
        const auto [rows, columns] = shapes[n];
        const std::string name = "turn_" + std::to_string(n + 1) + ".w";
        const std::vector<double> w = tensor(directory.file("w"), name);
        INFO(name);
        REQUIRE(w.size() == rows * columns);
        CHECK(w != tensor(directory.file("v"), name));
        const bool tall = rows >= columns;
        const std::size_t small = tall ? columns : rows, large = tall ? rows : columns;
        auto at = [&](std::size_t l, std::size_t s) {
            return tall ? w[l * columns + s] : w[s * columns + l];
        };
        for (std::size_t i = 0; i < small; ++i) {
            for (std::size_t j = 0; j < small; ++j) {
                double product = 0;
                for (std::size_t l = 0; l < large; ++l) product += at(l, i) * at(l, j);
                CHECK(product == Approx(i == j ? 1.0 : 0.0).margin(1e-5));
            }
        }
    }
}

TEST_CASE("from_file takes an array, and refuses one that does not fit") {
    const TemporaryDirectory directory;
    directory.write("m.net", kFromFile);
    const std::string file = directory.file("w.npy");
    const auto init = [&] { return run_netc({"init", "m.net", "-o", "w"}, directory.path()); };
    expect_refusal(init(), 3, {"w.npy"});
    const std::vector<double> wide{1.5, -2, 3, 4, 5, 6};
    REQUIRE(write_npy(file, DType::f64, std::vector<std::int64_t>{3, 2}, bytes_of(wide)).ok());
    expect_success(init());
    CHECK(tensor(directory.file("w"), "fixed_1.w") == wide);
    REQUIRE(put_npy(file, {2, 3}, std::vector<float>(6, 1.0f)));
    expect_refusal(init(), 3, {"w.npy", "f32[2, 3]", "fixed_1.w", "f32[3, 2]"});
    const std::vector<std::uint8_t> truths(6, 1);
    REQUIRE(write_npy(file, DType::b1, std::vector<std::int64_t>{3, 2}, bytes_of(truths)).ok());
    expect_refusal(init(), 3, {"w.npy", "fixed_1.w"});
    directory.write("w.npy", "");
    expect_refusal(init(), 3, {"w.npy"});
}

TEST_CASE("an object says which initial values it does not have") {
    const TemporaryDirectory directory;
    directory.write("m.net", kFromFile);
    const Outcome outcome = run_netc({"compile", "m.net", "-o", "m.o"}, directory.path());
    expect_success(outcome);
    CHECK(outcome.err.find("leaves `fixed_1.w` at 0") != std::string::npos);
    directory.write("s.net", R"(net 1
model M(x: f32[B, 2]) -> f32[B, 3] = x |> linear(3)
train M {
  target y: i32[B]
  data      = csv("s.csv", x = standardize(cols(0..2)), y = col(2))
  loss      = cross_entropy(out, y, weight = balanced())
  optimizer = sgd(lr = 0.1)
}
)");
    const Outcome learned = run_netc({"compile", "s.net", "-o", "s.o"}, directory.path());
    expect_success(learned);
    for (const char* name : {"`x.mean`", "`x.deviation`", "`y.class_weights`"})
        CHECK(learned.err.find(name) != std::string::npos);
}

TEST_CASE("no output takes the place of a program, whatever its name") {
    const TemporaryDirectory directory;
    for (const std::string name : {"m.net", "m.h", "m.weights"}) {
        INFO(name);
        directory.write(name, kMatrices);
        const auto refused = [&](std::vector<std::string> arguments) {
            expect_refusal(run_netc(std::move(arguments), directory.path()), 2, {name.c_str()});
            CHECK(*read_file(directory.file(name)) == kMatrices);
        };
        refused({"init", name, "-o", name});
        if (name == "m.h") refused({"compile", name, "-o", "m.o"});
    }
}

TEST_CASE("what is frozen stays, its state too, and is computed as in inference") {
    const TemporaryDirectory directory;
    directory.write("free.net", transfer(""));
    directory.write("frozen.net", transfer("  freeze = [\"backbone_1.*\"]\n"));
    expect_success(run_netc({"init", "free.net", "-o", "start"}, directory.path()));
    for (const char* name : {"free", "frozen"}) {
        expect_success(
            run_netc({"train", std::string(name) + ".net", "--run", name}, directory.path()));
    }
    const std::string frozen = directory.file("frozen/last.safetensors");
    const std::string free = directory.file("free/last.safetensors");
    for (const char* part :
         {"backbone_1.linear_1.weight", "backbone_1.batch_norm_1.running_mean"}) {
        const auto start = tensor(directory.file("start"), part);
        CHECK(tensor(frozen, part) == start);
        CHECK(tensor(free, part) != start);
    }
    CHECK(tensor(frozen, "linear_1.weight") != tensor(directory.file("start"), "linear_1.weight"));
    // Without dropout and batch statistics the loss of the training graph is that of evaluation.
    const Outcome eval = run_netc(
        {"eval", "frozen.net", "--weights", "start", "--on", "train", "--json"}, directory.path());
    expect_success(eval);
    const Outcome train =
        run_netc({"train", "frozen.net", "--run", "again", "--json"}, directory.path());
    expect_success(train);
    const auto loss = [](const std::string& text) {
        return std::strtod(text.c_str() + text.find("\"loss\":") + 7, nullptr);
    };
    CHECK(loss(train.out) == Approx(loss(eval.out)).epsilon(1e-5));
}

TEST_CASE("rate multiplies the step of what it matches") {
    const TemporaryDirectory directory;
    directory.write("one.net", transfer(""));
    directory.write("three.net", transfer("  rate = [(\"linear_1.*\", 3.0)]\n"));
    expect_success(run_netc({"init", "one.net", "-o", "start"}, directory.path()));
    for (const char* name : {"one", "three"}) {
        expect_success(
            run_netc({"train", std::string(name) + ".net", "--run", name}, directory.path()));
    }
    const std::string name = "linear_1.weight";
    const auto start = tensor(directory.file("start"), name);
    const auto one = tensor(directory.file("one/last.safetensors"), name);
    const auto three = tensor(directory.file("three/last.safetensors"), name);
    for (std::size_t i = 0; i < start.size(); ++i) {
        CHECK(three[i] - start[i] == Approx(3 * (one[i] - start[i])).margin(1e-6));
    }
    const std::string other = "backbone_1.linear_1.weight";
    CHECK(tensor(directory.file("one/last.safetensors"), other) ==
          tensor(directory.file("three/last.safetensors"), other));
}

TEST_CASE("weights are loaded under other names, and what happened is said") {
    const TemporaryDirectory directory;
    directory.write("old.net", "net 1\nmodel Old(x: f32[B, 2]) -> f32[B, 9] =\n"
                               "  x |> linear(6) |> batch_norm |> relu |> linear(9)\n");
    expect_success(run_netc({"init", "old.net", "--seed", "9", "-o", "old"}, directory.path()));
    const auto wanted = tensor(directory.file("old"), "linear_1.weight");

    directory.write("new.net",
                    transfer("  load = weights(\"old\", map = [(\"linear_2.*\", \"gone.*\"), "
                             "(\"*\", \"backbone_1.*\")], partial = true)\n"));
    const Outcome loaded = run_netc({"init", "new.net", "-o", "new"}, directory.path());
    expect_success(loaded);
    CHECK(tensor(directory.file("new"), "backbone_1.linear_1.weight") == wanted);
    CHECK(loaded.err.find("2 initialised, 2 left out") != std::string::npos);
    CHECK(loaded.err.find("linear_1.weight f32[6, 1]") != std::string::npos);
    CHECK(loaded.err.find("gone.weight") != std::string::npos);

    // The same from the command line; without --partial everything must fit.
    directory.write("plain.net", transfer(""));
    const std::vector<std::string> train{"train", "plain.net",  "--load",
                                         "old",   "--load-map", "*=backbone_1.*"};
    auto with = [&](std::vector<std::string> more) {
        std::vector<std::string> all = train;
        all.insert(all.end(), more.begin(), more.end());
        return run_netc(all, directory.path());
    };
    expect_success(with({"--partial", "--run", "run"}));
    expect_refusal(with({"--run", "run2"}), 3, {"old", "linear_1.weight"});
    expect_refusal(with({"--load-map", "conv*=x*", "--partial", "--run", "run3"}), 3, {"conv*"});
    expect_refusal(with({"--load-map", "a*=b", "--run", "run4"}), 2, {"a*=b"});
    expect_refusal(run_netc({"train", "plain.net", "--load-map", "a=b"}, directory.path()), 2,
                   {"--load"});
}

TEST_CASE("weights that saw no data take mean and deviation from those at hand") {
    const TemporaryDirectory directory;
    directory.write("sd.csv", "1000,0\n1010,1\n1020,2\n1030,3\n");
    directory.write("sd.net", R"(net 1
model M(x: f32[B, 1]) -> f32[B, 1] = x |> linear(1)
train M {
  target y: f32[B, 1]
  data      = csv("sd.csv", x = standardize(col(0)), y = col(1))
  loss      = mse(out, y)
  optimizer = sgd(lr = 0.1)
  epochs    = 20
}
)");
    const auto run = [&](std::vector<std::string> arguments) {
        expect_success(run_netc(arguments, directory.path()));
    };
    run({"train", "sd.net", "--run", "whole", "--seed", "5", "--quiet"});
    run({"init", "sd.net", "-o", "sd.st", "--seed", "5"});
    run({"train", "sd.net", "--run", "loaded", "--load", "sd.st", "--seed", "5", "--quiet"});
    for (const char* name : {"x.mean", "x.deviation", "linear_1.weight", "linear_1.bias"}) {
        CHECK(tensor(directory.file("loaded/last.safetensors"), name) ==
              tensor(directory.file("whole/last.safetensors"), name));
    }
    // Those of a training keep theirs.
    directory.write("sd.csv", "1001,0\n1011,1\n1021,2\n1031,3\n");
    run({"train", "sd.net", "--run", "other", "--load", "whole/last.safetensors", "--quiet"});
    CHECK(tensor(directory.file("other/last.safetensors"), "x.mean") == std::vector<double>{1015});
    // What `import` takes from weights of the same model, categories for example, stays with them.
    run({"import", "sd.net", "--from", "whole/last.safetensors", "-o", "again.st"});
    const auto metadata = [&](const std::string& file) {
        return read_safetensors(directory.file(file))->metadata.at("netc.data");
    };
    CHECK(metadata("again.st") == metadata("whole/last.safetensors"));
}
