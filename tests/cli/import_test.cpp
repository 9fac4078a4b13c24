// links: runtime ir
// netc import: weights of another framework, by name, by map, by order; what does not fit is told.
#include <catch2/catch.hpp>

#include <cstring>
#include <filesystem>

#include "runtime/files/safetensors.h"
#include "tests/cli/expect.h"
#include "tests/cli/interrupt.h"
#include "tests/cli/networks.h"
#include "tests/cli/run_command.h"

using namespace netc;

namespace {

const std::string kTwoLayers = R"(net 1
model Net(x: f32[B, 3]) -> f32[B, 2] = x |> linear(2) |> tanh |> linear(2)
)";

std::vector<float> counted(std::size_t count, float from) {
    std::vector<float> values;
    for (std::size_t i = 0; i < count; ++i) values.push_back(from + static_cast<float>(i));
    return values;
}

// fc1 and fc2 as PyTorch would save them: [out, in].
void write_theirs(const std::string& path, std::int64_t inputs = 3) {
    const std::vector<float> w1 = counted(static_cast<std::size_t>(2 * inputs), 0),
                             b1 = counted(2, 100), w2 = counted(4, 200), b2 = counted(2, 300);
    const std::vector<TensorView> tensors{{"fc1.bias", DType::f32, {2}, bytes_of(b1)},
                                          {"fc1.weight", DType::f32, {2, inputs}, bytes_of(w1)},
                                          {"fc2.bias", DType::f32, {2}, bytes_of(b2)},
                                          {"fc2.weight", DType::f32, {2, 2}, bytes_of(w2)}};
    REQUIRE(write_safetensors(path, tensors, {}));
}

std::vector<float> values(const std::string& path, const std::string& name) {
    const Result<Safetensors> file = read_safetensors(path);
    REQUIRE(file);
    const Safetensors::Tensor* tensor = file->find(name);
    REQUIRE(tensor != nullptr);
    std::vector<float> result(tensor->size / sizeof(float));
    std::memcpy(result.data(), file->data(*tensor).data(), tensor->size);
    return result;
}

}  // namespace

TEST_CASE("layers of another framework fill the parameters") {
    const TemporaryDirectory directory;
    directory.write("net.net", kTwoLayers);
    write_theirs(directory.file("theirs.safetensors"));
    const auto import = [&](std::vector<std::string> more) {
        std::vector<std::string> arguments{"import",   "net.net", "--from", "theirs.safetensors",
                                           "--layout", "pytorch", "-o",     "w.safetensors"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return run_netc(arguments, directory.path());
    };
    const std::string weights = directory.file("w.safetensors");
    SECTION("by order") {
        const Outcome outcome = import({});
        expect_success(outcome);
        CHECK(outcome.out.find("by order, transposed") != std::string::npos);
        CHECK(values(weights, "linear_1.weight") == std::vector<float>{0, 3, 1, 4, 2, 5});
        CHECK(values(weights, "linear_2.bias") == std::vector<float>{300, 301});
    }
    SECTION("by map") {
        const Outcome outcome = import({"--map", "fc1.*=linear_1.*", "--map", "fc2.*=linear_2.*"});
        expect_success(outcome);
        CHECK(outcome.out.find("by order") == std::string::npos);
        CHECK(values(weights, "linear_2.weight") == std::vector<float>{200, 202, 201, 203});
    }
    SECTION("as they lie") {
        // Nothing is transposed: [2, 3] fits no parameter.
        expect_refusal(
            run_netc({"import", "net.net", "--from", "theirs.safetensors", "-o", "w.safetensors"},
                     directory.path()),
            3, {"linear_1.weight f32[3, 2]", "fc1.weight f32[2, 3]", "--layout"});
    }
    SECTION("the second time too, and as JSON") {
        expect_success(import({}));
        const std::string first = file_text(weights);
        CHECK(import({"--json"}).out.find("\"by\":\"order\"") != std::string::npos);
        CHECK(file_text(weights) == first);
    }
}

TEST_CASE("what cannot be imported is told, and nothing is written") {
    const TemporaryDirectory directory;
    directory.write("net.net", kTwoLayers);
    write_theirs(directory.file("theirs.safetensors"), 4);
    const auto refuse = [&](std::vector<std::string> more, int status,
                            std::initializer_list<const char*> parts) {
        std::vector<std::string> arguments{"import", "net.net", "-o", "w.safetensors"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        expect_refusal(run_netc(arguments, directory.path()), status, parts);
        CHECK_FALSE(std::filesystem::exists(directory.file("w.safetensors")));
    };
    refuse({"--from", "theirs.safetensors", "--layout", "pytorch"}, 3, {"linear_1.weight"});
    refuse({"--from", "theirs.safetensors", "--layout", "caffe"}, 2, {"caffe", "keras"});
    refuse({"--from", "theirs.safetensors", "--map", "fc1.*"}, 2, {"--map"});
    refuse({"--from", "theirs.safetensors", "--map", "conv.*=linear_1.*"}, 3, {"conv.*"});
    refuse({"--from", "nowhere.safetensors"}, 3, {"nowhere.safetensors"});
    directory.write("broken.safetensors", "not weights");
    refuse({"--from", "broken.safetensors"}, 3, {"broken.safetensors"});
}
