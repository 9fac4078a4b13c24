// links: runtime ir
// netc weights: statistics, numbers in every form, the difference of two files.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>

#include "runtime/files/files.h"
#include "runtime/files/safetensors.h"
#include "tests/cli/expect.h"
#include "tests/cli/networks.h"
#include "tests/cli/run_command.h"

using namespace netc;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Tensors {
    std::vector<float> weight = {1, 2, 3, -6}, bias = {0.5f, kNan, kInfinity, -kInfinity, 1.5f};
    std::vector<std::int64_t> steps = {9007199254740993};
    std::vector<std::uint16_t> half = {0x3c00, 0xc000}, brain = {0x3f80, 0xc000};

    void write(const std::string& path) const {
        const std::vector<TensorView> tensors = {
            {"block.0.weight", DType::f32, {2, 2}, bytes_of(weight)},
            {"block.0.bias", DType::f32, {5}, bytes_of(bias)},
            {"steps", DType::i64, {}, bytes_of(steps)},
            {"half", DType::f16, {2}, bytes_of(half)},
            {"brain/../x", DType::bf16, {2}, bytes_of(brain)},
            {"none", DType::f32, {0, 3}, {}}};
        REQUIRE(write_safetensors(path, tensors, {{"netc.model", "M"}}).ok());
    }
};

Outcome weights(const TemporaryDirectory& directory, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "weights");
    return run_netc(arguments, directory.path());
}
nlohmann::json json_of(const TemporaryDirectory& directory, std::vector<std::string> arguments) {
    arguments.emplace_back("--json");
    const Outcome outcome = weights(directory, std::move(arguments));
    expect_success(outcome);
    return nlohmann::json::parse(outcome.out);
}

}  // namespace

TEST_CASE("what the tensors are like, in double precision") {
    const TemporaryDirectory directory;
    Tensors().write(directory.file("w.safetensors"));
    const nlohmann::json found = json_of(directory, {"w.safetensors"});
    CHECK(found["metadata"]["netc.model"] == "M");
    REQUIRE(found["tensors"].size() == 6);
    const nlohmann::json& weight = found["tensors"][0];
    CHECK(weight["name"] == "block.0.weight");
    CHECK(weight["dtype"] == "f32");
    CHECK(weight["shape"] == nlohmann::json({2, 2}));
    CHECK(weight["mean"] == 0.0);
    CHECK(weight["deviation"].get<double>() == Approx(std::sqrt(50.0 / 4)));
    CHECK(weight["min"] == -6.0);
    CHECK(weight["max"] == 3.0);
    // What is not finite is counted and left out of the rest.
    const nlohmann::json& bias = found["tensors"][1];
    CHECK(bias["nan"] == 1);
    CHECK(bias["infinite"] == 2);
    CHECK(bias["mean"] == 1.0);
    CHECK(bias["max"] == 1.5);
    for (const std::size_t i : {3u, 4u}) {  // 1 and -2 in both kinds of half precision
        CHECK(found["tensors"][i]["mean"] == -0.5);
        CHECK(found["tensors"][i]["deviation"] == 1.5);
    }
    CHECK(found["tensors"][5]["mean"].is_null());
    CHECK(found["total"] ==
          nlohmann::json::parse(
              R"({"tensors": 6, "numbers": 14, "bytes": 52, "nan": 1, "infinite": 2})"));

    const Outcome table = weights(directory, {"w.safetensors", "block*bias"});
    expect_success(table);
    CHECK(table.out.find("block.0.bias  f32[5]") != std::string::npos);
    CHECK(table.out.find("1 NaN, 2 infinite") != std::string::npos);
    CHECK(table.out.find("1 tensor, 5 numbers") != std::string::npos);
}

TEST_CASE("the numbers") {
    const TemporaryDirectory directory;
    Tensors().write(directory.file("w.safetensors"));
    CHECK(weights(directory, {"w.safetensors", "*weight", "--values"}).out ==
          "block.0.weight f32[2, 2]\n  [0] 1 2\n  [1] 3 -6\n");
    CHECK(weights(directory, {"w.safetensors", "steps", "--values"}).out ==
          "steps i64[]\n  9007199254740993\n");
    CHECK(weights(directory, {"w.safetensors", "*b*s", "--csv"}).out ==
          "tensor,index,value\nblock.0.bias,0,0.5\nblock.0.bias,1,nan\nblock.0.bias,2,inf\n"
          "block.0.bias,3,-inf\nblock.0.bias,4,1.5\n");
    CHECK(weights(directory, {"w.safetensors", "*weight", "--csv"})
              .out.find("\nblock.0.weight,1 0,3\n") != std::string::npos);
    const nlohmann::json found = json_of(directory, {"w.safetensors", "--values"});
    CHECK(found["block.0.weight"] == nlohmann::json::parse("[[1.0, 2.0], [3.0, -6.0]]"));
    CHECK(found["block.0.bias"][1].is_null());
    CHECK(found["steps"] == 9007199254740993);
    CHECK(found["half"] == nlohmann::json::parse("[1.0, -2.0]"));

    // Names are no paths.
    expect_success(weights(directory, {"w.safetensors", "--npy", "out/arrays"}));
    const Result<Array> brain = read_npy(directory.file("out/arrays/brain_.._x.npy"));
    REQUIRE(brain.ok());
    CHECK(brain->dtype == DType::f32);
    const Result<Array> weight = read_npy(directory.file("out/arrays/block.0.weight.npy"));
    REQUIRE(weight.ok());
    CHECK(weight->shape == std::vector<std::int64_t>{2, 2});
}

TEST_CASE("how two files differ") {
    const TemporaryDirectory directory;
    Tensors tensors;
    tensors.write(directory.file("a.safetensors"));
    tensors.weight = {1, 2, 6, -2};
    tensors.bias[1] = 0;
    tensors.write(directory.file("b.safetensors"));
    const nlohmann::json found = json_of(directory, {"a.safetensors", "--diff", "b.safetensors"});
    CHECK(found["tensors"][0]["max_abs"] == 4.0);
    CHECK(found["tensors"][0]["rms"] == 2.5);
    CHECK(found["tensors"][0]["same_bits"] == false);
    CHECK(found["tensors"][1]["max_abs"].is_null());  // a NaN against a number
    CHECK(found["tensors"][2]["same_bits"] == true);

    const std::vector<float> other = {1, 2, 3};
    const std::vector<TensorView> views = {{"block.0.weight", DType::f32, {3}, bytes_of(other)},
                                           {"more", DType::f32, {3}, bytes_of(other)}};
    REQUIRE(write_safetensors(directory.file("c.safetensors"), views, {}).ok());
    const Outcome outcome =
        weights(directory, {"a.safetensors", "[bm]*", "--diff", "c.safetensors"});
    CHECK(outcome.status == 2);  // no sets of letters: `[` stands for itself
    const Outcome table = weights(directory, {"a.safetensors", "*o*e*", "--diff", "c.safetensors"});
    expect_success(table);
    CHECK(table.out == "block.0.weight: f32[2, 2] against f32[3]\nnone: only in a.safetensors\n"
                       "more: only in c.safetensors\n"
                       "0 of 1 tensors in both have the same bits; the largest difference is 0\n");
}

TEST_CASE("a run directory stands for its best weights") {
    const TemporaryDirectory directory;
    Tensors().write(directory.file("last.safetensors"));
    CHECK(json_of(directory, {"."})["file"] == "./last.safetensors");
    Tensors().write(directory.file("best.safetensors"));
    CHECK(json_of(directory, {"."})["file"] == "./best.safetensors");
}

TEST_CASE("weights: what is refused") {
    const TemporaryDirectory directory;
    Tensors().write(directory.file("w.safetensors"));
    directory.write("text.safetensors", "no tensors");
    expect_refusal(weights(directory, {"w.safetensors", "block.0.wieght"}), 2,
                   {"no tensor matches `block.0.wieght`", "did you mean `block.0.weight`?"});
    expect_refusal(weights(directory, {"w.safetensors", "weight"}), 2, {"`*weight*` matches some"});
    expect_refusal(weights(directory, {"w.safetensors", "conv*"}), 2,
                   {"the file has: block.0.weight, "});
    expect_refusal(weights(directory, {"w.safetensors", "--csv", "--values"}), 2,
                   {"--values, --csv"});
    expect_refusal(weights(directory, {"w.safetensors", "--csv", "--json"}), 2, {"--json"});
    expect_refusal(weights(directory, {}), 2, {"W is required"});
    expect_refusal(weights(directory, {"none.safetensors"}), 3, {"none.safetensors"});
    expect_refusal(weights(directory, {"text.safetensors"}), 3, {"text.safetensors"});
    expect_refusal(weights(directory, {"w.safetensors", "--diff", "none.safetensors"}), 3,
                   {"none.safetensors"});
    directory.write("file", "");
    expect_refusal(weights(directory, {"w.safetensors", "--npy", "file"}), 3, {"file"});
    const std::vector<float> one = {1};
    const std::vector<TensorView> views = {{"a/b", DType::f32, {1}, bytes_of(one)},
                                           {"a_b", DType::f32, {1}, bytes_of(one)}};
    REQUIRE(write_safetensors(directory.file("c.safetensors"), views, {}).ok());
    expect_refusal(weights(directory, {"c.safetensors", "--npy", "out"}), 3, {"a_b.npy"});
}
