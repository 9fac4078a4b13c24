#include "passes/initialize.h"

#include <algorithm>
#include <cmath>

#include "ir/graph_builder.h"

namespace netc {
namespace {

struct Draw {
    GraphBuilder& builder;
    const Variable& variable;

    Value random(OpId op) {
        return builder.make(op,
                            {builder.hyper("seed", DType::i64), builder.constant(0.0, DType::i64)},
                            {{"stream", static_cast<std::int64_t>(variable.stream)},
                             {"shape", variable.type.shape},
                             {"dtype", variable.type.dtype}});
    }
    Value fill(double value) {
        return builder.constant(value, variable.type.dtype, variable.type.shape);
    }
    Value uniform(double low, double high) {
        return random(OpId::random_uniform) * (high - low) + low;
    }
    Value normal(double mean, double deviation) {
        return random(OpId::random_normal) * deviation + mean;
    }
};

Result<Value> initial_value(GraphBuilder& builder, const Variable& variable) {
    Draw draw{builder, variable};
    const Initializer& init = variable.initializer;
    auto argument = [&](std::size_t i, double otherwise) {
        return i < init.arguments.size() ? init.arguments[i] : otherwise;
    };
    const double fans = std::max(1.0, init.fan_in + init.fan_out);
    const double fan_in = std::max(1.0, init.fan_in);
    switch (init.kind) {
        case InitializerKind::zeros: return draw.fill(0);
        case InitializerKind::ones: return draw.fill(1);
        case InitializerKind::full: return draw.fill(argument(0, 0));
        case InitializerKind::normal: return draw.normal(argument(0, 0), argument(1, 1));
        case InitializerKind::uniform: return draw.uniform(argument(0, 0), argument(1, 1));
        case InitializerKind::xavier_uniform: {
            const double bound = std::sqrt(6.0 / fans);
            return draw.uniform(-bound, bound);
        }
        case InitializerKind::xavier_normal: return draw.normal(0, std::sqrt(2.0 / fans));
        case InitializerKind::he_uniform: {
            const double bound = std::sqrt(6.0 / fan_in);
            return draw.uniform(-bound, bound);
        }
        case InitializerKind::he_normal: return draw.normal(0, std::sqrt(2.0 / fan_in));
        case InitializerKind::rademacher: {
            Value half = builder.constant(0.5, variable.type.dtype, variable.type.shape);
            Value low = builder.binary(OpId::less, draw.random(OpId::random_uniform), half);
            return builder.select(low, draw.fill(-1), draw.fill(1));
        }
        case InitializerKind::values: return builder.tensor(init.values, variable.type);
        case InitializerKind::orthogonal:
            return Error{kExitProgram,
                         "`" + variable.name +
                             "`: the initialiser `orthogonal` waits for a later version"};
        case InitializerKind::from_file:
            return Error{kExitProgram,
                         "`" + variable.name +
                             "`: the initialiser `from_file` waits for a later version"};
    }
    return Error{kExitInternal, "unknown initialiser"};
}

}  // namespace

Status initialize(Module& module) {
    Function function;
    function.name = "init";
    GraphBuilder builder(function);
    for (VariableId id = 0; id < module.variables.size(); ++id) {
        const Variable& variable = module.variables[id];
        if (variable.kind != VariableKind::parameter && variable.kind != VariableKind::state)
            continue;
        builder.set_origin(builder.add_origin({variable.span, variable.name, {}}));
        Result<Value> value = initial_value(builder, variable);
        if (!value) return value.error();
        function.updates.push_back({id, value->id});
    }
    module.functions.push_back(std::move(function));
    return {};
}

}  // namespace netc
