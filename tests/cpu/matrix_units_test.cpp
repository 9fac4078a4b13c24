// links: frontend passes backends ir
// Sums by the matrix units of a processor (AMX): near double precision for every kind of contraction, the same bits
// for any layout, batch hint and number of threads, and exactly the order that matrix_sum.h states. Bytes: exactly the
// sums of other processors. Where this processor has none, tile_emulator.h runs the instructions.
#include <random>

#include "backends/cpu/machine.h"
#include "backends/cpu/matrix_sum.h"
#include "network_support.h"
#include "passes/precision.h"
#include "passes/simplify.h"
#include "references.h"
#include "tile_emulator.h"

using namespace netc;
using namespace netc::testing;

namespace {

bool is_missing() {
    const auto machine = machine_for({"", "native", ""});
    if (machine.ok() && machine->avx512) return false;
    WARN("no AVX-512: the code around tiles can not run here");
    return true;
}

// Whether tiles have multiplied since then; a processor that has them does not say.
bool by_tiles_since(std::int64_t products) {
    const auto machine = machine_for({"", "native", ""});
    return (machine.ok() && machine->amx_bf16) || test::TileEmulator::products() > products;
}

std::unique_ptr<Executable> with_tiles(const Program& program, int threads = 1) {
    return jitted(program, threads, "native", {}, test::kTileFeatures);
}

struct Product {
    std::string name, spec;
    Shape x, y;
    bool by_tiles = true;
};

std::vector<Product> products() {
    const Dim b = Dim::symbol(kBatchSymbol);
    return {
        {"one step", "bi,io->bo", {b, 32}, {32, 16}},
        {"uneven steps", "bi,io->bo", {b, 70}, {70, 40}},
        {"blocks of rows", "bi,io->bo", {b, 96}, {96, 64}},
        {"half a step, columns at the edge", "bi,io->bo", {b, 16}, {16, 33}},
        {"odd", "bi,io->bo", {b, 37}, {37, 20}},
        {"transposed", "bi,oi->bo", {b, 48}, {30, 48}},
        {"rows in a sequence", "bti,io->bto", {b, 19, 32}, {32, 48}},
        {"over the batch", "bi,bo->io", {b, 35}, {b, 18}},
        {"over batch and places", "bti,bto->io", {b, 7, 35}, {b, 7, 18}},
        {"scores", "bqd,bkd->bqk", {b, 21, 32}, {b, 18, 32}},
        {"values", "bqk,bkd->bqd", {b, 21, 18}, {b, 18, 24}},
        {"heads", "bqhd,bkhd->bhqk", {b, 9, 3, 20}, {b, 17, 3, 20}},
        {"two summed axes", "bij,ijo->bo", {b, 6, 7}, {6, 7, 25}},
        {"few terms", "bi,io->bo", {b, 9}, {9, 20}, false},
        {"few columns", "bi,io->bo", {b, 40}, {40, 3}, false},
        {"a number for each row", "bi,bi->b", {b, 40}, {b, 40}, false},
    };
}

Function function_of(const Product& product) {
    Function function;
    function.name = "product";
    function.inputs = {{"x", {DType::f32, product.x}, {}, {}},
                       {"y", {DType::f32, product.y}, {}, {}}};
    GraphBuilder graph(function);
    const Value z = graph.einsum(product.spec, graph.input(0), graph.input(1));
    function.results.push_back({"z", z.id, {}, {}});
    return function;
}

test::Tensor tensor_of(const Shape& shape, std::int64_t batch, std::uint64_t seed) {
    std::int64_t count = 1;
    for (const Dim& dim : shape) count *= dim.extent().value().at(batch);
    test::Tensor tensor;
    tensor.dtype = DType::f32;
    for (const Dim& dim : shape) tensor.dims.push_back(dim.extent().value().at(batch));
    for (const double number : draw(DType::f32, count, 0, seed)) {
        test::Cell cell;
        cell.number = number;
        tensor.cells.push_back(cell);
    }
    return tensor;
}

// Every stage with a sum of this form, in the program's kernels.
int matrix_sums_in(const Program& program) {
    int count = 0;
    for (const Kernel& kernel : program.kernels) {
        for (const Stage& stage : kernel.stages)
            count += matrix_sum(kernel, stage).has_value() ? 1 : 0;
    }
    return count;
}

SmallNetwork in_bf16(std::string name, const std::string& shape, const std::string& body) {
    return network(std::move(name), "model M(x: f32[" + shape + "]) -> f32[B, 10] = x |> " + body,
                   " precision = bf16\n target y: i32[B]\n loss = cross_entropy(out, y)");
}

std::vector<SmallNetwork> networks() {
    return {
        in_bf16("dense", "B, 70", "linear(64) |> relu |> linear(33) |> tanh |> linear(10)"),
        in_bf16(
            "image", "B, 32, 7, 9",
            "conv(48, 3, pad=1) |> relu |> conv(32, 3, stride=2, pad=1) |> flatten |> linear(10)"),
        in_bf16("pooled", "B, 16, 8, 20",
                "conv(32, 3, pad=1) |> relu |> max_pool(2) |> conv(32, 1) |> mean_over([2, 3]) |> "
                "linear(10)"),
    };
}

}  // namespace

TEST_CASE("products by tiles are near double precision, with one result for all layouts") {
    if (is_missing()) return;
    const test::TileEmulator emulator;
    for (const Product& product : products()) {
        DYNAMIC_SECTION(product.name) {
            Module module;
            const Function original = function_of(product);
            module.functions.push_back(original);
            precision(module.functions[0], Precision::bf16);
            simplify(module);
            for (const std::int64_t batch : {1, 37}) {
                INFO("B = " << batch);
                const std::vector<test::Tensor> tensors{tensor_of(product.x, batch, 1),
                                                        tensor_of(product.y, batch, 2)};
                const Numbers inputs{{"x", numbers_of(tensors[0])}, {"y", numbers_of(tensors[1])}};
                const std::vector<double> wanted = only_result(direct(original, tensors, batch));
                const std::vector<double> scale =
                    only_result(direct(original, magnitudes(tensors), batch));
                Numbers first;
                for (const std::int64_t hint : {batch, std::int64_t{5}}) {
                    for (const Form form : {Form::ungrouped, Form::rows, Form::lanes}) {
                        INFO(name_of(form) << ", compiled for " << hint);
                        const Program program = program_of(module, form, hint);
                        CHECK((matrix_sums_in(program) > 0) == product.by_tiles);
                        const std::int64_t before = test::TileEmulator::products();
                        Instance instance(program);
                        const auto executable = with_tiles(program, form == Form::rows ? 2 : 1);
                        const Numbers found = instance.run(*executable, "product", inputs, batch);
                        if (first.empty()) first = found;
                        CHECK(different_bits(found, first) == "");
                        if (product.by_tiles) CHECK(by_tiles_since(before));
                    }
                }
                for (std::size_t i = 0; i < wanted.size(); ++i) {
                    // Both factors are rounded to 8 bits, the sum to 24.
                    const double bound = (0x1p-7 + 0x1p-16 + 300 * 0x1p-24) * scale[i];
                    if (std::abs(first.at("z")[i] - wanted[i]) <= bound) continue;
                    CHECK(first.at("z")[i] == wanted[i]);
                }
            }
        }
    }
}

TEST_CASE("the order within a step is the processor's, from step to step the kernel's") {
    if (is_missing()) return;
    const test::TileEmulator emulator;
    constexpr std::int64_t rows = 18, terms = 50, columns = 20;  // steps of 26 and 24
    const Product product{"", "bi,io->bo", {Dim::symbol(kBatchSymbol), terms}, {terms, columns}};
    Module module;
    module.functions.push_back(function_of(product));
    precision(module.functions[0], Precision::bf16);
    const Program program = program_of(module, Form::rows, rows);
    const auto rounded = [](double x) {
        auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(x));
        bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
        return std::bit_cast<float>(bits);
    };
    const std::vector<double> x = draw(DType::f32, rows * terms, 0, 5);
    const std::vector<double> y = draw(DType::f32, terms * columns, 0, 6);
    std::vector<double> wanted;
    for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < columns; ++c) {
            float sum = 0;
            // The kernel goes from the last term to the first; within a step a word begins with the lower one.
            for (const auto& [begin, end] :
                 {std::pair<std::int64_t, std::int64_t>{24, 50}, {0, 24}}) {
                float even = 0, odd = 0;
                for (std::int64_t k = begin; k < end; ++k) {
                    float& part = (k - begin) % 2 == 0 ? even : odd;
                    part = std::fma(rounded(x[static_cast<std::size_t>(r * terms + k)]),
                                    rounded(y[static_cast<std::size_t>(k * columns + c)]), part);
                }
                sum += even + odd;
            }
            wanted.push_back(static_cast<double>(sum));
        }
    }
    Instance instance(program);
    const Numbers found = instance.run(*with_tiles(program), "product", {{"x", x}, {"y", y}}, rows);
    CHECK(different_bits(found, {{"z", wanted}}) == "");
}

TEST_CASE("networks in bf16 train by tiles, with one result for all layouts") {
    if (is_missing()) return;
    const test::TileEmulator emulator;
    for (const SmallNetwork& network : networks()) {
        DYNAMIC_SECTION(network.name) {
            const CheckedFile file = checked(network);
            const Module module = built(file);
            std::map<std::string, Numbers> first;
            const std::pair<Form, std::int64_t> ways[] = {
                {Form::channels, 8}, {Form::channels, 19}, {Form::rows, 5}, {Form::lanes, 16}};
            for (const auto& [form, hint] : ways) {
                INFO(name_of(form) << ", compiled for " << hint);
                Bench bench(
                    module, form, [](const Program& program) { return with_tiles(program, 2); },
                    hint);
                CHECK(matrix_sums_in(bench.program) > 3);
                const auto all = everything(bench, network);
                if (first.empty()) first = all;
                for (const auto& [name, numbers] : all) {
                    INFO(name);
                    CHECK(different_bits(numbers, first.at(name)) == "");
                }
            }
            // Vectors round in another order, and what is rounded to bf16 in between may tip over.
            Bench vectors(module, Form::rows);
            for (const auto& [name, numbers] : everything(vectors, network)) {
                INFO(name);
                CHECK(difference(first.at(name), numbers, 2e-2) == "");
            }
        }
    }
}
