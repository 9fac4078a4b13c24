// Elementwise builtins; on static numbers they give static numbers.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "frontend/builtins.h"
#include "frontend/elaborate_scan.h"
#include "frontend/elaborate_variables.h"

namespace netc::frontend {

namespace {

template <OpId op, double (*on_number)(double)>
Datum unary(const BuiltinCall& call) {
    const Datum& value = call.values[0];
    if (value.is<std::int64_t>() || value.is<double>()) {
        if constexpr (op == OpId::abs) {
            if (const auto* integer = value.as<std::int64_t>()) {
                return {*integer < 0 ? -*integer : *integer, call.place};
            }
        }
        return {on_number(number_of(value)), call.place};
    }
    const TensorPointer x = tensor_input(call, 0, call.context.real);
    if (!x) return failed_datum();
    if (!is_float(x->type.dtype) && op != OpId::abs) {
        return report(call.context,
                      diagnose<Code::dtypes_differ>(
                          blame(call.context, call.place), x->type.to_string(),
                          fmt::format("the input of `{}`, which is real,", call.builtin.name))
                          .help("convert it: `cast(x, real)`"));
    }
    return make_node(call.context, op, {x.get()}, {}, call.place);
}

double negative(double x) { return -x; }
double absolute(double x) { return std::abs(x); }
double exponential(double x) { return std::exp(x); }
double exponential_less_one(double x) { return std::expm1(x); }
double logarithm(double x) { return std::log(x); }
double logarithm_of_one_more(double x) { return std::log1p(x); }
double square_root(double x) { return std::sqrt(x); }
double sine(double x) { return std::sin(x); }
double cosine(double x) { return std::cos(x); }
double tangent(double x) { return std::tanh(x); }
double error_function(double x) { return std::erf(x); }

struct Pair {
    Datum left, right;
    bool ok = false;
};

// Two inputs of one dtype and shape, numbers adapting.
Pair same_shape(const BuiltinCall& call, std::size_t first, std::size_t second, bool any_dtype) {
    Pair pair;
    const Tensor* a = call.values[first].tensor();
    const Tensor* b = call.values[second].tensor();
    const DType dtype = a ? a->type.dtype : b ? b->type.dtype : call.context.real;
    const TensorPointer left = tensor_input(call, first, dtype);
    const TensorPointer right = left ? tensor_input(call, second, dtype) : nullptr;
    if (!left || !right) return pair;
    if (left->type.dtype != right->type.dtype && !any_dtype) {
        report(call.context,
               diagnose<Code::dtypes_differ>(blame(call.context, call.place),
                                             left->type.to_string(), right->type.to_string()));
        return pair;
    }
    const auto shape = broadcast_shapes(left->type.shape, right->type.shape);
    if (!shape) {
        shapes_error(call.context, call.builtin.name, *left, *right, call.values[first].place,
                     call.values[second].place, call.place);
        return pair;
    }
    pair.left = broadcast_to(call.context, {left, call.place}, *shape, call.place);
    pair.right = broadcast_to(call.context, {right, call.place}, *shape, call.place);
    pair.ok = !pair.left.failed() && !pair.right.failed();
    return pair;
}

template <OpId op>
Datum extremum(const BuiltinCall& call) {
    if (call.values.size() != 2) {
        return report(call.context,
                      diagnose<Code::missing_argument>(blame(call.context, call.place),
                                                       call.builtin.name, "two values"));
    }
    const Datum& a = call.values[0];
    const Datum& b = call.values[1];
    constexpr bool larger = op == OpId::max;
    if (a.is<std::int64_t>() && b.is<std::int64_t>()) {
        const std::int64_t x = *a.as<std::int64_t>();
        const std::int64_t y = *b.as<std::int64_t>();
        return {larger ? std::max(x, y) : std::min(x, y), call.place};
    }
    const bool numbers = a.is_number() && b.is_number() && !a.is<Dim>() && !b.is<Dim>();
    if (numbers) {
        const double x = number_of(a);
        const double y = number_of(b);
        return {larger ? std::max(x, y) : std::min(x, y), call.place};
    }
    const Pair pair = same_shape(call, 0, 1, false);
    if (!pair.ok) return failed_datum();
    return make_node(call.context, op, {pair.left.tensor(), pair.right.tensor()}, {}, call.place);
}

Datum where(const BuiltinCall& call) {
    const TensorPointer condition = tensor_input(call, 0, DType::b1);
    if (!condition) return failed_datum();
    if (condition->type.dtype != DType::b1) {
        return report(call.context, diagnose<Code::wrong_static_type>(
                                        blame(call.context, call.values[0].place),
                                        "the condition of `where`", "b1, as comparisons give it")
                                        .text("this is {}", condition->type.to_string()));
    }
    const Pair pair = same_shape(call, 1, 2, false);
    if (!pair.ok) return failed_datum();
    const auto shape = broadcast_shapes(condition->type.shape, pair.left.tensor()->type.shape);
    if (!shape) {
        return shapes_error(call.context, "where", *condition, *pair.left.tensor(),
                            call.values[0].place, call.values[1].place, call.place);
    }
    const Datum c = broadcast_to(call.context, {condition, call.place}, *shape, call.place);
    const Datum a = broadcast_to(call.context, pair.left, *shape, call.place);
    const Datum b = broadcast_to(call.context, pair.right, *shape, call.place);
    if (c.failed() || a.failed() || b.failed()) return failed_datum();
    return make_node(call.context, OpId::select, {c.tensor(), a.tensor(), b.tensor()}, {},
                     call.place);
}

Datum cast(const BuiltinCall& call) {
    const auto* wanted = call.values[1].as<DtypeValue>();
    if (!wanted || wanted->dtype == ast::Dtype::any) {
        return wrong_value(call, call.values[1], "the second argument", "a dtype such as f32");
    }
    const DType dtype = resolve(call.context, wanted->dtype);
    const TensorPointer x = tensor_input(call, 0, dtype);
    if (!x) return failed_datum();
    if (x->type.dtype == dtype) return {x, call.place};
    return make_node(call.context, OpId::cast, {x.get()}, {{"to", dtype}}, call.place);
}

Datum stop_gradient(const BuiltinCall& call) {
    const TensorPointer x = tensor_input(call, 0, call.context.real);
    return x ? make_node(call.context, OpId::stop_gradient, {x.get()}, {}, call.place)
             : failed_datum();
}

// The stream of a random operator: its instance, the application, and which of its operators it is.
std::int64_t random_stream(Context& context) {
    Instance* instance = context.frame ? context.frame->instance : context.root;
    std::string key = "random";
    if (instance) {
        key = fmt::format("{}#{}/{}", instance->path, instance->applications,
                          ++instance->random_operators);
    }
    return static_cast<std::int64_t>(hash_text(key));
}

template <OpId op>
Datum random(const BuiltinCall& call) {
    Context& context = call.context;
    Type type{context.real, {}};
    const Tensor* like = call.values[0].tensor();
    if (like) {
        type.shape = like->type.shape;
        if (is_float(like->type.dtype)) type.dtype = like->type.dtype;
    } else {
        const auto shape = shape_of(call, call.values[0]);
        if (!shape) return failed_datum();
        type.shape = *shape;
    }
    if (!context.builder) return make_node(context, op, {}, {}, call.place);
    note_origin(context, call.place);
    Attributes attributes{
        {"stream", random_stream(context)}, {"dtype", type.dtype}, {"shape", type.shape}};
    Result<netc::Value> made = context.builder->try_make(
        op, {random_seed(context), random_step(context)}, std::move(attributes));
    if (!made) {
        return report(context, diagnose<Code::malformed_specification>(blame(context, call.place),
                                                                       made.error().message));
    }
    if (refuse_half_arithmetic(context, op, type.dtype, call.place)) return failed_datum();
    std::vector<const Tensor*> sources;
    if (like) sources.push_back(like);
    return tensor_datum(context, *made, call.place, sources);
}

}  // namespace

void add_elementwise_builtins(std::vector<Builtin>& table) {
    const auto add = [&](std::string_view name, std::vector<BuiltinFormal> inputs,
                         Datum (*apply)(const BuiltinCall&), std::string_view doc) {
        const int count = static_cast<int>(inputs.size());
        table.push_back({name, doc, false, {}, std::move(inputs), count, apply});
    };
    add("neg", {{"x"}}, unary<OpId::neg, negative>, "-x");
    add("abs", {{"x"}}, unary<OpId::abs, absolute>, "absolute value; derivative 0 at 0");
    add("exp", {{"x"}}, unary<OpId::exp, exponential>, "e to the x");
    add("expm1", {{"x"}}, unary<OpId::expm1, exponential_less_one>, "exp(x) - 1, exact near 0");
    add("log", {{"x"}}, unary<OpId::log, logarithm>, "natural logarithm");
    add("log1p", {{"x"}}, unary<OpId::log1p, logarithm_of_one_more>, "log(1 + x), exact near 0");
    add("sqrt", {{"x"}}, unary<OpId::sqrt, square_root>, "square root");
    add("sin", {{"x"}}, unary<OpId::sin, sine>, "sine");
    add("cos", {{"x"}}, unary<OpId::cos, cosine>, "cosine");
    add("tanh", {{"x"}}, unary<OpId::tanh, tangent>, "hyperbolic tangent");
    add("erf", {{"x"}}, unary<OpId::erf, error_function>, "error function");
    add("max", {{"a"}, {"b"}}, extremum<OpId::max>, "the larger; at a tie the derivative is b's");
    add("min", {{"a"}, {"b"}}, extremum<OpId::min>, "the smaller; at a tie the derivative is b's");
    add("where", {{"c"}, {"a"}, {"b"}}, where, "a where c holds, b elsewhere");
    add("cast", {{"x"}, {"dtype"}}, cast, "conversion to another dtype");
    add("stop_gradient", {{"x"}}, stop_gradient, "x, but no gradient flows through");
    add("random_uniform", {{"like"}}, random<OpId::random_uniform>,
        "uniform in [0, 1), in the shape of a tensor or a list");
    add("random_normal", {{"like"}}, random<OpId::random_normal>,
        "standard normal, in the shape of a tensor or a list");
}

}  // namespace netc::frontend
