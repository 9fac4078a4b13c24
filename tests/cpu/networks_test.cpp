// links: frontend passes backends ir
// Small networks from text to trained numbers: machine code against the interpreter in double
// precision, gradients against central differences, bits across layouts, threads and processors.
#include "ir/graph_builder.h"
#include "network_support.h"
#include "passes/precision.h"
#include "passes/simplify.h"
#include "passes/update.h"
#include "tests/unit/temporary_directory.h"

using namespace netc;
using namespace netc::testing;

namespace {

// The test cases go over the same networks.
const std::string& cache() {
    static const TemporaryDirectory directory;
    return directory.path();
}
Backend native() { return on_cpu(1, "native", cache()); }

// Every entry and three steps, machine code against the interpreter that starts from the same weights.
void check_against_interpreter(Bench& bench, const SmallNetwork& network) {
    run_exact(bench.exact, bench.program, "init", {}, 1);
    CHECK(difference(variables_of(bench.exact, bench.program), bench.instance.variables(), 1e-6) ==
          "");
    copy_variables(bench.instance, bench.program, bench.exact);
    if (bench.program.find("prepare") != nullptr) {
        bench.run("prepare", {}, 1);
        bench.run_exact("prepare", {}, 1);
    }
    for (const std::int64_t batch : {1, 5, 16, 19}) {
        INFO("B = " << batch);
        for (const char* entry : {"forward", "evaluate", "gradient"}) {
            INFO(entry);
            const Numbers inputs = bench.inputs(entry, network, batch, 3);
            CHECK(difference(bench.run(entry, inputs, batch), bench.run_exact(entry, inputs, batch),
                             2e-5) == "");
        }
    }
    for (std::uint64_t step = 0; step < 3; ++step) {
        INFO("step " << step);
        const std::int64_t batch = step == 2 ? 5 : 8;  // the last batch is smaller
        const Numbers inputs = bench.inputs("train_step", network, batch, 100 * step);
        CHECK(difference(bench.run("train_step", inputs, batch),
                         bench.run_exact("train_step", inputs, batch), 2e-5) == "");
        CHECK(difference(bench.instance.variables(), variables_of(bench.exact, bench.program),
                         1e-4) == "");
    }
    // With what training left: running means are no longer 0.
    copy_variables(bench.instance, bench.program, bench.exact);
    if (bench.program.find("prepare") != nullptr) {
        bench.run("prepare", {}, 1);
        bench.run_exact("prepare", {}, 1);
    }
    const Numbers inputs = bench.inputs("evaluate", network, 7, 4);
    CHECK(difference(bench.run("forward", inputs, 7), bench.run_exact("forward", inputs, 7),
                     2e-5) == "");
    CHECK(difference(bench.run("evaluate", inputs, 7), bench.run_exact("evaluate", inputs, 7),
                     2e-5) == "");
}

// The interpreter's gradients against its central differences; a few elements of each parameter.
void check_gradients(Bench& bench, const SmallNetwork& network) {
    copy_variables(bench.instance, bench.program, bench.exact);
    constexpr std::int64_t kBatch = 5;
    const Numbers inputs = bench.inputs("gradient", network, kBatch, 11);
    const Numbers gradients = bench.run_exact("gradient", inputs, kBatch);
    for (const auto& [name, gradient] : gradients) {
        if (!name.starts_with("grad:")) continue;
        INFO(name);
        const std::string variable = name.substr(5);
        const std::vector<double> values = *bench.exact.variable(variable);
        double scale = 1e-3;
        for (const double g : gradient) scale = std::max(scale, std::abs(g));
        for (std::size_t i = 0; i < values.size(); i += 1 + values.size() / 5) {
            INFO("element " << i);
            const auto loss_at = [&](double value) {
                std::vector<double> moved = values;
                moved[i] = value;
                REQUIRE(bench.exact.set_variable(variable, moved).ok());
                return bench.run_exact("gradient", inputs, kBatch).at("loss")[0];
            };
            const double h = 1e-5;
            const double up = loss_at(values[i] + h), down = loss_at(values[i] - h);
            CHECK(gradient[i] ==
                  Approx((up - down) / (2 * h)).epsilon(1e-6).margin(1e-6 * scale + 1e-9));
        }
        REQUIRE(bench.exact.set_variable(variable, values).ok());
    }
}

bool is_random(const SmallNetwork& network) {
    const std::string& text = network.text;
    return text.find("drop") != std::string::npos || text.find("noise") != std::string::npos;
}

// `gradient`, then the optimizer's step as a program of its own on what it gave.
void check_step_is_gradient_and_update(Bench& bench, const Module& module, const CheckedFile& file,
                                       const SmallNetwork& network) {
    const TrainSection& section = file.sections.at(0);
    Module apart;
    apart.name = module.name;
    for (const Variable& variable : module.variables) {
        if (variable.kind != VariableKind::prepared) apart.variables.push_back(variable);
    }
    Function function;
    function.name = "apply";
    std::vector<VariableId> parameters;
    std::vector<NodeId> gradients;
    GraphBuilder graph(function);
    for (VariableId id = 0; id < apart.variables.size(); ++id) {
        const Variable& variable = apart.variables[id];
        if (variable.kind != VariableKind::parameter || variable.frozen) continue;
        function.inputs.push_back({"grad:" + variable.name, variable.type, {}, {}});
        parameters.push_back(id);
        gradients.push_back(graph.input(static_cast<std::uint32_t>(function.inputs.size() - 1)).id);
    }
    const auto rate = update(apart, function, section.optimizer, parameters, gradients);
    if (!rate) FAIL(to_string(rate.error()));
    function.results.push_back({"rate", *rate, {}, {}});
    apart.functions.push_back(std::move(function));
    simplify(apart);
    const Program program = program_of(apart, Form::rows, kHint);
    const auto executable = native()(program);
    REQUIRE(program.slots.size() == bench.program.slots.size());
    Instance instance(program);
    instance.set_hyper(kSeed, kStepsPerEpoch, std::nan(""));
    instance.set_variables(bench.instance.variables());
    for (std::uint64_t step = 0; step < 3; ++step) {
        INFO("step " << step);
        const Numbers inputs = bench.inputs("train_step", network, 8, 50 + step);
        if (step > 0 && is_random(network)) break;  // `gradient` draws as of step 0
        const Numbers before = bench.instance.variables();
        Numbers given = bench.run("gradient", inputs, 8);
        instance.set_variables(before);
        const Numbers losses = bench.run("train_step", inputs, 8);
        CHECK(different_bits({{"loss", losses.at("loss")}}, {{"loss", given.at("loss")}}) == "");
        instance.run(*executable, "apply", given, 8);
        Numbers wanted = bench.instance.variables(), found = instance.variables();
        for (const VariablePlace& place : program.weights) {
            if (place.kind == VariableKind::state) found[place.name] = wanted[place.name];
        }
        CHECK(different_bits(found, wanted) == "");
    }
}

void check_network(const SmallNetwork& network) {
    INFO(network.name);
    const CheckedFile file = checked(network);
    const Module module = built(file);
    std::map<std::string, Numbers> first;
    const bool images = network.text.find("conv") != std::string::npos;
    for (const Form form : {Form::rows, Form::lanes, Form::channels}) {
        if (form == Form::channels && !images) continue;
        INFO(name_of(form));
        Bench bench(module, form, native());
        check_against_interpreter(bench, network);
        bench.init();
        const std::map<std::string, Numbers> all = everything(bench, network);
        if (first.empty()) first = all;
        check_bits(all, first);
    }
}

}  // namespace

TEST_CASE("layers: machine code, interpreter, bits across layouts") {
    for (const SmallNetwork& network : layer_networks()) {
        DYNAMIC_SECTION(network.name) { check_network(network); }
    }
}

TEST_CASE("optimizers: machine code, interpreter, bits across layouts") {
    for (const SmallNetwork& network : optimizer_networks()) {
        DYNAMIC_SECTION(network.name) { check_network(network); }
    }
}

TEST_CASE("gradients equal central differences") {
    for (const SmallNetwork& network : layer_networks()) {
        DYNAMIC_SECTION(network.name) {
            const CheckedFile file = checked(network);
            Bench bench(built(file, {"init", "gradient"}), Form::lanes, native());
            check_gradients(bench, network);
        }
    }
}

TEST_CASE("a training step is the gradient and the update, bit for bit") {
    for (const auto& networks : {optimizer_networks(), layer_networks()}) {
        for (const SmallNetwork& network : networks) {
            DYNAMIC_SECTION(network.name) {
                const CheckedFile file = checked(network);
                const Module module = built(file, {"init", "gradient", "train_step"});
                Bench bench(module, Form::lanes, native());
                check_step_is_gradient_and_update(bench, module, file, network);
            }
        }
    }
}

TEST_CASE("grouping and layouts keep what the graph computes") {
    for (const SmallNetwork& network : layer_networks()) {
        DYNAMIC_SECTION(network.name) {
            const CheckedFile file = checked(network);
            const Module module = built(file);
            std::map<std::string, Numbers> first;
            for (const Form form : {Form::ungrouped, Form::rows, Form::lanes, Form::channels}) {
                INFO(name_of(form));
                const Program program = program_of(module, form, kHint);
                Interpretation exact = interpretation(program);
                exact.set_hyper(kSeed, kStepsPerEpoch, std::nan(""));
                run_exact(exact, program, "init", {}, 1);
                std::map<std::string, Numbers> all;
                for (const std::int64_t batch : {1, 17}) {
                    for (const char* entry : {"forward", "gradient"}) {
                        if (program.find("prepare") != nullptr)
                            run_exact(exact, program, "prepare", {}, 1);
                        const Numbers inputs = inputs_of(*program.find(entry), network, batch, 5);
                        all[entry + std::to_string(batch)] =
                            run_exact(exact, program, entry, inputs, batch);
                    }
                }
                const Numbers inputs = inputs_of(*program.find("train_step"), network, 6, 5);
                all["step"] = run_exact(exact, program, "train_step", inputs, 6);
                all["variables"] = variables_of(exact, program);
                if (first.empty()) first = all;
                for (const auto& [name, numbers] : first) {
                    INFO(name);
                    CHECK(difference(all.at(name), numbers, 1e-11) == "");
                }
            }
        }
    }
}

TEST_CASE("the bits are the same for any number of threads and any processor") {
    const SmallNetwork wide = network(
        "wide", "model M(x: f32[B, 300]) -> f32[B, 70] = x |> linear(260) |> tanh |> linear(70)",
        " target y: i32[B]\n loss = cross_entropy(out, y)", "adam(lr = 0.01, clip = 1.0)");
    const SmallNetwork lenet = network("lenet",
                                       "model M(x: f32[B, 1, 28, 28]) -> f32[B, 10] = x |> conv(6, "
                                       "k=5, pad=2) |> tanh |> avg_pool(2)\n"
                                       " |> conv(16, k=5, pad=0) |> tanh |> avg_pool(2) |> flatten "
                                       "|> linear(120) |> tanh |> linear(10)",
                                       " target y: i32[B]\n loss = cross_entropy(out, y)",
                                       "sgd(lr = 0.05, momentum = 0.9)");
    const SmallNetwork lstm =
        network("lstm",
                "model M(x: f32[B, 6, 40]) -> f32[B, 10] {\n"
                " let h = x |> lstm(96)\n return h[:, -1] |> linear(10)\n}",
                " target y: i32[B]\n loss = cross_entropy(out, y)", "adam(lr = 0.01)");
    for (const SmallNetwork& subject : {wide, lenet, lstm}) {
        const CheckedFile file = checked(subject);
        const Module module = built(file);
        for (const Form form : {Form::rows, Form::lanes, Form::channels}) {
            INFO(subject.name << ", " << name_of(form));
            const auto results = [&](int threads, const std::string& cpu) {
                Bench bench(module, form, on_cpu(threads, cpu, cache()));
                std::map<std::string, Numbers> all;
                for (const std::int64_t batch : {1, 40, 65}) {
                    all["gradient" + std::to_string(batch)] =
                        bench.run("gradient", bench.inputs("gradient", subject, batch, 3), batch);
                }
                for (std::uint64_t step = 0; step < 2; ++step) {
                    bench.run("train_step", bench.inputs("train_step", subject, 64, step), 64);
                }
                all["variables"] = bench.instance.variables();
                return all;
            };
            const auto first = results(1, "native");
            for (const int threads : {2, 3, 8}) {
                INFO(threads << " threads");
                check_bits(results(threads, "native"), first);
            }
            for (const std::string& cpu : processors()) {
                if (cpu == "native") continue;
                INFO(cpu);
                check_bits(results(1, cpu), first);
            }
        }
    }
}

TEST_CASE("gradients with values computed again, and in parts of bf16, are those of f32") {
    struct Way {
        Precision precision;
        Recompute recompute;
    };
    constexpr Way kWays[] = {{Precision::f32, Recompute::never},
                             {Precision::f32, Recompute::always},
                             {Precision::bf16x6, Recompute::never}};
    for (const SmallNetwork& network : layer_networks()) {
        DYNAMIC_SECTION(network.name) {
            // Where a number decides, another rounding may decide otherwise.
            const bool decides = network.text.find("argmax") != std::string::npos;
            const CheckedFile file = checked(network);
            CompileOptions options;
            options.entries = {"init", "gradient"};
            options.batch_hint = kHint;
            std::optional<Numbers> wanted;
            for (const Way& way : kWays) {
                options.precision = way.precision;
                options.recompute = way.recompute;
                INFO(netc::name_of(way.precision)
                     << (way.recompute == Recompute::always ? ", computed again" : ""));
                PassRunner run;
                const Result<Module> module =
                    build_module(file.models.at(0), &file.sections.at(0), options, run);
                if (!module) FAIL(to_string(module.error()));
                Bench bench(*module, Form::rows, native());
                const Numbers found =
                    bench.run("gradient", bench.inputs("gradient", network, 8, 3), 8);
                if (!wanted) wanted = found;
                if (way.precision == Precision::f32) {
                    CHECK(different_bits(found, *wanted) == "");
                } else if (!decides) {
                    CHECK(difference(found, *wanted, 1e-4) == "");
                }
            }
        }
    }
}
