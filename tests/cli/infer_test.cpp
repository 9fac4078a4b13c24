// links: runtime ir
// init, predict, eval, grad, gradcheck against numbers computed by hand.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstring>

#include "runtime/files/files.h"
#include "runtime/files/safetensors.h"
#include "tests/cli/expect.h"
#include "tests/cli/networks.h"
#include "tests/cli/run_command.h"

using namespace netc;

namespace {

// One weighted sum of two inputs; its weights are chosen here.
const std::string kLine = R"(net 1
model Line(x: f32[B, 2]) -> f32[B, 1] = x |> linear(1)
train Line {
  target t: f32[B, 1]
  data      = inline(x = [[1, 2], [3, 4], [5, 6]], t = [[1], [0], [2]])
  loss      = mse(out, t)
  optimizer = sgd(lr = 0.1)
  batch     = 2
  epochs    = 1
  metric off = mae(out, t)
}
)";

void put_line(const std::string& path) {
    const std::vector<float> weight = {0.5f, -0.25f}, bias = {0.125f};
    const std::vector<TensorView> tensors = {
        {"linear_1.weight", DType::f32, {2, 1}, bytes_of(weight)},
        {"linear_1.bias", DType::f32, {1}, bytes_of(bias)}};
    REQUIRE(write_safetensors(path, tensors, {}).ok());
}

std::vector<float> floats(const Safetensors& file, const char* name) {
    const Safetensors::Tensor* tensor = file.find(name);
    INFO(name);
    REQUIRE(tensor != nullptr);
    std::vector<float> values(tensor->size / sizeof(float));
    std::memcpy(values.data(), file.data(*tensor).data(), tensor->size);
    return values;
}

}  // namespace

TEST_CASE("ints are exact: their least, and what predict writes") {
    const TemporaryDirectory directory;
    struct Case {
        DType dtype;
        std::vector<std::int64_t> row;
        const char *json, *least;
    };
    const Case cases[] = {
        {DType::u8, {0, 7, 9, 200}, "[[0,7,9,200]]", "[0]"},
        {DType::u8, {255, 128, 127, 129}, "[[255,128,127,129]]", "[127]"},
        {DType::i8, {-128, 5, 127, 0}, "[[-128,5,127,0]]", "[-128]"},
        {DType::i16, {-32768, 5, 32767, 0}, "[[-32768,5,32767,0]]", "[-32768]"},
        {DType::i32,
         {5, INT32_MIN, 0, INT32_MAX},
         "[[5,-2147483648,0,2147483647]]",
         "[-2147483648]"},
        {DType::i32,
         {INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX},
         "[[2147483647,2147483647,2147483647,2147483647]]",
         "[2147483647]"},
        {DType::i64,
         {9007199254740993, INT64_MIN, INT64_MAX, -9007199254740993},
         "[[9007199254740993,-9223372036854775808,9223372036854775807,-9007199254740993]]",
         "[-9223372036854775808]"},
    };
    for (const Case& entry : cases) {
        const std::string name(name_of(entry.dtype));
        INFO(name);
        directory.write("m.net", "net 1\nmodel M(x: " + name + "[B, 4]) -> (same: " + name +
                                     "[B, 4], low: " + name + "[B]) = (x + 0, reduce_min(1)(x))\n");
        expect_success(run_netc({"init", "m.net", "-o", "w.safetensors"}, directory.path()));
        const auto size = static_cast<std::size_t>(size_of(entry.dtype));
        std::vector<std::byte> bytes(4 * size);
        for (std::size_t i = 0; i < 4; ++i) std::memcpy(&bytes[i * size], &entry.row[i], size);
        const std::vector<std::int64_t> shape = {1, 4};
        REQUIRE(write_npy(directory.file("x.npy"), entry.dtype, shape, bytes).ok());
        const auto predict = [&](std::vector<std::string> more) {
            more.insert(more.begin(),
                        {"predict", "m.net", "--weights", "w.safetensors", "--input", "x=x.npy"});
            const Outcome outcome = run_netc(more, directory.path());
            expect_success(outcome);
            return outcome.out;
        };
        const std::string text =
            std::string("{\"same\":") + entry.json + ",\"low\":" + entry.least + "}\n";
        CHECK(predict({"--json"}) == text);
        predict({"-o", "out.json"});
        CHECK(*read_file(directory.file("out.json")) == text);
        const std::string table = predict({});
        for (const std::int64_t value : entry.row) {
            CHECK(table.find(" " + std::to_string(value)) != std::string::npos);
        }
    }
}

TEST_CASE("predict computes, in every form it writes") {
    const TemporaryDirectory directory;
    directory.write("line.net", kLine);
    put_line(directory.file("w.safetensors"));
    REQUIRE(put_npy(directory.file("x.npy"), {3, 2}, std::vector<float>{1, 2, 3, 4, 5, 6}));
    const auto predict = [&](std::vector<std::string> more) {
        more.insert(more.begin(),
                    {"predict", "line.net", "--weights", "w.safetensors", "--input", "x=x.npy"});
        const Outcome outcome = run_netc(more, directory.path());
        expect_success(outcome);
        return outcome.out;
    };
    CHECK(nlohmann::json::parse(predict({"--json"})) ==
          nlohmann::json::parse(R"({"out": [[0.125], [0.625], [1.125]]})"));
    predict({"-o", "out.npy"});
    const Result<Array> array = read_npy(directory.file("out.npy"));
    REQUIRE(array.ok());
    CHECK(array->shape == std::vector<std::int64_t>{3, 1});
    CHECK(std::memcmp(array->bytes.data(), std::vector<float>{0.125f, 0.625f, 1.125f}.data(), 12) ==
          0);
    predict({"-o", "out.csv"});
    CHECK(*read_file(directory.file("out.csv")) == "0.125\n0.625\n1.125\n");
    predict({"-o", "out.json"});
    CHECK(nlohmann::json::parse(*read_file(directory.file("out.json")))["out"][2][0] == 1.125);
    CHECK(predict({}).find("0.625") != std::string::npos);
    // No sample in, none out.
    REQUIRE(put_npy(directory.file("x.npy"), {0, 2}, std::vector<float>{}));
    CHECK(nlohmann::json::parse(predict({"--json"})) == nlohmann::json::parse(R"({"out": []})"));
}

TEST_CASE("integers are taken where numbers are wanted") {
    const TemporaryDirectory directory;
    directory.write("line.net", kLine);
    put_line(directory.file("w.safetensors"));
    REQUIRE(put_npy(directory.file("x.npy"), {1, 2}, std::vector<std::int32_t>{1, 2}));
    const Outcome outcome = run_netc(
        {"predict", "line.net", "--weights", "w.safetensors", "--input", "x=x.npy", "--json"},
        directory.path());
    expect_success(outcome);
    CHECK(nlohmann::json::parse(outcome.out)["out"][0][0] == 0.125);
}

TEST_CASE("the batch is what an input's dimensions say: half of the rows of [2 * B, 2]") {
    const TemporaryDirectory directory;
    directory.write("pairs.net", "net 1\nmodel P(x: f32[2 * B, 2]) -> f32[2 * B, 2] = x + 1\n");
    REQUIRE(write_safetensors(directory.file("w.safetensors"), {}, {}).ok());
    const auto predict = [&](const char* file) {
        return run_netc({"predict", "pairs.net", "--weights", "w.safetensors", "--input",
                         std::string("x=") + file, "--json"},
                        directory.path());
    };
    REQUIRE(put_npy(directory.file("four.npy"), {4, 2}, std::vector<float>(8, 1.0f)));
    REQUIRE(put_npy(directory.file("three.npy"), {3, 2}, std::vector<float>(6, 1.0f)));
    const Outcome four = predict("four.npy");
    expect_success(four);
    CHECK(nlohmann::json::parse(four.out)["out"] ==
          nlohmann::json::parse("[[2, 2], [2, 2], [2, 2], [2, 2]]"));
    expect_refusal(predict("three.npy"), 3, {"f32[2 * B, 2]", "f32[3, 2]"});
}

TEST_CASE("eval weighs every sample the same, though the last batch is smaller") {
    const TemporaryDirectory directory;
    directory.write("line.net", kLine);
    put_line(directory.file("w.safetensors"));
    // Off by 0.875, 0.625, 0.875.
    for (const char* batch : {"1", "2", "3", "64"}) {
        INFO(batch);
        const Outcome outcome =
            run_netc({"eval", "line.net", "--weights", "w.safetensors", "--batch", batch, "--json"},
                     directory.path());
        expect_success(outcome);
        const auto json = nlohmann::json::parse(outcome.out);
        CHECK(json["rows"] == 3);
        CHECK(json["on"] == "train");
        CHECK(json["metrics"]["off"].get<double>() ==
              Approx((0.875 + 0.625 + 0.875) / 3).epsilon(1e-6));
        CHECK(json["metrics"]["loss"].get<double>() ==
              Approx((0.765625 + 0.390625 + 0.765625) / 3).epsilon(1e-6));
    }
}

TEST_CASE("grad gives the gradient that one computes by hand") {
    const TemporaryDirectory directory;
    directory.write("line.net", kLine);
    put_line(directory.file("w.safetensors"));
    REQUIRE(put_npy(directory.file("x.npy"), {2, 2}, std::vector<float>{1, 2, 3, 4}));
    REQUIRE(put_npy(directory.file("t.npy"), {2, 1}, std::vector<float>{1, 0}));
    const Outcome outcome =
        run_netc({"grad", "line.net", "--weights", "w.safetensors", "--input", "x=x.npy", "--input",
                  "t=t.npy", "--wrt", "x", "-o", "g.safetensors", "--json"},
                 directory.path());
    expect_success(outcome);
    // Errors e = (-0.875, 0.625); the loss is the mean of e^2, its derivative to an output is e.
    CHECK(nlohmann::json::parse(outcome.out)["loss"].get<double>() ==
          Approx((0.765625 + 0.390625) / 2));
    const Result<Safetensors> gradients = read_safetensors(directory.file("g.safetensors"));
    REQUIRE(gradients.ok());
    CHECK(floats(*gradients, "linear_1.weight") ==
          std::vector<float>{-0.875f + 3 * 0.625f, 2 * -0.875f + 4 * 0.625f});
    CHECK(floats(*gradients, "linear_1.bias") == std::vector<float>{-0.25f});
    CHECK(floats(*gradients, "x") == std::vector<float>{-0.4375f, 0.21875f, 0.3125f, -0.15625f});

    expect_refusal(run_netc({"grad", "line.net", "--weights", "w.safetensors", "--input", "x=x.npy",
                             "--input", "t=t.npy", "--wrt", "nosuch", "-o", "g.safetensors"},
                            directory.path()),
                   2, {"nosuch"});
}

TEST_CASE("one step of training by hand") {
    const TemporaryDirectory directory;
    std::string source = kLine;
    source.replace(source.find("batch "), 5, "shuffle = false\n  batch");
    directory.write("line.net", source);
    put_line(directory.file("w.safetensors"));
    expect_success(
        run_netc({"train", "line.net", "--run", "run", "--load", "w.safetensors", "--steps", "1"},
                 directory.path()));
    const Result<Safetensors> file = read_safetensors(directory.file("run/last.safetensors"));
    REQUIRE(file.ok());
    const std::vector<float> weight = floats(*file, "linear_1.weight");
    CHECK(weight[0] == Approx(0.5 - 0.1 * 1.0));
    CHECK(weight[1] == Approx(-0.25 - 0.1 * 0.75));
    CHECK(floats(*file, "linear_1.bias")[0] == Approx(0.125 + 0.1 * 0.25));
}

TEST_CASE("compiled gradients agree with finite differences") {
    const TemporaryDirectory directory;
    directory.write("xor.net", kXor);
    directory.write("moons.net", kMoons);
    directory.write("conv.net", R"(net 1
model Conv(x: f32[B, 1, 8, 8]) -> f32[B, 3] =
  x |> conv(4, k=3, pad=1) |> tanh |> avg_pool(2) |> conv(5, k=3, pad=0) |> batch_norm |> relu |> flatten |> linear(3)
train Conv {
  target y: i32[B]
  data = inline(x = [[0]], y = [0])
  loss = cross_entropy(out, y)
  epochs = 1
}
)");
    for (const char* file : {"xor.net", "moons.net", "conv.net"}) {
        const Outcome outcome = run_netc({"gradcheck", file, "--json"}, directory.path());
        INFO(file << "\n" << outcome.out << outcome.err);
        // The second time it comes from the compile cache.
        CHECK(run_netc({"gradcheck", file, "--json"}, directory.path()).out == outcome.out);
        CHECK(outcome.status == 0);
        const auto rows = nlohmann::json::parse(outcome.out, nullptr, false);
        REQUIRE(rows.is_array());
        CHECK(rows.size() >= 4);
        for (const auto& row : rows) {
            CHECK(row["error"].get<double>() < 1e-3);
            CHECK(row["place"].get<std::string>().find(file) != std::string::npos);
        }
    }
}

TEST_CASE("standardized inputs are raw inputs for every verb") {
    const TemporaryDirectory directory;
    std::string source = kTable;
    source.replace(source.find("y = col(2)"), 10, "y = col(2), standardize = true");
    directory.write("table.net", source);
    std::string rows;
    for (int i = 0; i < 30; ++i)
        rows += std::to_string(1000 + i) + "," + std::to_string(i * i) + "," +
                std::to_string(i % 3) + "\n";
    directory.write("points.csv", rows);
    expect_success(run_netc({"train", "table.net", "--run", "run", "--quiet"}, directory.path()));
    const Result<Safetensors> file = read_safetensors(directory.file("run/last.safetensors"));
    REQUIRE(file.ok());
    CHECK(floats(*file, "x.mean")[0] == Approx(1014.5));
    REQUIRE(put_npy(directory.file("x.npy"), {2, 2}, std::vector<float>{1000, 0, 1001, 1}));
    directory.write("new.csv", "1000,0\n1001,1\n");
    const Outcome arrays =
        run_netc({"predict", "table.net", "--weights", "run", "--input", "x=x.npy", "--json"},
                 directory.path());
    const Outcome table =
        run_netc({"predict", "table.net", "--weights", "run", "--rows", "new.csv", "--json"},
                 directory.path());
    expect_success(arrays);
    expect_success(table);
    CHECK(arrays.out == table.out);
}
