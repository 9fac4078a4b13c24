// links: frontend passes backends ir
// Each operation behind each: what the first makes of borders, blocks and vectors, the second reads, in kernels of both.
// Machine code against the interpreter, values and gradients.
#include "ir/source.h"
#include "network_support.h"
#include "tests/unit/temporary_directory.h"

#include <fmt/format.h>

using namespace netc;
using namespace netc::testing;

namespace {

struct Operation {
    std::string name;
    std::string text;                     // of x: real[B, D]
    std::int64_t (*width)(std::int64_t);  // of its result, of D
};

constexpr auto kSame = [](std::int64_t width) { return width; };

const Operation kOperations[] = {
    {"padding", "pad([(0, 0), (3, 6)])(x)", [](std::int64_t d) { return d + 9; }},
    {"last places", "x[:, 2..D]", [](std::int64_t d) { return d - 2; }},
    {"places turned", "concat(1)(x[:, 3..D], x[:, 0..3])", kSame},
    {"softmax", "softmax(x)", kSame},
    {"centred", "x - mean_over([1], keep = true)(x)", kSame},
    {"beside the batch", "x * mean_over([0], keep = true)(x)", kSame},
    {"beside its sum", "0.2 * x * expand(reduce_sum(1)(x * x), D)", kSame},
    {"average of three", "reshape([B, 1, D])(x) |> avg_pool(3, stride = 1, pad = 1) |> flatten",
     kSame},
    {"transposed", "flatten(permute([0, 2, 1])(reshape([B, D, 2])(concat(1)(x, x * x))))",
     [](std::int64_t d) { return 2 * d; }},
    {"linear", "x |> linear(7)", [](std::int64_t) { return std::int64_t{7}; }},
};

SmallNetwork pair(const Operation& first, const Operation& second) {
    constexpr std::int64_t kWidth = 9;
    return network(
        first.name + ", then " + second.name,
        fmt::format("layer first()(x: real[B, D]) = {}\nlayer second()(x: real[B, D]) = {}\n"
                    "model M(x: f32[B, {}]) -> f32[B, {}] = x |> first |> second",
                    first.text, second.text, kWidth, second.width(first.width(kWidth))),
        " loss = reduce_sum(sin(out + 0.5))");
}

}  // namespace

TEST_CASE("two operations in a row: machine code and interpreter, values and gradients") {
    const TemporaryDirectory cache;
    std::size_t count = 0;
    for (const Operation& first : kOperations) {
        for (const Operation& second : kOperations) {
            const SmallNetwork network = pair(first, second);
            INFO(network.text);
            const CheckedFile file = checked(network);
            CompileOptions options;
            options.entries = {"init", "forward", "gradient"};
            options.batch_hint = kHint;
            options.gradient_inputs = {"x"};
            PassRunner run;
            const Result<Module> module =
                build_module(file.models.at(0), &file.sections.at(0), options, run);
            if (!module) FAIL(to_string(module.error()));
            // In turns, as compiling takes its time.
            const std::size_t row = count / std::size(kOperations);
            const Form form = (count++ + row) % 2 == 0 ? Form::rows : Form::lanes;
            INFO(name_of(form));
            Bench bench(*module, form, on_cpu(1, "native", cache.path()));
            copy_variables(bench.instance, bench.program, bench.exact);
            for (const std::int64_t batch : {1, 5, 16, 19}) {
                INFO("B = " << batch);
                for (const char* entry : {"forward", "gradient"}) {
                    const Numbers inputs = bench.inputs(entry, network, batch, 3);
                    CHECK(difference(bench.run(entry, inputs, batch),
                                     bench.run_exact(entry, inputs, batch), 2e-5) == "");
                }
            }
        }
    }
}
