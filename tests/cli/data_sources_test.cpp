// links: runtime ir
// What a section's data can be, from training to evaluation: rows kept by a split, classes drawn evenly,
// archives, labels that do not count, inputs of 16 bits.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include <cmath>
#include <filesystem>

#include "runtime/files/files.h"
#include "runtime/files/npz.h"
#include "tests/cli/expect.h"
#include "tests/cli/networks.h"
#include "tests/cli/run_command.h"

using namespace netc;

namespace {

// `what` = value of a section's setting in a text.
std::string with(std::string source, const std::string& what, const std::string& value) {
    const std::size_t at = source.find("  " + what);
    source.replace(at, source.find('\n', at) - at, "  " + what + " = " + value);
    return source;
}

nlohmann::json metrics(const Outcome& outcome) {
    expect_success(outcome);
    return nlohmann::json::parse(outcome.out);
}

}  // namespace

TEST_CASE("eval takes the rows that the run kept, whatever the section's split says now") {
    const TemporaryDirectory directory;
    directory.write("moons.net", kMoons);
    expect_success(run_netc({"train", "moons.net", "--quiet", "--run", "run"}, directory.path()));
    const std::string rows = *read_file(directory.file("run/rows.txt"));
    CHECK(rows.starts_with("rows 600\n"));
    const auto eval = [&](const std::string& weights) {
        return metrics(
            run_netc({"eval", "moons.net", "--weights", weights, "--json"}, directory.path()));
    };
    const nlohmann::json before = eval("run");
    CHECK(before["rows"] == 120);
    // Another split: other rows would be held out, some of which were trained on.
    directory.write("moons.net",
                    with(kMoons, "split", "random(train = 0.5, valid = 0.5, seed = 9)"));
    CHECK(eval("run") == before);
    CHECK(eval("run/best.safetensors") == before);
    // Without the run's rows the section decides.
    std::filesystem::copy(directory.file("run/best.safetensors"), directory.file("w.safetensors"));
    CHECK(eval("w.safetensors")["rows"] == 300);
    directory.write("run/rows.txt", "rows 599\n" + rows.substr(rows.find('\n') + 1));
    expect_refusal(run_netc({"eval", "moons.net", "--weights", "run"}, directory.path()), 3,
                   {"the rows kept with the run"});
}

TEST_CASE("classes are drawn as often as each other") {
    const TemporaryDirectory directory;
    // 99 samples of class 0 at 0, one of class 1 at 1, and a network that can only learn how often a class is
    // drawn: its two scores, whatever the input.
    std::string x = "0", y = "0";
    for (int i = 1; i < 100; ++i) {
        x += i == 50 ? ", 1" : ", 0";
        y += i == 50 ? ", 1" : ", 0";
    }
    const std::string source = R"(net 1
model Prior(x: f32[B]) -> f32[B, 2] { param s: f32[2] = zeros()  return broadcast([B, 2])(s) }
train Prior {
  target y: i32[B]
  data = inline(x = [)" + x + "], y = [" +
                               y + R"(])
  loss = cross_entropy(out, y)
  optimizer = sgd(lr = 0.5)
  batch = 100
  epochs = 200
  sample = random()
}
)";
    const auto share = [&](const std::string& text) {
        directory.write("prior.net", text);
        std::filesystem::remove_all(directory.file("run"));
        expect_success(
            run_netc({"train", "prior.net", "--quiet", "--run", "run"}, directory.path()));
        const Outcome weights = run_netc(
            {"weights", "run/last.safetensors", "s", "--values", "--json"}, directory.path());
        const nlohmann::json s = metrics(weights)["s"];
        return 1 / (1 + std::exp(s[0].get<double>() - s[1].get<double>()));
    };
    CHECK(share(with(source, "sample", "balanced(y)")) == Approx(0.5).margin(0.1));
    std::string plain = source;
    plain.erase(plain.find("  sample"),
                plain.find("()\n}", plain.find("  sample")) + 3 - plain.find("  sample"));
    CHECK(share(plain) < 0.1);
}

TEST_CASE("an archive is data") {
    const TemporaryDirectory directory;
    const std::vector<float> x = {0, 0, 0, 1, 1, 0, 1, 1}, t = {0, 1, 1, 0};
    const std::vector<TensorView> arrays = {{"points", DType::f32, {4, 2}, bytes_of(x)},
                                            {"labels", DType::f32, {4, 1}, bytes_of(t)}};
    REQUIRE(write_npz(directory.file("xor.npz"), arrays).ok());
    directory.write("inline.net", kXor);
    directory.write("npz.net", with(kXor, "data", R"(npz("xor.npz", x = "points", t = "labels"))"));
    for (const char* name : {"inline", "npz"}) {
        expect_success(run_netc({"train", std::string(name) + ".net", "--quiet", "--run", name},
                                directory.path()));
    }
    const Outcome diff =
        run_netc({"weights", "npz", "--diff", "inline", "--json"}, directory.path());
    for (const nlohmann::json& tensor : metrics(diff)["tensors"])
        CHECK(tensor["same_bits"] == true);
    directory.write("npz.net",
                    with(kXor, "data", R"(npz("xor.npz", x = "points", t = "targets"))"));
    expect_refusal(run_netc({"train", "npz.net", "--run", "other"}, directory.path()), 3,
                   {"xor.npz has no array `targets`", "points, labels"});
}

TEST_CASE("of labels, only the one to ignore may be no class") {
    const TemporaryDirectory directory;
    directory.write("table.net", with(kTable, "loss", "cross_entropy(ignore = 255)(out, y)"));
    const auto train = [&](const std::string& label) {
        std::filesystem::remove_all(directory.file("run"));
        directory.write("points.csv", "1,2,0\n3,4," + label + "\n5,6,2\n7,8,1\n");
        return run_netc({"train", "table.net", "--quiet", "--run", "run"}, directory.path());
    };
    expect_success(train("1"));
    expect_success(train("255"));
    for (const char* label : {"3", "-1", "254", "-100"}) {
        INFO(label);
        expect_refusal(train(label), 3,
                       {"points.csv:2", "`y` in row 1", "0 to 2 and not 255, which is ignored"});
    }
    // The same of files given to grad.
    expect_success(run_netc({"init", "table.net", "-o", "w.safetensors"}, directory.path()));
    REQUIRE(put_npy(directory.file("x.npy"), {2, 2}, std::vector<float>{1, 2, 3, 4}));
    const auto grad = [&](std::int32_t label) {
        REQUIRE(put_npy(directory.file("y.npy"), {2}, std::vector<std::int32_t>{1, label}));
        return run_netc({"grad", "table.net", "--weights", "w.safetensors", "--input", "x=x.npy",
                         "--input", "y=y.npy", "-o", "g.safetensors"},
                        directory.path());
    };
    expect_success(grad(255));
    expect_refusal(grad(3), 3, {"`y`: element 1 is 3"});
}

TEST_CASE("inputs of 16 bits") {
    const TemporaryDirectory directory;
    for (const char* dtype : {"f16", "bf16"}) {
        directory.write(
            "half.net",
            "net 1\nmodel Half(x: " + std::string(dtype) +
                R"([B, 2]) -> f32[B, 2] { param w: f32[] = ones()  return cast(x, f32) * w }
train Half {
  target y: f32[B, 2]
  data = inline(x = [[1, 2], [0.5, -4]], y = [[1, 2], [0.5, -4]])
  loss = mse(out, y)
  epochs = 1
}
)");
        expect_success(run_netc({"init", "half.net", "-o", "w.safetensors"}, directory.path()));
        REQUIRE(put_npy(directory.file("x.npy"), {1, 2}, std::vector<float>{1.5f, -0.25f}));
        const Outcome predicted = run_netc(
            {"predict", "half.net", "--weights", "w.safetensors", "--input", "x=x.npy", "--json"},
            directory.path());
        CHECK(metrics(predicted)["out"] == nlohmann::json::parse("[[1.5, -0.25]]"));
        const Outcome evaluated = run_netc(
            {"eval", "half.net", "--weights", "w.safetensors", "--json"}, directory.path());
        CHECK(metrics(evaluated)["metrics"]["loss"] == 0.0);
        expect_refusal(
            run_netc({"grad", "half.net", "--weights", "w.safetensors", "--input", "x=x.npy",
                      "--input", "y=x.npy", "--wrt", "x", "-o", "g.safetensors"},
                     directory.path()),
            2, {"half.net:2:12", "`x` is ", "inputs of f32 and f64 have gradients"});
    }
}

TEST_CASE("an epoch without a step is refused") {
    const TemporaryDirectory directory;
    directory.write("xor.net", with(kXor, "batch", "5\n  drop_last = true"));
    expect_refusal(run_netc({"train", "xor.net", "--run", "run"}, directory.path()), 1,
                   {"E0613", "4 samples", "batch of 5", "xor.net:9:11"});
}
