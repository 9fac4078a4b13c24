// links: passes backends ir
// Contractions in bf16, and in f32 of two and three parts: the error relative to the sum of the magnitudes, what
// becomes of numbers that are not finite or very small, and the same bits on processors with and without an
// instruction for pairs, for any layout and number of threads. Matrix units, which have an order of their own, are as
// exact.
#include <random>

#include "backends/cpu/machine.h"
#include "passes/precision.h"
#include "passes/probe.h"
#include "passes/simplify.h"
#include "references.h"
#include "tile_emulator.h"

using namespace netc;
using namespace netc::testing;

namespace {

constexpr std::int64_t kHint = 16;

struct Mode {
    const char* name;
    Precision precision;
    double worst;    // error of one product
    double typical;  // of a sum of 1024, normally distributed
};
// Rounding both operands; dropping lo lo and what is behind lo; the products of order 3.
constexpr Mode kModes[] = {
    {"bf16", Precision::bf16, 0x1p-7 + 0x1p-16, 1e-3},
    {"bf16x3", Precision::bf16x3, 3 * 0x1p-16, 2e-6},
    {"bf16x6", Precision::bf16x6, 0x1p-23, 2e-7},
};

// The first element that is further from `wanted` than `bound` times the sum of magnitudes.
std::string too_far(const std::vector<double>& found, const std::vector<double>& wanted,
                    const std::vector<double>& scale, double bound) {
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (std::abs(found[i] - wanted[i]) <= bound * scale[i]) continue;
        return "[" + std::to_string(i) + "] is off by " +
               std::to_string((found[i] - wanted[i]) / scale[i]) + " of the sum of magnitudes";
    }
    return {};
}

struct Backend {
    std::string name;
    std::unique_ptr<Executable> executable;
    bool tiles = false;
};

std::vector<Backend> backends_of(const Program& program) {
    std::vector<Backend> backends;
    for (const std::string& cpu : processors()) backends.push_back({cpu, jitted(program, 2, cpu)});
    if (processors().size() > 1)  // with AVX-512
        backends.push_back({"tiles", jitted(program, 1, "native", {}, test::kTileFeatures), true});
    return backends;
}

bool is_float_sample(const Sample& sample) {
    return std::ranges::all_of(sample.inputs,
                               [](const Type& type) { return type.dtype == DType::f32; });
}

void check_samples(OpId op, const Mode& mode) {
    const test::TileEmulator emulator;
    Module module;
    std::vector<Function> originals;
    std::vector<Sample> samples;
    for (const Sample& sample : op_def(op).samples()) {
        if (!is_float_sample(sample)) continue;
        Result<Function> made = test::function_of(op, sample);
        if (!made) FAIL(made.error().message);
        // A product without a sum is no contraction.
        if (!probe(*made, made->results[0].value).contraction) continue;
        made->name = "sample_" + std::to_string(samples.size());
        originals.push_back(*made);
        samples.push_back(sample);
        precision(*made, mode.precision);
        module.functions.push_back(std::move(*made));
    }
    simplify(module);
    std::map<std::string, Numbers> first;
    // Parts are sums of contractions in bf16: one layout will do.
    const std::vector<Form> forms = mode.precision == Precision::bf16
                                        ? std::vector{Form::ungrouped, Form::rows, Form::lanes}
                                        : std::vector{Form::rows};
    for (const Form form : forms) {
        INFO("form " << name_of(form));
        const Program program = program_of(module, form, kHint);
        const std::vector<Backend> backends = backends_of(program);
        Instance instance(program);
        for (std::size_t s = 0; s < samples.size(); ++s) {
            const std::string name = originals[s].name;
            for (const std::int64_t batch : {1, 3, 16, 17}) {
                INFO(name << ", B = " << batch);
                std::vector<test::Tensor> tensors;
                Numbers inputs;
                for (std::size_t k = 0; k < samples[s].inputs.size(); ++k) {
                    tensors.push_back(test::random_tensor(samples[s].inputs[k], samples[s], batch,
                                                          static_cast<std::uint32_t>(k)));
                    for (test::Cell& cell : tensors.back().cells)
                        cell.number = static_cast<double>(static_cast<float>(cell.number));
                    inputs[originals[s].inputs[k].name] = numbers_of(tensors.back());
                }
                const std::vector<double> wanted =
                    only_result(direct(originals[s], tensors, batch));
                const std::vector<double> scale =
                    only_result(direct(originals[s], magnitudes(tensors), batch));
                // The sums are rounded too, in f32: no sample adds up more than 1000 products.
                const double bound = mode.worst + 1000 * 0x1p-24;
                for (const Backend& backend : backends) {
                    INFO(backend.name);
                    const Numbers found = instance.run(*backend.executable, name, inputs, batch);
                    CHECK(too_far(found.begin()->second, wanted, scale, bound) == "");
                    const auto [at, fresh] = first.emplace(
                        name + std::to_string(batch) + (backend.tiles ? " by tiles" : ""), found);
                    if (!fresh) CHECK(different_bits(found, at->second) == "");
                }
            }
        }
    }
}

// x [B, n] times w [n, m].
Module product_of(std::int64_t n, std::int64_t m, Precision mode) {
    Module module;
    Function& function = module.functions.emplace_back();
    function.name = "product";
    function.inputs = {{"x", {DType::f32, {Dim::symbol(kBatchSymbol), Dim(n)}}, {}, {}},
                       {"w", {DType::f32, {Dim(n), Dim(m)}}, {}, {}}};
    GraphBuilder graph(function);
    const Value y = graph.einsum("bi,io->bo", graph.input(0), graph.input(1));
    function.results.push_back({"y", y.id, {}, {}});
    precision(function, mode);
    return module;
}

std::vector<double> product_f32(std::int64_t n, std::int64_t m, const Numbers& inputs,
                                std::int64_t batch) {
    const Program program = program_of(product_of(n, m, Precision::f32), Form::rows, batch);
    Instance instance(program);
    return instance.run(*jitted(program), "product", inputs, batch).at("y");
}

}  // namespace

TEST_CASE("every contraction in bf16 and in parts of bf16 is as exact as it says") {
    for (const OpId op : all_ops()) {
        if (op_def(op).family != OpFamily::contraction) continue;
        for (const Mode& mode : kModes) {
            if (op != OpId::einsum && mode.precision == Precision::bf16x3) continue;
            if (op != OpId::conv_nd && mode.precision == Precision::bf16x6) continue;
            DYNAMIC_SECTION(name_of(op) << " " << mode.name) { check_samples(op, mode); }
        }
    }
}

TEST_CASE("the error of long sums in bf16 and its parts") {
    const test::TileEmulator emulator;
    constexpr std::int64_t n = 1024, m = 40, batch = 24;
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    std::lognormal_distribution<float> wide(0, 4);
    const bool log_normal = GENERATE(false, true);
    const auto draw = [&](std::int64_t count) {
        std::vector<double> values(static_cast<std::size_t>(count));
        for (double& value : values) {
            const float sign = normal(random) < 0 ? -1.0F : 1.0F;
            value = static_cast<double>(log_normal ? sign * wide(random) : normal(random));
        }
        return values;
    };
    const Numbers inputs{{"x", draw(batch * n)}, {"w", draw(n * m)}};
    std::vector<double> wanted, scale;
    for (std::int64_t b = 0; b < batch; ++b) {
        for (std::int64_t o = 0; o < m; ++o) {
            double sum = 0, size = 0;
            for (std::int64_t i = 0; i < n; ++i) {
                const double term = inputs.at("x")[static_cast<std::size_t>(b * n + i)] *
                                    inputs.at("w")[static_cast<std::size_t>(i * m + o)];
                sum += term;
                size += std::abs(term);
            }
            wanted.push_back(sum);
            scale.push_back(size);
        }
    }
    const std::vector<double> plain = product_f32(n, m, inputs, batch);
    double error_of_f32 = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i)
        error_of_f32 = std::max(error_of_f32, std::abs(plain[i] - wanted[i]) / scale[i]);
    for (const Mode& mode : kModes) {
        INFO(mode.name << (log_normal ? ", log-normal" : ", normal"));
        const Program program = program_of(product_of(n, m, mode.precision), Form::rows, batch);
        // A few large terms may decide a sum of log-normal ones.
        const double bound = (log_normal ? mode.worst : mode.typical) + 1.2 * error_of_f32;
        for (const Backend& backend : backends_of(program)) {
            INFO(backend.name);
            Instance instance(program);
            const auto found = instance.run(*backend.executable, "product", inputs, batch).at("y");
            CHECK(too_far(found, wanted, scale, bound) == "");
        }
    }
}

TEST_CASE("infinities, NaN and the ends of the range in parts of bf16 come out as in f32") {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    constexpr double kMost = std::numeric_limits<float>::max();
    const test::TileEmulator emulator;
    constexpr std::int64_t n = 16, m = 19;
    const std::vector<double> special{kInfinity,    -kInfinity, std::nan(""), 0,           -0.0,
                                      kMost,        -kMost,     0x1.ffp127,   0x1.ff8p127, 0x1p-126,
                                      -0x1p-126,    0x1p-130,   0x1p-149,     1,           -3.1415,
                                      0x1.fffffep0, 0x1.01p0,   0x1.0101p-60};
    const auto batch = static_cast<std::int64_t>(special.size());
    Numbers inputs;
    for (std::size_t b = 0; b < special.size(); ++b) {
        // Beside another number of the list, and zeros.
        for (std::size_t i = 0; i < n; ++i) {
            inputs["x"].push_back(i == 1   ? special[b]
                                  : i == 3 ? special[(b * 7 + 3) % special.size()] * 0.25
                                           : 0.0);
        }
    }
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t o = 0; o < m; ++o)
            inputs["w"].push_back(o < special.size() ? special[o] : 0.5);
    }
    for (double& value : inputs["x"]) value = static_cast<double>(static_cast<float>(value));
    const std::vector<double> wanted = product_f32(n, m, inputs, batch);
    for (const Mode& mode : kModes) {
        if (mode.precision == Precision::bf16) continue;  // rounds to infinity, as bf16 does
        INFO(mode.name);
        const Program program = program_of(product_of(n, m, mode.precision), Form::rows, batch);
        Numbers first;
        for (const Backend& backend : backends_of(program)) {
            INFO(backend.name);
            Instance instance(program);
            const Numbers all = instance.run(*backend.executable, "product", inputs, batch);
            if (first.empty()) first = all;
            if (!backend.tiles) CHECK(different_bits(all, first) == "");
            const std::vector<double>& found = all.at("y");
            for (std::size_t i = 0; i < wanted.size(); ++i) {
                INFO("x " << inputs["x"][i / m * n + 1] << ", " << inputs["x"][i / m * n + 3]
                          << " w " << inputs["w"][i % m]);
                if (std::isnan(wanted[i])) {
                    CHECK(std::isnan(found[i]));
                } else if (std::isinf(wanted[i])) {
                    CHECK(found[i] == wanted[i]);
                } else {
                    // Rounded parts of numbers just below the end of the range may be above it.
                    if (std::abs(wanted[i]) > 0x1.fep127 && found[i] == kInfinity * wanted[i])
                        continue;
                    // Parts that would be subnormal are zero.
                    const double w = std::abs(inputs["w"][i % m]);
                    const double size = std::abs(inputs["x"][i / m * n + 1] * w) +
                                        std::abs(inputs["x"][i / m * n + 3] * w);
                    const double bound = (2 * mode.worst + 0x1p-22) * size + 0x1p-125 * (1 + w) * 2;
                    CHECK(std::abs(found[i] - wanted[i]) <= bound);
                }
            }
        }
    }
}

TEST_CASE("bf16 rounds operands to the nearest, ties to even") {
    // One product each: 1 * w is w, rounded.
    const std::vector<double> w{1 + 0x1p-8,           1 + 3 * 0x1p-8,
                                1 + 0x1p-8 + 0x1p-20, -1 - 0x1p-9,
                                0x1.fep127,           0x1.fefffep127,
                                0x1.ffp127,           1e-40,
                                std::nan(""),         -std::numeric_limits<double>::infinity()};
    const std::vector<double> rounded{1,
                                      1 + 0x1p-6,
                                      1 + 0x1p-7,
                                      -1,
                                      0x1.fep127,
                                      0x1.fep127,
                                      std::numeric_limits<double>::infinity(),
                                      0,
                                      std::nan(""),
                                      -std::numeric_limits<double>::infinity()};
    const auto m = static_cast<std::int64_t>(w.size());
    const Program program = program_of(product_of(1, m, Precision::bf16), Form::rows, 1);
    for (const Backend& backend : backends_of(program)) {
        INFO(backend.name);
        Instance instance(program);
        const Numbers found =
            instance.run(*backend.executable, "product", {{"x", {1.0}}, {"w", w}}, 1);
        CHECK(different_bits(found, {{"y", rounded}}) == "");
    }
}
