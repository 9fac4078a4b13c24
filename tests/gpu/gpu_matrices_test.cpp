// links: passes backends ir
// labels: slow
// Products by a device's matrix units on the emulator, of warps and of warpgroups: with ragged edges, with each operand's
// sum along memory and across it, with copies and with what has to be computed first. Each is near double precision, by
// the bound of its mode.
#include <set>

#include "backends/gpu/gpu_code.h"
#include "backends/gpu/tile_schedule.h"
#include "passes/precision.h"
#include "passes/simplify.h"
#include "tests/cpu/references.h"
#include "tests/unit/temporary_directory.h"

using namespace netc;
using namespace netc::testing;

namespace {

const std::string& cache() {
    static const TemporaryDirectory directory;
    return directory.path();
}

struct Mode {
    const char* name;
    MatrixUnit unit;
    bool warpgroups, tensor_copies;
    double bound;  // of one product: both factors are rounded, or cut off where nothing rounds them
};
constexpr Mode kModes[] = {
    {"bf16", MatrixUnit::bf16, false, false, 0x1p-7 + 0x1p-16},
    {"bf16 by warpgroups", MatrixUnit::bf16, true, false, 0x1p-7 + 0x1p-16},
    {"tf32", MatrixUnit::tf32, false, false, 0x1p-10 + 0x1p-22},
    {"tf32 by warpgroups", MatrixUnit::tf32, true, false, 0x1p-9},
    {"bf16 of boxes of tensors", MatrixUnit::bf16, true, true, 0x1p-7 + 0x1p-16},
    {"tf32 of boxes of tensors", MatrixUnit::tf32, true, true, 0x1p-9},
};

GpuThresholds thresholds_of(const Mode& mode) {
    GpuThresholds thresholds = kTilesEverywhere;
    thresholds.tf32 = mode.unit == MatrixUnit::tf32;
    thresholds.warpgroups = mode.warpgroups;
    thresholds.tensor_copies = mode.tensor_copies;
    return thresholds;
}

struct Product {
    const char *name, *spec;
    Shape x, y;
    std::vector<std::int64_t> batches, hints;
};
std::vector<Product> products() {
    const Dim b = Dim::symbol(kBatchSymbol);
    const std::vector<std::int64_t> hints = {1, 4000, 100'000};
    return {
        {"one tile", "bi,io->bo", {b, 64}, {64, 64}, {64}, hints},
        {"ragged edges of copies", "bi,io->bo", {b, 72}, {72, 88}, {1, 70}, hints},
        {"wide", "bi,io->bo", {b, 40}, {40, 264}, {3, 129}, hints},
        {"nothing is aligned", "bi,io->bo", {b, 37}, {37, 35}, {5, 67}, hints},
        {"many steps", "bi,io->bo", {b, 488}, {488, 32}, {33}, hints},
        {"both along the sum", "bi,oi->bo", {b, 200}, {72, 200}, {66}, hints},
        {"the first across", "ib,io->bo", {104, b}, {104, 64}, {48, 70}, hints},
        {"over the batch", "bi,bo->io", {b, 136}, {b, 72}, {1, 90}, {1, 1000}},
        {"over batch and places", "bti,bto->io", {b, 24, 72}, {b, 24, 80}, {1, 5}, {1, 1000}},
        {"of steps of half the length", "bi,io->bo", {b, 96}, {96, 64}, {70}, {4000}},
        {"scores", "bqd,bkd->bqk", {b, 40, 64}, {b, 72, 64}, {2}, {1, 1000}},
        {"values", "bqk,bkd->bqd", {b, 40, 72}, {b, 72, 64}, {2}, {1, 1000}},
        {"heads", "bqhd,bkhd->bhqk", {b, 33, 3, 16}, {b, 17, 3, 16}, {2}, {1, 1000}},
        {"large tiles, both along the sum", "bi,oi->bo", {b, 104}, {264, 104}, {150}, {100'000}},
        {"two summed axes", "bij,ijo->bo", {b, 6, 16}, {6, 16, 64}, {20}, hints},
    };
}

Module module_of(const Product& product, const Mode& mode) {
    Module module;
    Function& function = module.functions.emplace_back();
    function.name = "product";
    function.inputs = {{"x", {DType::f32, product.x}, {}, {}},
                       {"y", {DType::f32, product.y}, {}, {}}};
    GraphBuilder graph(function);
    const Value z = graph.einsum(product.spec, graph.input(0), graph.input(1));
    function.results.push_back({"z", z.id, {}, {}});
    if (mode.unit == MatrixUnit::bf16) precision(function, Precision::bf16);
    simplify(module);
    return module;
}

test::Tensor tensor_of(const Shape& shape, std::int64_t batch, std::uint64_t seed) {
    test::Tensor tensor;
    tensor.dtype = DType::f32;
    std::int64_t count = 1;
    for (const Dim& dim : shape) {
        tensor.dims.push_back(dim.extent()->at(batch));
        count *= tensor.dims.back();
    }
    std::uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
    for (std::int64_t i = 0; i < count; ++i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const double unit = static_cast<double>(state >> 40) / (1 << 24);
        tensor.cells.push_back({static_cast<double>(static_cast<float>(2 * unit - 1)), 0});
    }
    return tensor;
}

// The first result that is further from `wanted` than it may be; `scale`: sums of magnitudes.
std::string too_far(const std::vector<double>& found, const std::vector<double>& wanted,
                    const std::vector<double>& scale, double bound) {
    if (found.size() != wanted.size()) return "another number of results";
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (std::abs(found[i] - wanted[i]) <= bound * scale[i]) continue;
        return "[" + std::to_string(i) + "] is " + std::to_string(found[i]) + ", not " +
               std::to_string(wanted[i]);
    }
    return {};
}

std::set<std::string> tiles_of(const Program& program, const GpuThresholds& thresholds) {
    std::set<std::string> tiles;
    for (Kernel kernel : program.kernels) {
        take_terms_forward(kernel, thresholds);
        if (const auto how = tile_schedule(kernel, program.batch_hint, thresholds);
            how && how->unit != MatrixUnit::none)
            tiles.insert(to_text(*how));
    }
    return tiles;
}

}  // namespace

TEST_CASE("products by matrix units are near double precision") {
    for (const Mode& mode : kModes) {
        DYNAMIC_SECTION(mode.name) {
            const GpuThresholds thresholds = thresholds_of(mode);
            std::set<std::string> all;
            for (const Product& product : products()) {
                const Module module = module_of(product, mode);
                const Function original = module_of(product, kModes[2]).functions[0];
                std::set<std::set<std::string>> seen;
                for (const std::int64_t hint : product.hints) {
                    const Program program = program_of(module, Form::ungrouped, hint);
                    const std::set<std::string> tiles = tiles_of(program, thresholds);
                    if (!seen.insert(tiles).second) continue;
                    all.insert(tiles.begin(), tiles.end());
                    INFO(product.name << ", hint " << hint << ": "
                                      << (tiles.empty() ? "no tiles" : *tiles.begin()));
                    CHECK(!tiles.empty());
                    Instance instance(program);
                    const auto executable = emulated(program, thresholds, cache());
                    for (const std::int64_t batch : product.batches) {
                        INFO("B = " << batch);
                        const std::vector<test::Tensor> tensors{tensor_of(product.x, batch, 1),
                                                                tensor_of(product.y, batch, 2)};
                        const Numbers inputs{{"x", numbers_of(tensors[0])},
                                             {"y", numbers_of(tensors[1])}};
                        const auto found = instance.run(*executable, "product", inputs, batch);
                        // The sums are rounded too, in f32: none has more than 500 terms.
                        CHECK(too_far(found.at("z"), only_result(direct(original, tensors, batch)),
                                      only_result(direct(original, magnitudes(tensors), batch)),
                                      mode.bound + 500 * 0x1p-24) == "");
                    }
                }
            }
            std::string text;
            for (const std::string& tile : all) text += tile + "\n";
            INFO(text);
            CHECK(all.size() >= 5);
            const auto boxes = std::ranges::count_if(
                all, [](const std::string& tile) { return tile.ends_with("boxes of tensors"); });
            CHECK((boxes >= 2) == mode.tensor_copies);
            CHECK((boxes > 0) == mode.tensor_copies);
        }
    }
}

// Windows, guards and gradients among them: most have to be computed before they are multiplied, or are not aligned.
TEST_CASE("every contraction by matrix units is as exact as its mode says") {
    for (const OpId op : all_ops()) {
        if (op_def(op).family != OpFamily::contraction) continue;
        for (const Mode& mode : kModes) {
            DYNAMIC_SECTION(name_of(op) << " " << mode.name) {
                Module module;
                std::vector<Function> originals;
                std::vector<Sample> samples;
                for (const Sample& sample : op_def(op).samples()) {
                    if (!std::ranges::all_of(sample.inputs, [](const Type& type) {
                            return type.dtype == DType::f32;
                        }))
                        continue;
                    Result<Function> made = test::function_of(op, sample);
                    if (!made) FAIL(made.error().message);
                    made->name = "sample_" + std::to_string(samples.size());
                    originals.push_back(*made);
                    samples.push_back(sample);
                    if (mode.unit == MatrixUnit::bf16) precision(*made, Precision::bf16);
                    module.functions.push_back(std::move(*made));
                }
                simplify(module);
                for (const Form form : {Form::ungrouped, Form::channels}) {
                    const Program program = program_of(module, form, 16);
                    Instance instance(program);
                    const auto executable = emulated(program, thresholds_of(mode), cache());
                    for (std::size_t s = 0; s < samples.size(); ++s) {
                        for (const std::int64_t batch : {1, 17}) {
                            INFO(originals[s].name << ", " << name_of(form) << ", B = " << batch);
                            std::vector<test::Tensor> tensors;
                            Numbers inputs;
                            for (std::size_t k = 0; k < samples[s].inputs.size(); ++k) {
                                tensors.push_back(
                                    test::random_tensor(samples[s].inputs[k], samples[s], batch,
                                                        static_cast<std::uint32_t>(k)));
                                for (test::Cell& cell : tensors.back().cells)
                                    cell.number =
                                        static_cast<double>(static_cast<float>(cell.number));
                                inputs[originals[s].inputs[k].name] = numbers_of(tensors.back());
                            }
                            const Numbers found =
                                instance.run(*executable, originals[s].name, inputs, batch);
                            CHECK(too_far(
                                      found.begin()->second,
                                      only_result(direct(originals[s], tensors, batch)),
                                      only_result(direct(originals[s], magnitudes(tensors), batch)),
                                      mode.bound + 1000 * 0x1p-24) == "");
                        }
                    }
                }
            }
        }
    }
}

// What is aligned is copied, for each layout in which the operands of a large product can lie.
TEST_CASE("what large products are made of") {
    const Dim b = Dim::symbol(kBatchSymbol);
    const Product along{"", "bi,io->bo", {b, 512}, {512, 512}, {}, {}};
    const Product both{"", "bi,oi->bo", {b, 512}, {512, 512}, {}, {}};
    const Product across{"", "bi,bo->io", {b, 512}, {b, 512}, {}, {}};
    struct Row {
        const Product& product;
        const Mode& mode;
        std::vector<const char*> has, has_not;
    };
    const char* const box = "cp.async.bulk.tensor.2d";
    const Row rows[] = {
        {along, kModes[0], {"cp.async.cg", "x4.shared.b16", "x4.trans.shared.b16"}, {"st.shared"}},
        {both, kModes[0], {"cp.async.cg", "x4.shared.b16"}, {"st.shared", "x4.trans"}},
        {across, kModes[0], {"cp.async.cg", "x4.trans"}, {"st.shared", "x4.shared"}},
        {along,
         kModes[1],
         {box, "k16.f32.bf16", ", 0, 1;"},
         {"st.shared", "ldmatrix", "cp.async.cg"}},
        {both,
         kModes[1],
         {box, "k16.f32.bf16", ", 0, 0;"},
         {"st.shared", "ldmatrix", "cp.async.cg"}},
        {across, kModes[1], {box, "k16.f32.bf16", ", 1, 1;"}, {"st.shared", "cp.async.cg"}},
        {both, kModes[2], {"cp.async.cg", "x4.shared.b16"}, {"st.shared"}},
        {both, kModes[3], {box, "k8.f32.tf32", "fence.proxy.async"}, {"st.shared", "cp.async.cg"}},
        // What is transposed on its way is no box, and both operands come the same way.
        {along, kModes[3], {"cp.async.cg", "st.shared.v4", "k8.f32.tf32"}, {"st.shared.u32", box}},
    };
    for (const Row& row : rows) {
        INFO(row.product.spec << ", " << row.mode.name);
        const Program program = program_of(module_of(row.product, row.mode), Form::ungrouped, 4096);
        const auto code = emit_gpu_code(program, {},
                                        {row.mode.warpgroups ? 90 : 80, row.mode.warpgroups,
                                         row.mode.unit == MatrixUnit::tf32});
        REQUIRE(code.ok());
        for (const char* part : row.has) {
            INFO(part);
            CHECK(code->ptx.find(part) != std::string::npos);
        }
        for (const char* part : row.has_not) {
            INFO("not " << part);
            CHECK(code->ptx.find(part) == std::string::npos);
        }
    }
}
