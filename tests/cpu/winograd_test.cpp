// links: passes backends ir
// Convolutions by Winograd's filtering, and their gradients: the same numbers as the direct ones in double precision; in
// f32 within the bound of passes/winograd.h, the same bits in any form, on any processor.
#include <random>

#include "passes/winograd.h"
#include "references.h"

using namespace netc;
using namespace netc::testing;

namespace {

constexpr std::int64_t kHint = 4;

struct Case {
    std::int64_t channels, outputs, height, width, pad;
};
std::string describe(const Case& c) {
    return std::to_string(c.channels) + " to " + std::to_string(c.outputs) + ", " +
           std::to_string(c.height) + " x " + std::to_string(c.width) + ", padding " +
           std::to_string(c.pad);
}
// Whole tiles and parts of tiles, maps smaller than a tile, channels that fill no vector, no padding and much.
constexpr Case kCases[] = {
    {16, 16, 12, 12, 1}, {5, 19, 9, 14, 1}, {32, 17, 7, 7, 0}, {3, 33, 10, 5, 2},
    {20, 1, 4, 4, 1},    {1, 64, 3, 13, 1}, {2, 3, 3, 3, 0},   {1, 1, 1, 1, 1},
};
constexpr OpId kOperators[] = {OpId::conv_nd, OpId::conv_transpose_nd,
                               OpId::conv_nd_weight_gradient};

// A convolution of x with w, the gradient towards x, or towards w; `a` and `b` are the operands.
Function function_of(OpId op, const Case& c) {
    const Dim batch = Dim::symbol(kBatchSymbol);
    const Type x{DType::f32, {batch, c.channels, c.height, c.width}};
    const Type y{DType::f32, {batch, c.outputs, c.height + 2 * c.pad - 2, c.width + 2 * c.pad - 2}};
    const Type w{DType::f32, {c.outputs, c.channels, 3, 3}};
    Function function;
    function.name = "call";
    function.inputs = {{"a", op == OpId::conv_transpose_nd ? y : x, {}, {}},
                       {"b", op == OpId::conv_nd_weight_gradient ? y : w, {}, {}}};
    using Integers = std::vector<std::int64_t>;
    Attributes attributes{{"stride", Integers{1, 1}},
                          {"pad", Integers{c.pad, c.pad}},
                          {"dilation", Integers{1, 1}},
                          {"groups", std::int64_t{1}}};
    if (op == OpId::conv_transpose_nd) attributes.set("output_pad", Integers{0, 0});
    if (op == OpId::conv_nd_weight_gradient) attributes.set("size", Integers{3, 3});
    GraphBuilder graph(function);
    const Value result = graph.make(op, {graph.input(0), graph.input(1)}, std::move(attributes));
    function.results.push_back({"y", result.id, {}, {}});
    return function;
}

bool has(const Function& function, OpId op) {
    return std::ranges::any_of(function.nodes, [&](const Node& node) { return node.op == op; });
}

std::vector<test::Tensor> random_inputs(const Function& function, std::int64_t batch) {
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    std::vector<test::Tensor> tensors;
    for (const Input& input : function.inputs) {
        tensors.push_back(test::make_tensor(input.type, batch));
        for (test::Cell& cell : tensors.back().cells) cell.number = normal(random);
    }
    return tensors;
}

// As large as the largest of the first operand: that takes part, in a tile, in places that it does not reach.
std::vector<test::Tensor> largest_first(std::vector<test::Tensor> tensors) {
    tensors = magnitudes(std::move(tensors));
    double most = 0;
    for (const test::Cell& cell : tensors[0].cells) most = std::max(most, cell.number);
    for (test::Cell& cell : tensors[0].cells) cell.number = most;
    return tensors;
}

std::vector<double> exactly(const Function& function, const std::vector<test::Tensor>& inputs,
                            std::int64_t batch) {
    return only_result(direct(function, inputs, batch));
}

double largest_error(const std::vector<double>& found, const std::vector<double>& wanted,
                     const std::vector<double>& scale) {
    double most = 0, largest = 0;
    for (double each : scale) most = std::max(most, each);
    for (std::size_t i = 0; i < wanted.size(); ++i)
        largest = std::max(largest, std::abs(found[i] - wanted[i]) / most);
    return largest;
}

}  // namespace

TEST_CASE("Winograd's convolution is a convolution, its gradients are the gradients") {
    constexpr std::int64_t batch = 2;
    for (const OpId op : kOperators) {
        for (const Case& c : kCases) {
            const Function direct = function_of(op, c);
            const std::vector<test::Tensor> inputs = random_inputs(direct, batch);
            const std::vector<double> wanted = exactly(direct, inputs, batch);
            const std::vector<double> scale = exactly(direct, largest_first(inputs), batch);
            for (const std::int64_t tile : {2, 4}) {
                INFO(name_of(op) << ", " << describe(c) << ", F(" << tile << ", 3)");
                Function tiled = direct;
                winograd(tiled, tile, batch, true);
                CHECK(!has(tiled, op));
                CHECK(largest_error(exactly(tiled, inputs, batch), wanted, scale) < 1e-13);

                const double bound = tile == 4 ? 2e-6 : 5e-7;
                Module module;
                module.functions.push_back(tiled);
                std::optional<Numbers> first;
                for (const Form form : {Form::ungrouped, Form::rows, Form::channels}) {
                    const Program program = program_of(module, form, kHint);
                    Instance instance(program);
                    for (const std::string& cpu : processors()) {
                        if (form != Form::channels && cpu != "native") continue;
                        INFO(name_of(form) << ", " << cpu);
                        const auto executable = jitted(program, 2, cpu);
                        const Numbers found =
                            instance.run(*executable, "call", inputs_of(direct, inputs), batch);
                        CHECK(largest_error(found.begin()->second, wanted, scale) < bound);
                        if (!first) first = found;
                        CHECK(different_bits(found, *first) == "");
                    }
                }
            }
        }
    }
}

TEST_CASE("Winograd's convolution is used where that is worth it") {
    constexpr Case kWorthIt[] = {
        {64, 64, 224, 224, 1}, {64, 64, 56, 56, 1}, {256, 256, 14, 14, 1}, {512, 512, 14, 14, 1}};
    constexpr Case kNot[] = {{3, 64, 224, 224, 1}, {4, 4, 32, 32, 1}, {512, 512, 2, 2, 1}};
    for (const OpId op : kOperators) {
        for (const Case& c : kWorthIt) {
            Function function = function_of(op, c);
            winograd(function, 4, 16);
            INFO(name_of(op) << ", " << describe(c));
            CHECK(!has(function, op));
        }
        for (const Case& c : kNot) {
            Function function = function_of(op, c);
            winograd(function, 4, 16);
            INFO(name_of(op) << ", " << describe(c));
            CHECK(has(function, op));
        }
    }
}

// Against double precision, relative to the sum of the magnitudes of all products, for values of both signs and, as
// behind a relu, of one; with about three times as much room as was measured.
TEST_CASE("the error of Winograd's convolution over many channels") {
    struct Room {
        std::int64_t tile;
        double bound;
    };
    for (const OpId op : kOperators) {
        for (const auto& [tile, bound] : {Room{2, 5e-7}, Room{4, 1.5e-6}}) {
            for (const std::int64_t channels : {32, 96}) {
                const Function direct = function_of(op, {channels, 32, 12, 12, 1});
                Function tiled = direct;
                winograd(tiled, tile, 1, true);
                Module module;
                module.functions.push_back(tiled);
                const Program program = program_of(module, Form::channels, 1);
                const auto executable = jitted(program);
                Instance instance(program);
                for (const bool positive : {false, true}) {
                    std::vector<test::Tensor> inputs = random_inputs(direct, 1);
                    if (positive) inputs[0] = magnitudes(inputs)[0];
                    const Numbers found =
                        instance.run(*executable, "call", inputs_of(direct, inputs), 1);
                    const double error =
                        largest_error(found.begin()->second, exactly(direct, inputs, 1),
                                      exactly(direct, magnitudes(inputs), 1));
                    INFO(name_of(op)
                         << ", F(" << tile << ", 3), " << channels << " channels: " << error);
                    CHECK(error < bound);
                    CHECK(error > 0);
                }
            }
        }
    }
}
