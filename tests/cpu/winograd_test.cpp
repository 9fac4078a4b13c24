// links: passes backends ir
// Convolutions by Winograd's filtering: the same numbers as the direct convolution in double precision, for every
// sample of conv_nd that has 3 x 3 taps and for other shapes; in f32 within the bound of passes/winograd.h.
#include <random>

#include "../unit/op_table.h"
#include "passes/winograd.h"
#include "program_support.h"

using namespace netc;
using namespace netc::testing;

namespace {

constexpr std::int64_t kHint = 4;

struct Case {
    std::int64_t channels, outputs, height, width, pad;
};
// Whole tiles and parts of tiles, maps smaller than a tile, channels that fill no vector, no padding and much.
constexpr Case kCases[] = {
    {16, 16, 12, 12, 1}, {5, 19, 9, 14, 1}, {32, 17, 7, 7, 0}, {3, 33, 10, 5, 2},
    {20, 1, 4, 4, 1},    {1, 64, 3, 13, 1}, {2, 3, 3, 3, 0},   {1, 1, 1, 1, 1},
};

Function convolution(const Case& c) {
    Function function;
    function.name = "conv";
    function.inputs = {
        {"x", {DType::f32, {Dim::symbol(kBatchSymbol), c.channels, c.height, c.width}}, {}, {}},
        {"w", {DType::f32, {c.outputs, c.channels, 3, 3}}, {}, {}}};
    GraphBuilder graph(function);
    const std::vector<std::int64_t> ones{1, 1};
    const Value y = graph.make(OpId::conv_nd, {graph.input(0), graph.input(1)},
                               {{"stride", ones},
                                {"pad", std::vector<std::int64_t>{c.pad, c.pad}},
                                {"dilation", ones},
                                {"groups", std::int64_t{1}}});
    function.results.push_back({"y", y.id, {}, {}});
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

std::vector<double> numbers_of(const test::Tensor& tensor) {
    std::vector<double> numbers;
    for (const test::Cell& cell : tensor.cells) numbers.push_back(cell.number);
    return numbers;
}

std::vector<test::Tensor> magnitudes(std::vector<test::Tensor> tensors) {
    for (test::Tensor& tensor : tensors) {
        for (test::Cell& cell : tensor.cells) cell.number = std::abs(cell.number);
    }
    return tensors;
}

// In double precision: of the interpreter for graphs as they are, which runs each record's `lower`.
std::vector<double> exactly(const Function& function, const std::vector<test::Tensor>& inputs,
                            std::int64_t batch) {
    std::string problem;
    const auto values = test::evaluate(function, inputs, batch, problem);
    CHECK(problem == "");
    return numbers_of(values[function.results[0].value.index]);
}

// Per element of the result, over the taps and channels of its output.
std::vector<double> sums_of_weights(const Case& c, const test::Tensor& w, std::int64_t batch) {
    const std::int64_t places = (c.height + 2 * c.pad - 2) * (c.width + 2 * c.pad - 2),
                       each = c.channels * 9;
    std::vector<double> sums;
    for (std::int64_t i = 0; i < batch * c.outputs; ++i) {
        const auto begin = w.cells.begin() + i % c.outputs * each;
        double sum = 0;
        for (auto cell = begin; cell != begin + each; ++cell) sum += cell->number;
        sums.insert(sums.end(), static_cast<std::size_t>(places), sum);
    }
    return sums;
}

double largest_error(const std::vector<double>& found, const std::vector<double>& wanted,
                     const std::vector<double>& scale) {
    double largest = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i)
        largest = std::max(largest, std::abs(found[i] - wanted[i]) / scale[i]);
    return largest;
}

}  // namespace

TEST_CASE("Winograd's convolution is a convolution") {
    for (const Case& c : kCases) {
        for (const std::int64_t tile : {2, 4}) {
            INFO(c.channels << " to " << c.outputs << ", " << c.height << " x " << c.width
                            << ", padding " << c.pad << ", F(" << tile << ", 3)");
            const Function direct = convolution(c);
            Function tiled = direct;
            winograd(tiled, tile, true);
            CHECK(!has(tiled, OpId::conv_nd));
            constexpr std::int64_t batch = 2;
            const std::vector<test::Tensor> inputs = random_inputs(direct, batch);
            const std::vector<double> wanted = exactly(direct, inputs, batch);
            // The largest element takes part in every sum.
            std::vector<test::Tensor> largest = magnitudes(inputs);
            double most = 0;
            for (const test::Cell& cell : largest[0].cells) most = std::max(most, cell.number);
            std::vector<double> scale = sums_of_weights(c, largest[1], batch);
            for (double& sum : scale) sum *= most;
            CHECK(largest_error(exactly(tiled, inputs, batch), wanted, scale) < 1e-13);

            // Compiled, in f32, in any form, the same bits on any processor and number of threads.
            const double bound = tile == 4 ? 2e-6 : 5e-7;
            Numbers named;
            for (std::size_t k = 0; k < inputs.size(); ++k)
                named[direct.inputs[k].name] = numbers_of(inputs[k]);
            Module module;
            module.functions.push_back(tiled);
            std::optional<Numbers> first;
            for (const Form form : {Form::ungrouped, Form::rows, Form::lanes, Form::channels}) {
                INFO(name_of(form));
                const Program program = program_of(module, form, kHint);
                Instance instance(program);
                for (const char* cpu : {"native", "x86-64-v3"}) {
                    if (form != Form::channels && cpu != std::string_view("native")) continue;
                    const auto executable = jitted(program, 2, cpu);
                    const Numbers found = instance.run(*executable, "conv", named, batch);
                    CHECK(largest_error(found.begin()->second, wanted, scale) < bound);
                    if (!first) first = found;
                    CHECK(different_bits(found, *first) == "");
                }
            }
        }
    }
}

TEST_CASE("it is used where that is worth it") {
    constexpr Case kWorthIt[] = {
        {64, 64, 224, 224, 1}, {32, 32, 56, 56, 1}, {256, 256, 14, 14, 1}, {512, 512, 14, 14, 1}};
    for (const Case& c : kWorthIt) {
        Function function = convolution(c);
        winograd(function, 4);
        INFO(c.channels << " to " << c.outputs << ", " << c.height << " x " << c.width);
        CHECK(has(function, OpId::winograd_input));
    }
    constexpr Case kNot[] = {{3, 64, 224, 224, 1}, {4, 4, 32, 32, 1}, {512, 512, 2, 2, 1}};
    for (const Case& c : kNot) {
        Function function = convolution(c);
        winograd(function, 4);
        INFO(c.channels << " to " << c.outputs << ", " << c.height << " x " << c.width);
        CHECK(!has(function, OpId::winograd_input));
        CHECK(has(function, OpId::conv_nd));
    }
}

TEST_CASE("the error of Winograd's convolution over channels") {
    // As measured against double precision, with three times as much room; values of both signs and, as behind a
    // relu, of one.
    struct Room {
        std::int64_t tile;
        double bound;
    };
    for (const auto& [tile, bound] : {Room{2, 5e-7}, Room{4, 1.5e-6}}) {
        for (const std::int64_t channels : {32, 128}) {
            const Case c{channels, 32, 12, 12, 1};
            const Function direct = convolution(c);
            Function tiled = direct;
            winograd(tiled, tile, true);
            for (const bool positive : {false, true}) {
                std::vector<test::Tensor> inputs = random_inputs(direct, 1);
                if (positive) inputs[0] = magnitudes({inputs[0]})[0];
                Module module;
                module.functions.push_back(tiled);
                const Program program = program_of(module, Form::channels, 1);
                Instance instance(program);
                Numbers named{{"x", numbers_of(inputs[0])}, {"w", numbers_of(inputs[1])}};
                const Numbers found = instance.run(*jitted(program), "conv", named, 1);
                const double error =
                    largest_error(found.begin()->second, exactly(direct, inputs, 1),
                                  exactly(direct, magnitudes(inputs), 1));
                INFO("F(" << tile << ", 3), " << channels << " channels: " << error);
                CHECK(error < bound);
                CHECK(error > 0);
            }
        }
    }
}
