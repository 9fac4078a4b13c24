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

// Orthonormal rows, or columns where there are fewer of them, by the method of Gram and Schmidt on normal
// numbers, each row made orthogonal twice (Saxe et al. 2014; Giraud et al. 2005). More axes than two: the
// first against all others. A scan over the rows, with those that are done as its carry.
Value orthogonal(Draw& draw, Function& function) {
    GraphBuilder& builder = draw.builder;
    const Type type = draw.variable.type;
    const Dim first = type.shape.empty() ? Dim(1) : type.shape[0];
    const std::int64_t all = product(type.shape).value();
    const std::int64_t height = first.value(), width = all / height;
    const bool columns = height > width;
    const std::int64_t n = columns ? width : height, m = columns ? height : width;

    Function body;
    body.name = "row";
    const Type row{type.dtype, {Dim(m)}}, rows{type.dtype, {Dim(n), Dim(m)}};
    body.inputs = {
        {"row", row, {}, {}}, {"number", {DType::i64, {}}, {}, {}}, {"done", rows, {}, {}}};
    GraphBuilder inside(body);
    Value v = inside.input(0);
    const Value number = inside.input(1), done = inside.input(2);
    for (int pass = 0; pass < 2; ++pass) {
        v = v - inside.einsum("k,km->m", inside.einsum("km,m->k", done, v), done);
    }
    const Value length = inside.unary(OpId::sqrt, inside.reduce_sum(v * v, {0}));
    v = v / inside.broadcast(length, row.shape);
    const Shape count{Dim(n)};
    const Value here = inside.binary(OpId::equal, inside.iota({DType::i64, count}, 0),
                                     inside.broadcast(number, count));
    const Value place = inside.reshape(inside.cast(here, type.dtype), {Dim(n), Dim(1)});
    const Value added = inside.broadcast(place, rows.shape) * inside.broadcast(v, rows.shape);
    body.results = {{"done", (done + added).id}};

    const Value drawn = builder.reshape(draw.normal(0, 1), {Dim(height), Dim(width)});
    const Value sequence = columns ? builder.permute(drawn, {1, 0}) : drawn;
    const auto number_of_body = static_cast<std::int64_t>(function.bodies.size());
    function.bodies.push_back(std::move(body));
    const Value scan = builder.make(OpId::scan,
                                    {sequence, builder.iota({DType::i64, count}, 0),
                                     builder.constant(0, type.dtype, rows.shape)},
                                    {{"body", number_of_body},
                                     {"steps", count},
                                     {"sequences", std::int64_t{2}},
                                     {"carries", std::int64_t{1}},
                                     {"reverse", false}});
    const Value made =
        builder.make(OpId::scan_result, {scan},
                     {{"number", std::int64_t{0}}, {"dtype", type.dtype}, {"shape", rows.shape}});
    return builder.reshape(columns ? builder.permute(made, {1, 0}) : made, type.shape);
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
        case InitializerKind::orthogonal: return orthogonal(draw, builder.function());
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
