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

// X <- a X + X (b A + c A A) with A = X'X, which brings every singular value closer to 1 and keeps the vectors.
Value newton_schulz(Value x, double a, double b, double c) {
    GraphBuilder& builder = *x.builder;
    const Value gram = builder.einsum("ki,kj->ij", x, x);
    Value polynomial = gram * b;
    if (c != 0) polynomial = polynomial + builder.einsum("ik,kj->ij", gram, gram) * c;
    return x * a + builder.einsum("ki,ij->kj", x, polynomial);
}

// Orthonormal rows or columns, whichever are fewer, of the first dimension against all others.
Value orthogonal(GraphBuilder& builder, Draw& draw, const Shape& shape) {
    const std::int64_t rows = shape.empty() ? 1 : shape[0].value();
    const std::int64_t columns = product(shape).value() / rows;
    Value x = builder.reshape(draw.random(OpId::random_normal), {Dim(rows), Dim(columns)});
    if (rows < columns) x = builder.permute(x, {1, 0});
    // A normal matrix has no singular value above sqrt(rows) + sqrt(columns) + 6, but once in 10^8 times, and what
    // exceeds it by a fifth still converges.
    x = x * (1.0 /
             (std::sqrt(static_cast<double>(rows)) + std::sqrt(static_cast<double>(columns)) + 6));
    // The steep polynomial (Jordan 2024) multiplies small singular values by 3.4 and leaves all between 0.68
    // and 1.13; from there the cubic one converges quadratically.
    for (int i = 0; i < 14; ++i) x = newton_schulz(x, 3.4445, -4.7750, 2.0315);
    for (int i = 0; i < 6; ++i) x = newton_schulz(x, 1.5, -0.5, 0);
    if (rows < columns) x = builder.permute(x, {1, 0});
    return builder.reshape(x, shape);
}

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
        case InitializerKind::orthogonal: return orthogonal(builder, draw, variable.type.shape);
        case InitializerKind::from_file: return draw.fill(0);
    }
    return Error{kExitInternal, "unknown initialiser"};
}

}  // namespace

bool object_leaves_zero(const Variable& variable) {
    constexpr std::int64_t kStackElements = 16384;
    const InitializerKind kind = variable.initializer.kind;
    return kind == InitializerKind::from_file ||
           (kind == InitializerKind::orthogonal &&
            product(variable.type.shape).value() > kStackElements);
}

Status initialize(Module& module, bool for_object) {
    Function function;
    function.name = "init";
    GraphBuilder builder(function);
    for (VariableId id = 0; id < module.variables.size(); ++id) {
        const Variable& variable = module.variables[id];
        if (variable.kind != VariableKind::parameter && variable.kind != VariableKind::state)
            continue;
        builder.set_origin(builder.add_origin({variable.span, variable.name, {}}));
        Result<Value> value = for_object && object_leaves_zero(variable)
                                  ? Draw{builder, variable}.fill(0)
                                  : initial_value(builder, variable);
        if (!value) return value.error();
        function.updates.push_back({id, value->id});
    }
    module.functions.push_back(std::move(function));
    return {};
}

}  // namespace netc
