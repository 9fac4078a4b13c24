// links: passes backends ir
// Contractions in 8-bit integers: how far they are from f32, and the same bits with and without an instruction for
// four products or for tiles of them, for any layout and number of threads.
#include "backends/cpu/machine.h"
#include "ir/graph_builder.h"
#include "passes/quantize.h"
#include "passes/simplify.h"
#include "program_support.h"
#include "tile_emulator.h"

using namespace netc;
using namespace netc::testing;

namespace {

constexpr std::int64_t kHint = 16;

struct Case {
    std::string name;
    Shape x, w;  // x without the batch
    OpId op = OpId::einsum;
    Attributes attributes;
    std::int64_t terms = 1;  // of a sum
};

Attributes convolution(std::int64_t stride, std::int64_t pad, std::int64_t groups) {
    Attributes attributes;
    attributes.set("stride", std::vector<std::int64_t>{stride, stride});
    attributes.set("pad", std::vector<std::int64_t>{pad, pad});
    attributes.set("dilation", std::vector<std::int64_t>{1, 1});
    attributes.set("groups", groups);
    return attributes;
}
Attributes product(const char* spec) {
    Attributes attributes;
    attributes.set("spec", std::string(spec));
    return attributes;
}

std::vector<Case> cases() {
    return {
        {"dense", {70}, {70, 33}, OpId::einsum, product("bi,io->bo"), 70},
        {"few", {3}, {3, 2}, OpId::einsum, product("bi,io->bo"), 3},
        {"rows", {5, 9}, {9, 20}, OpId::einsum, product("bti,io->bto"), 9},
        {"transposed", {17}, {8, 17}, OpId::einsum, product("bi,oi->bo"), 17},
        {"image", {3, 9, 20}, {18, 3, 3, 3}, OpId::conv_nd, convolution(1, 1, 1), 27},
        {"strided", {4, 11, 10}, {6, 2, 3, 3}, OpId::conv_nd, convolution(2, 1, 2), 18},
        {"channels", {32, 4, 4}, {32, 32, 1, 1}, OpId::conv_nd, convolution(1, 0, 1), 32},
    };
}

Function function_of(const Case& tested) {
    Function function;
    function.name = tested.name;
    Shape x{Dim::symbol(kBatchSymbol)};
    x.insert(x.end(), tested.x.begin(), tested.x.end());
    function.inputs = {{"x", {DType::f32, x}, {}, {}}};
    GraphBuilder graph(function);
    const Value w = graph.variable(0, {DType::f32, tested.w});
    const Value y = graph.make(tested.op, {graph.input(0), w}, tested.attributes);
    function.results.push_back({"y", y.id, {}, {}});
    return function;
}

Program program_for(const Case& tested, const std::vector<ValueRange>& ranges, Form form) {
    Module module;
    Variable weights;
    weights.name = "w";
    weights.type = {DType::f32, tested.w};
    weights.kind = VariableKind::parameter;
    module.variables.push_back(weights);
    module.functions.push_back(function_of(tested));
    if (!ranges.empty()) quantize(module.functions[0], ranges);
    simplify(module);
    return program_of(std::move(module), form, kHint);
}

std::vector<double> draw(std::int64_t count, double low, double high, std::uint32_t seed) {
    std::vector<double> values;
    std::uint32_t state = seed * 2654435761U + 1;
    for (std::int64_t i = 0; i < count; ++i) {
        state = state * 1664525U + 1013904223U;
        const double unit = static_cast<double>(state >> 8) / (1 << 24);
        values.push_back(static_cast<double>(static_cast<float>(low + unit * (high - low))));
    }
    return values;
}

std::int64_t count_of(const Shape& shape) {
    std::int64_t count = 1;
    for (const Dim& dim : shape) count *= dim.value();
    return count;
}

}  // namespace

TEST_CASE("contractions in integers are near those in f32, with the same bits everywhere") {
    const test::TileEmulator emulator;
    const auto machine = machine_for({"", "native", ""});
    const bool tiles = machine.ok() && machine->avx512;
    for (const Case& tested : cases()) {
        for (const double least : {0.0, -0.7, -3.0}) {
            constexpr double greatest = 2;
            const std::vector<ValueRange> ranges{{"", least, greatest}};
            // Half a step of each factor.
            const double step = (greatest - least) / 255 / 2;
            const double bound =
                static_cast<double>(tested.terms) *
                    (step * 1 + 1.0 / 127 / 2 * std::max(-least, greatest) + step / 127 / 2) +
                1e-5;
            Numbers first;
            for (const std::int64_t batch : {1, 17}) {
                INFO(tested.name << " from " << least << ", B = " << batch);
                const Numbers inputs{{"x", draw(batch * count_of(tested.x), least, greatest, 5)}};
                const std::vector<double> w = draw(count_of(tested.w), -1, 1, 9);
                const auto run = [&](const Program& program, Executable& executable) {
                    Instance instance(program);
                    instance.set_variable(program.weights.at(0), w);
                    return instance.run(executable, tested.name, inputs, batch);
                };
                const Program plain = program_for(tested, {}, Form::rows);
                const std::vector<double> wanted = run(plain, *jitted(plain)).at("y");
                Numbers same;
                for (const Form form : {Form::rows, Form::lanes}) {
                    const Program program = program_for(tested, ranges, form);
                    for (const std::string& cpu : processors()) {
                        INFO(name_of(form) << " on " << cpu);
                        const Numbers found = run(program, *jitted(program, 2, cpu));
                        if (same.empty()) same = found;
                        CHECK(different_bits(found, same) == "");
                    }
                    if (!tiles) continue;
                    const auto by_tiles = jitted(program, 1, "native", {}, test::kTileFeatures);
                    CHECK(different_bits(run(program, *by_tiles), same) == "");
                }
                double worst = 0;
                for (std::size_t i = 0; i < wanted.size(); ++i)
                    worst = std::max(worst, std::abs(same.at("y")[i] - wanted[i]));
                CHECK(worst <= bound);
                CHECK(worst > 0);
            }
        }
    }
}

TEST_CASE("numbers outside of the range are at its ends, and what is not known stays in f32") {
    const Case tested{"one", {1}, {1, 1}, OpId::einsum, product("bi,io->bo"), 1};
    const Program program = program_for(tested, {{"", -1, 1}}, Form::rows);
    Instance instance(program);
    instance.set_variable(program.weights.at(0), {1.0});
    const Numbers found = instance.run(*jitted(program), "one", {{"x", {-5, 5, 0, -0.25}}}, 4);
    CHECK(std::abs(found.at("y")[0] + 1) < 0.01);
    CHECK(std::abs(found.at("y")[1] - 1) < 0.01);
    CHECK(found.at("y")[2] == 0);  // exactly
    CHECK(std::abs(found.at("y")[3] + 0.25) < 0.005);

    Function function = function_of(tested);
    const std::size_t nodes = function.nodes.size();
    quantize(function, {{"elsewhere", -1, 1}});
    CHECK(function.nodes.size() == nodes);
}
