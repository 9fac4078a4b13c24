// Small networks as programs with their memory, and all that they compute: what backends are compared by.
#pragma once

#include <functional>

#include "frontend/frontend.h"
#include "frontend/render.h"
#include "passes/pipeline.h"
#include "program_support.h"
#include "small_networks.h"

namespace netc::testing {

inline constexpr std::int64_t kHint = 16;
inline constexpr std::int64_t kSeed = 7, kStepsPerEpoch = 2;

inline CheckedFile checked(const SmallNetwork& network) {
    SourceMap sources;
    Diagnostics diagnostics;
    Result<CheckedFile> file = check_text("test.net", network.text, {}, sources, diagnostics);
    if (!file) FAIL(network.text << "\n" << render(diagnostics, sources));
    return std::move(*file);
}

inline Module built(const CheckedFile& file, std::vector<std::string> entries = {},
                    std::int64_t hint = kHint) {
    CompileOptions options;
    options.entries = std::move(entries);
    options.batch_hint = hint;
    PassRunner run;
    Result<Module> module = build_module(file.models.at(0), &file.sections.at(0), options, run);
    if (!module) FAIL(to_string(module.error()));
    return std::move(*module);
}

// Numbers that look random; integers below the limit.
inline std::vector<double> draw(DType type, std::int64_t count, std::int64_t limit,
                                std::uint64_t seed) {
    std::vector<double> values;
    std::uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
    for (std::int64_t i = 0; i < count; ++i) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        const double unit = static_cast<double>(state >> 40) / (1 << 24);
        values.push_back(is_float(type) ? static_cast<double>(static_cast<float>(2 * unit - 1))
                                        : std::floor(unit * static_cast<double>(limit)));
    }
    return values;
}

inline Numbers inputs_of(const Entry& entry, const SmallNetwork& network, std::int64_t batch,
                         std::uint64_t seed) {
    Numbers inputs;
    for (const EntryArgument& input : entry.inputs) {
        inputs[input.name] =
            draw(input.dtype, count_of(input, batch), network.integer_limit, ++seed);
    }
    return inputs;
}

inline void copy_variables(const Instance& from, const Program& program, Interpretation& to) {
    for (const auto* places : {&program.weights, &program.slots}) {
        for (const VariablePlace& place : *places) {
            const Status status = to.set_variable(place.name, from.variable(place));
            if (!status) FAIL(to_string(status.error()));
        }
    }
}

inline Numbers variables_of(const Interpretation& exact, const Program& program) {
    Numbers all;
    for (const auto* places : {&program.weights, &program.slots}) {
        for (const VariablePlace& place : *places) all[place.name] = *exact.variable(place.name);
    }
    return all;
}

using Backend = std::function<std::unique_ptr<Executable>(const Program&)>;
inline Backend on_cpu(int threads, const std::string& cpu = "native",
                      const std::string& cache = {}) {
    return [=](const Program& program) { return jitted(program, threads, cpu, cache); };
}
inline Backend on_emulator(const GpuThresholds& thresholds, const std::string& cache = {}) {
    return [=](const Program& program) { return emulated(program, thresholds, cache); };
}

// A program in one form, with its memory and an interpreter beside it, both after `init`.
struct Bench {
    Program program;
    std::unique_ptr<Executable> executable;
    Instance instance;
    Interpretation exact;

    Bench(const Module& module, Form form, const Backend& backend = on_cpu(1),
          std::int64_t hint = kHint)
        : program(program_of(module, form, hint)), executable(backend(program)), instance(program),
          exact(interpretation(program)) {
        instance.set_hyper(kSeed, kStepsPerEpoch, std::nan(""));
        exact.set_hyper(kSeed, kStepsPerEpoch, std::nan(""));
        init();
    }
    void init() {
        for (const VariablePlace& slot : program.slots) {
            const auto count = static_cast<std::size_t>(slot.size / size_of(slot.dtype));
            instance.set_variable(slot, std::vector<double>(count, 0.0));
        }
        instance.run(*executable, "init", {}, 1);
    }
    Numbers inputs(const std::string& entry, const SmallNetwork& network, std::int64_t batch,
                   std::uint64_t seed) const {
        return inputs_of(*program.find(entry), network, batch, seed);
    }
    Numbers run(const std::string& entry, const Numbers& inputs, std::int64_t batch) {
        return instance.run(*executable, entry, inputs, batch);
    }
    Numbers run_exact(const std::string& entry, const Numbers& inputs, std::int64_t batch) {
        return testing::run_exact(exact, program, entry, inputs, batch);
    }
};

// The results of all entries for some batches and of three steps, to compare bits.
inline std::map<std::string, Numbers> everything(Bench& bench, const SmallNetwork& network) {
    std::map<std::string, Numbers> all;
    all["init"] = bench.instance.variables();
    if (bench.program.find("prepare") != nullptr) bench.run("prepare", {}, 1);
    for (const std::int64_t batch : {1, 5, 19}) {
        for (const char* entry : {"forward", "evaluate", "gradient"}) {
            all[entry + (" " + std::to_string(batch))] =
                bench.run(entry, bench.inputs(entry, network, batch, 3), batch);
        }
    }
    for (std::uint64_t step = 0; step < 3; ++step) {
        const std::int64_t batch = step == 2 ? 5 : 8;
        const std::string name = "step " + std::to_string(step);
        all[name] =
            bench.run("train_step", bench.inputs("train_step", network, batch, 100 * step), batch);
        all[name + " variables"] = bench.instance.variables();
    }
    return all;
}

inline void check_bits(const std::map<std::string, Numbers>& found,
                       const std::map<std::string, Numbers>& wanted) {
    for (const auto& [name, numbers] : wanted) {
        INFO(name);
        CHECK(different_bits(found.at(name), numbers) == "");
    }
}

}  // namespace netc::testing
