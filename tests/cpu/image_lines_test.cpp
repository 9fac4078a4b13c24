// links: passes backends ir
// Gradients towards the weights of convolutions in bf16, along lines. Operands are whole numbers, so that every order of a
// sum is exact: the same numbers as the direct gradient's, in every layout, on every processor, by tiles too.
#include <random>

#include <fmt/format.h>

#include "backends/cpu/machine.h"
#include "passes/image_lines.h"
#include "passes/precision.h"
#include "references.h"
#include "tile_emulator.h"

using namespace netc;
using namespace netc::testing;

namespace {

using Integers = std::vector<std::int64_t>;

constexpr std::int64_t kHint = 4;

struct Case {
    std::int64_t channels, outputs;
    Integers image, size, stride, pad, dilation;
    bool by_lines = true;
    std::string describe() const {
        return fmt::format("{} to {}, image {} x {}, {} x {} taps, stride {} {}, padding {} {}, "
                           "dilation {} {}",
                           channels, outputs, image[0], image[1], size[0], size[1], stride[0],
                           stride[1], pad[0], pad[1], dilation[0], dilation[1]);
    }
    Integers places() const {
        Integers result;
        for (std::size_t axis = 0; axis < 2; ++axis) {
            const std::int64_t room =
                image[axis] + 2 * pad[axis] - dilation[axis] * (size[axis] - 1) - 1;
            result.push_back(room / stride[axis] + 1);
        }
        return result;
    }
};

std::vector<Case> cases() {
    return {
        // Padding that rows share, odd and even rows, lines of one step and of many.
        {16, 32, {8, 8}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
        {33, 16, {7, 7}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
        {17, 40, {5, 19}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
        // More padding than is shared, none, on one side of it only.
        {16, 33, {6, 9}, {5, 5}, {1, 1}, {2, 2}, {1, 1}},
        {32, 32, {9, 8}, {3, 3}, {1, 1}, {0, 0}, {1, 1}},
        {20, 35, {4, 6}, {2, 4}, {1, 1}, {1, 0}, {1, 1}},
        {16, 32, {3, 5}, {3, 3}, {1, 1}, {4, 4}, {1, 1}},
        // Taps that reach further than a row is long.
        {16, 32, {12, 1}, {7, 7}, {1, 1}, {3, 3}, {1, 1}},
        {16, 32, {13, 2}, {1, 9}, {1, 1}, {0, 4}, {1, 1}},
        // One tap; strides that leave out, and that leave a rest.
        {40, 33, {7, 5}, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
        {32, 64, {9, 8}, {1, 1}, {2, 2}, {0, 0}, {1, 1}},
        {17, 32, {8, 8}, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
        {32, 17, {9, 11}, {3, 3}, {2, 3}, {1, 1}, {1, 1}},
        {16, 48, {15, 15}, {7, 7}, {2, 2}, {3, 3}, {1, 1}},
        // Taps apart, with a stride too.
        {16, 32, {9, 9}, {3, 3}, {1, 1}, {2, 2}, {2, 2}},
        {18, 32, {12, 11}, {2, 3}, {2, 2}, {1, 3}, {3, 2}},
        // Few channels or places: as ever.
        {15, 32, {8, 8}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, false},
        {32, 9, {8, 8}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, false},
        {32, 32, {3, 3}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, false},
    };
}

// In bf16.
Function gradient_of(const Case& c) {
    const Dim batch = Dim::symbol(kBatchSymbol);
    const Integers places = c.places();
    Function function;
    function.name = "call";
    function.inputs = {{"x", {DType::f32, {batch, c.channels, c.image[0], c.image[1]}}, {}, {}},
                       {"dy", {DType::f32, {batch, c.outputs, places[0], places[1]}}, {}, {}}};
    GraphBuilder graph(function);
    const Value result = graph.make(OpId::conv_nd_weight_gradient, {graph.input(0), graph.input(1)},
                                    {{"stride", c.stride},
                                     {"pad", c.pad},
                                     {"dilation", c.dilation},
                                     {"groups", std::int64_t{1}},
                                     {"size", c.size}});
    function.results.push_back({"dw", result.id, {}, {}});
    precision(function, Precision::bf16);
    return function;
}

std::vector<test::Tensor> whole_numbers(const Function& function, std::int64_t batch) {
    std::mt19937 random(11);
    std::vector<test::Tensor> tensors;
    for (const Input& input : function.inputs) {
        tensors.push_back(test::make_tensor(input.type, batch));
        for (test::Cell& cell : tensors.back().cells)
            cell.number = static_cast<double>(static_cast<int>(random() % 9) - 4);
    }
    return tensors;
}

std::size_t count(const Function& function, OpId op) {
    return static_cast<std::size_t>(
        std::ranges::count_if(function.nodes, [&](const Node& node) { return node.op == op; }));
}

}  // namespace

TEST_CASE("gradients of weights along lines are the gradients") {
    const test::TileEmulator emulator;
    const auto native = machine_for({"", "native", ""});
    const bool tiles = native.ok() && native->avx512;
    if (!tiles) WARN("no AVX-512: the code around tiles can not run here");
    for (const Case& c : cases()) {
        INFO(c.describe());
        const Function direct_gradient = gradient_of(c);
        Module module;
        module.functions.push_back(direct_gradient);
        image_lines(module.functions[0]);
        const Function& along = module.functions[0];
        CHECK(count(along, OpId::line_weight_gradient) == (c.by_lines ? 1U : 0U));
        CHECK(count(along, OpId::conv_nd_weight_gradient) == (c.by_lines ? 0U : 1U));
        for (const std::int64_t batch : {1, 3}) {
            INFO("B = " << batch);
            const std::vector<test::Tensor> tensors = whole_numbers(direct_gradient, batch);
            const Numbers wanted = direct(direct_gradient, tensors, batch);
            CHECK(direct(along, tensors, batch) == wanted);
            for (const Form form : {Form::rows, Form::lanes, Form::channels}) {
                if (batch == 1 && form != Form::channels) continue;
                const Program program = program_of(module, form, kHint);
                for (const char* features : {"", test::kTileFeatures}) {
                    if (features[0] != '\0' && !tiles) continue;
                    for (const std::string& cpu : processors()) {
                        const bool other = cpu != "native";
                        if (other && (form != Form::channels || features[0] != '\0')) continue;
                        INFO(name_of(form) << ", " << cpu << features);
                        const auto executable = jitted(program, 2, cpu, {}, features);
                        Instance instance(program);
                        const Numbers found = instance.run(
                            *executable, "call", inputs_of(direct_gradient, tensors), batch);
                        CHECK(found == wanted);
                    }
                }
            }
        }
    }
}
