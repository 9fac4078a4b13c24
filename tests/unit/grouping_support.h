// Small networks for the tests of the passes from the graph to the program, and a way to run them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "backends/interpreter.h"
#include "ir/graph_builder.h"
#include "passes/duplicate.h"
#include "passes/fold_pooling.h"
#include "passes/fuse.h"
#include "passes/fuse_linear_activation.h"
#include "passes/lower.h"
#include "passes/lower_module.h"

namespace netc::testing {

inline Dim batch() { return Dim::symbol(kBatchSymbol); }

// A module of one function under construction.
struct Net {
    Module module;
    GraphBuilder builder;

    explicit Net(std::string name = "forward") : builder(start(module, std::move(name))) {}
    Net(const Net&) = delete;

    static Function& start(Module& module, std::string name) {
        module.functions.emplace_back();
        module.functions.back().name = std::move(name);
        return module.functions.back();
    }
    Function& function() { return module.functions.front(); }

    Value input(std::string name, Shape shape, DType dtype = DType::f32) {
        function().inputs.push_back({std::move(name), {dtype, std::move(shape)}, {}, {}});
        return builder.input(static_cast<std::uint32_t>(function().inputs.size() - 1));
    }
    Value variable(std::string name, Shape shape, VariableKind kind = VariableKind::parameter) {
        Variable v;
        v.name = std::move(name);
        v.type = {DType::f32, std::move(shape)};
        v.kind = kind;
        module.variables.push_back(std::move(v));
        const auto id = static_cast<VariableId>(module.variables.size() - 1);
        return builder.variable(id, module.variables[id].type);
    }
    void result(std::string name, Value value) {
        function().results.push_back({std::move(name), value.id, {}, {}});
    }
    void update(VariableId id, Value value) { function().updates.push_back({id, value.id}); }

    Value conv(Value x, Value w, std::int64_t pad) {
        return builder.make(OpId::conv_nd, {x, w},
                            {{"stride", std::vector<std::int64_t>{1, 1}},
                             {"pad", std::vector<std::int64_t>{pad, pad}},
                             {"dilation", std::vector<std::int64_t>{1, 1}},
                             {"groups", std::int64_t{1}}});
    }
    Value pool(Value x, const char* op, std::int64_t size, std::int64_t stride) {
        return builder.make(OpId::window, {x},
                            {{"op", std::string(op)},
                             {"size", std::vector<std::int64_t>{size, size}},
                             {"stride", std::vector<std::int64_t>{stride, stride}},
                             {"pad", std::vector<std::int64_t>{0, 0}}});
    }
    Value bias(Value x, Value b, const Shape& as) {
        const Shape shape = x.type().shape;  // a copy: appending nodes moves them
        return x + builder.broadcast(builder.reshape(b, as), shape);
    }
};

inline void group_all(Function& function) {
    fuse_linear_activation(function, 16);
    fold_pooling(function);
    duplicate(function, 16);
    fuse(function, 16);
}

inline Lowered lowered(const Function& function) {
    Result<Lowered> result = lower(function, 64);
    if (!result) FAIL(result.error().message);
    return std::move(*result);
}

// Numbers that look random and are not.
inline std::vector<double> noise(std::int64_t count, std::uint64_t seed, double scale = 1) {
    std::vector<double> values(static_cast<std::size_t>(count));
    std::uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
    for (double& value : values) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        value = scale * (static_cast<double>(state >> 40) / static_cast<double>(1 << 24) * 2 - 1);
    }
    return values;
}

using Outcome = std::map<std::string, std::vector<double>>;

// Runs the only function with made-up inputs and variables; results, and variables as `@name`.
inline Outcome outcome(const Module& module, std::int64_t b) {
    Result<Program> program = lower_module(module, 64);
    if (!program) FAIL(program.error().message);
    Result<Interpretation> run = Interpretation::make(*program);
    if (!run) FAIL(run.error().message);
    run->set_hyper(1, 10, 0.1);
    const Function& f = module.functions.front();
    std::uint64_t seed = 1;
    for (const Input& input : f.inputs) {
        std::int64_t count = 1;
        for (const Dim& dim : input.type.shape) count *= dim.extent()->at(b);
        std::vector<double> values = noise(count, ++seed);
        if (is_int(input.type.dtype)) {
            for (double& value : values)
                value = static_cast<double>(static_cast<int>(value * 3 + 3));
        }
        const Status s = run->set_input(f.name, input.name, values);
        if (!s) FAIL(s.error().message);
    }
    for (const Variable& variable : module.variables) {
        std::int64_t count = 1;
        for (const Dim& dim : variable.type.shape) count *= dim.value();
        std::vector<double> values = noise(count, ++seed, 0.5);
        if (variable.name.ends_with(":v")) {  // a mean of squares
            for (double& value : values) value = value * value + 0.01;
        }
        const Status s = run->set_variable(variable.name, values);
        if (!s) FAIL(s.error().message);
    }
    if (Status s = run->run(f.name, b); !s) FAIL(s.error().message);
    Outcome outcome;
    for (const Function::Result& result : f.results) {
        outcome[result.name] = *run->output(f.name, result.name);
    }
    for (const Function::Update& update : f.updates) {
        const std::string& name = module.variables[update.variable].name;
        outcome["@" + name] = *run->variable(name);
    }
    return outcome;
}

inline void check_equal(const Outcome& a, const Outcome& b) {
    REQUIRE(a.size() == b.size());
    for (const auto& [name, values] : a) {
        INFO(name);
        const std::vector<double>& others = b.at(name);
        REQUIRE(values.size() == others.size());
        for (std::size_t i = 0; i < values.size(); ++i) {
            INFO("element " << i);
            CHECK(values[i] == Approx(others[i]).epsilon(1e-12).margin(1e-13));
        }
    }
}

// Grouping changes no result.
inline void check_grouping_keeps(const Module& module) {
    Module grouped_module;
    for (const Variable& v : module.variables) {
        Variable copy;
        copy.name = v.name;
        copy.type = v.type;
        copy.kind = v.kind;
        grouped_module.variables.push_back(std::move(copy));
    }
    grouped_module.functions = module.functions;
    group_all(grouped_module.functions.front());
    for (std::int64_t b : {1, 4, 17}) {
        INFO("batch " << b);
        check_equal(outcome(module, b), outcome(grouped_module, b));
    }
}

}  // namespace netc::testing
