// links: passes backends ir
// Mean and variance from sums of one pass: within the bound of passes/moments.h of the true ones, the same bits in any form.
#include "passes/moments.h"

#include <random>

#include "ir/graph_builder.h"
#include "program_support.h"

using namespace netc;
using namespace netc::testing;

namespace {

constexpr std::int64_t kChannels = 35, kSide = 11;

// Mean and variance of each channel, and the deviations, which the backward pass reads.
Function normalisation() {
    const Dim batch = Dim::symbol(kBatchSymbol);
    Function function;
    function.name = "call";
    function.inputs = {{"x", {DType::f32, {batch, kChannels, kSide, kSide}}, {}, {}}};
    GraphBuilder graph(function);
    const Value x = graph.input(0);
    const Shape shape = x.type().shape;
    const Value n =
        graph.broadcast(graph.extent(batch * Dim(kSide * kSide), DType::f32), {kChannels});
    const Value mean = graph.reduce_sum(x, {0, 2, 3}) / n;
    const Value deviation = x - graph.broadcast(graph.reshape(mean, {1, kChannels, 1, 1}), shape);
    const Value variance = graph.reduce_sum(deviation * deviation, {0, 2, 3}) / n;
    function.results.push_back({"mean", mean.id, {}, {}});
    function.results.push_back({"variance", variance.id, {}, {}});
    return function;
}

Numbers compute(Form form, const Numbers& inputs, std::int64_t batch, bool on_gpu = false) {
    Module module;
    module.functions.push_back(normalisation());
    moments(module.functions[0]);
    const Program program = program_of(std::move(module), form, 16);
    const auto executable = on_gpu ? emulated(program) : jitted(program);
    return Instance(program).run(*executable, "call", inputs, batch);
}

struct Case {
    const char* name;
    double mean, deviation;
};
constexpr Case kCases[] = {
    {"no mean", 0, 1},
    {"a mean of one deviation", 1, 1},
    {"a mean of 100 deviations", -1e2, 1},
    {"a mean of 1,000 deviations", 1e3, 1},
    {"a mean of 10,000 deviations", 1e4, 1},
    {"small numbers", 1e-17, 1e-18},
    {"large numbers", 1e17, 1e16},
    {"a constant", 0.1F, 0},
    {"a large constant", 12345.678F, 0},
};

Numbers draw(const Case& c, std::int64_t batch) {
    std::mt19937 random(11);
    std::normal_distribution<float> normal;
    std::vector<double> values(static_cast<std::size_t>(batch * kChannels * kSide * kSide));
    for (double& value : values)
        value = static_cast<float>(c.mean + c.deviation * double{normal(random)});
    return {{"x", values}};
}

// Where a channel's elements are.
template <class Visit>
void each_element(std::int64_t batch, std::int64_t channel, Visit visit) {
    for (std::int64_t b = 0; b < batch; ++b) {
        for (std::int64_t i = 0; i < kSide * kSide; ++i)
            visit(static_cast<std::size_t>((b * kChannels + channel) * kSide * kSide + i));
    }
}

}  // namespace

TEST_CASE("moments: within the bound of double precision's") {
    const auto batch = GENERATE(std::int64_t{1}, std::int64_t{3}, std::int64_t{40});
    for (const Case& c : kCases) {
        INFO(c.name << ", batch " << batch);
        const Numbers inputs = draw(c, batch);
        const std::vector<double>& x = inputs.at("x");
        const Numbers results = compute(Form::channels, inputs, batch);
        const long double n = static_cast<long double>(batch * kSide * kSide);
        for (std::int64_t channel = 0; channel < kChannels; ++channel) {
            long double mean = 0, variance = 0;
            each_element(batch, channel, [&](std::size_t i) { mean += x[i] / n; });
            each_element(batch, channel,
                         [&](std::size_t i) { variance += (x[i] - mean) * (x[i] - mean) / n; });
            const auto at = static_cast<std::size_t>(channel);
            const double got = results.at("variance")[at];
            const double chain = static_cast<double>(kSide * kSide + batch);
            const double bound =
                static_cast<double>(variance) * 0x1p-22 +
                (chain + 4) * 0x1p-53 * static_cast<double>(variance + mean * mean);
            CHECK(std::abs(got - static_cast<double>(variance)) <= bound);
            CHECK(got >= 0);
            CHECK(results.at("mean")[at] ==
                  Approx(static_cast<double>(mean)).epsilon(0x1p-22).margin(0x1p-22 * c.deviation));
        }
    }
}

TEST_CASE("moments: the same bits in any form and on a GPU") {
    const std::int64_t batch = 21;
    const Numbers inputs = draw(kCases[3], batch);
    const Numbers expected = compute(Form::ungrouped, inputs, batch);
    for (const Form form : {Form::rows, Form::lanes, Form::channels}) {
        for (const bool on_gpu : {false, true}) {
            INFO(name_of(form) << (on_gpu ? " on a GPU" : ""));
            CHECK(compute(form, inputs, batch, on_gpu) == expected);
        }
    }
}

TEST_CASE("moments: infinities and NaN stay in their channel") {
    const std::int64_t batch = 4;
    const double kInfinity = std::numeric_limits<double>::infinity();
    Numbers inputs = draw(kCases[1], batch);
    const Numbers expected = compute(Form::channels, inputs, batch);
    struct Special {
        std::int64_t channel;
        double value;
    };
    const Special specials[] = {{2, std::nan("")}, {17, kInfinity}, {33, -kInfinity}};
    for (const Special& special : specials)
        inputs["x"][static_cast<std::size_t>((kChannels + special.channel) * kSide * kSide + 5)] =
            special.value;
    const Numbers results = compute(Form::channels, inputs, batch);
    for (std::int64_t channel = 0; channel < kChannels; ++channel) {
        INFO("channel " << channel);
        const auto at = static_cast<std::size_t>(channel);
        const auto special = std::ranges::find(specials, channel, &Special::channel);
        if (special == std::end(specials)) {
            CHECK(results.at("mean")[at] == expected.at("mean")[at]);
            CHECK(results.at("variance")[at] == expected.at("variance")[at]);
            continue;
        }
        CHECK(std::isnan(results.at("variance")[at]));
        CHECK((std::isnan(special->value) ? std::isnan(results.at("mean")[at])
                                          : results.at("mean")[at] == special->value));
    }
}

TEST_CASE("moments: what stays in two passes") {
    struct Kept {
        const char* name;
        Shape shape;
        std::vector<std::int64_t> axes;
        DType dtype;
        bool by_count, changes;
    };
    const Dim batch = Dim::symbol(kBatchSymbol);
    const Kept cases[] = {
        {"over the batch", {batch, 8}, {0}, DType::f32, true, true},
        {"double precision", {batch, 8}, {0}, DType::f64, true, false},
        {"a short row", {batch, 1024}, {1}, DType::f32, true, false},
        {"a long row", {batch, 65536}, {1}, DType::f32, true, true},
        {"what is no mean", {batch, 8}, {0}, DType::f32, false, false},
    };
    for (const Kept& c : cases) {
        INFO(c.name);
        Function function;
        function.name = "call";
        function.inputs = {{"x", {c.dtype, c.shape}, {}, {}}};
        GraphBuilder graph(function);
        const Value x = graph.input(0);
        const Value sum = graph.reduce_sum(x, c.axes, true);
        const Dim count = c.shape[static_cast<std::size_t>(c.axes[0])];
        const Value n = c.by_count ? graph.broadcast(graph.extent(count, c.dtype), sum.type().shape)
                                   : graph.constant(7, c.dtype, sum.type().shape);
        const Value deviation = x - graph.broadcast(sum / n, c.shape);
        const Value squares = graph.reduce_sum(deviation * deviation, c.axes);
        function.results.push_back({"squares", squares.id, {}, {}});
        moments(function);
        const bool changed =
            c.dtype == DType::f32 && std::ranges::any_of(function.nodes, [](const Node& node) {
                return node.op == OpId::reduce_sum && node.type.dtype == DType::f64;
            });
        CHECK(changed == c.changes);
    }
}
