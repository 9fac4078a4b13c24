// links: passes backends ir
// Pooling that changed places with what stood before it keeps values and gradients, ties and NaN too.

#include <functional>

#include "grouping_support.h"
#include "passes/differentiate.h"
#include "passes/simplify.h"

using namespace netc;
using namespace netc::testing;

namespace {

using Integers = std::vector<std::int64_t>;

Value window(Net& net, Value x, const char* op, Integers size, Integers stride, Integers pad) {
    return net.builder.make(OpId::window, {x},
                            {{"op", std::string(op)},
                             {"size", std::move(size)},
                             {"stride", std::move(stride)},
                             {"pad", std::move(pad)}});
}

struct PoolingCase {
    const char* name;
    std::function<Value(Net&, Value)> make;  // from [B, 2, 7, 6]
    OpId last;                               // after simplify: the window where all stays
};

Value pointwise(Net& net, Value x) { return net.conv(x, net.variable("w", {3, 2, 1, 1}), 0); }

Value pointwise_with_bias(Net& net, Value x) {
    return net.bias(pointwise(net, x), net.variable("b", {3}), {3, 1, 1});
}

const PoolingCase kCases[] = {
    {"max of tanh",
     [](Net& n, Value x) {
         return window(n, n.builder.unary(OpId::tanh, x), "max", {2, 2}, {2, 2}, {0, 0});
     },
     OpId::tanh},
    {"max of exp, windows that overlap, padding",
     [](Net& n, Value x) {
         return window(n, n.builder.unary(OpId::exp, x), "max", {3, 3}, {2, 2}, {1, 1});
     },
     OpId::exp},
    {"max of relu",
     [](Net& n, Value x) {
         const Shape shape = x.type().shape;
         return window(n, n.builder.binary(OpId::max, x, n.builder.constant(0, DType::f32, shape)),
                       "max", {2, 3}, {2, 3}, {0, 0});
     },
     OpId::max},
    {"max of what is cut off above",
     [](Net& n, Value x) {
         const Shape shape = x.type().shape;
         return window(n,
                       n.builder.binary(OpId::min, x, n.builder.constant(0.2, DType::f32, shape)),
                       "max", {2, 2}, {2, 2}, {0, 0});
     },
     OpId::min},
    {"max of a sine stays",
     [](Net& n, Value x) {
         return window(n, n.builder.unary(OpId::sin, x), "max", {2, 2}, {2, 2}, {0, 0});
     },
     OpId::window},
    {"sum of tanh stays",
     [](Net& n, Value x) {
         return window(n, n.builder.unary(OpId::tanh, x), "sum", {2, 2}, {2, 2}, {0, 0});
     },
     OpId::window},
    {"sum of a 1x1 convolution, padding",
     [](Net& n, Value x) { return window(n, pointwise(n, x), "sum", {2, 2}, {2, 2}, {1, 1}); },
     OpId::conv_nd},
    {"sum of a 1x1 convolution and its bias",
     [](Net& n, Value x) {
         return window(n, pointwise_with_bias(n, x), "sum", {3, 3}, {2, 2}, {0, 0});
     },
     OpId::add},
    {"a bias under padding stays",
     [](Net& n, Value x) {
         return window(n, pointwise_with_bias(n, x), "sum", {2, 2}, {2, 2}, {1, 1});
     },
     OpId::window},
    {"a 1x1 convolution with as many results stays",
     [](Net& n, Value x) { return window(n, pointwise(n, x), "sum", {3, 3}, {1, 1}, {0, 0}); },
     OpId::window},
    {"sum of sums, with a factor between",
     [](Net& n, Value x) {
         return window(n, window(n, x, "sum", {2, 2}, {2, 2}, {0, 0}) * 0.3, "sum", {2, 3}, {1, 3},
                       {0, 0});
     },
     OpId::mul},
    {"max of max along one axis",
     [](Net& n, Value x) {
         return window(n, window(n, x, "max", {1, 3}, {1, 2}, {0, 0}), "max", {1, 2}, {1, 1},
                       {0, 0});
     },
     OpId::window},
    {"max of max along two axes stays",
     [](Net& n, Value x) {
         return window(n, window(n, x, "max", {2, 2}, {2, 2}, {0, 0}), "max", {2, 2}, {1, 1},
                       {0, 0});
     },
     OpId::window},
};

// Values, and the gradients of every variable and of the input where it is real.
void build(Net& net, const PoolingCase& entry, bool ties) {
    const Shape shape{batch(), 2, 7, 6};
    Value x = net.input("x", shape, ties ? DType::i32 : DType::f32);
    if (ties) {
        // Small whole numbers, moved by something that is zero and has a gradient.
        Value p = net.variable("p", {2, 7, 6});
        Value zero = p - net.builder.unary(OpId::stop_gradient, p);
        x = (net.builder.cast(x, DType::f32) - 3.0) * 0.1 + net.builder.broadcast(zero, shape);
    }
    Value y = entry.make(net, x);
    net.result("y", y);
    Integers axes;
    for (std::size_t i = 0; i < y.type().rank(); ++i) axes.push_back(static_cast<std::int64_t>(i));
    net.result("loss", net.builder.reduce_sum(y * y * y + y * 0.7, axes));
}

void add_gradients(Net& net, bool ties) {
    Function& function = net.function();
    GradientRequest request{function.results[1].value, {}, {}};
    for (VariableId v = 0; v < net.module.variables.size(); ++v) request.variables.push_back(v);
    if (!ties) request.inputs.push_back(0);
    const Gradients gradients = differentiate(function, net.module.variables, request);
    for (std::size_t v = 0; v < gradients.variables.size(); ++v) {
        function.results.push_back({"d" + std::to_string(v), gradients.variables[v], {}, {}});
    }
    if (!ties) function.results.push_back({"dx", gradients.inputs[0], {}, {}});
    remove_stop_gradients(function);
}

}  // namespace

TEST_CASE("values and gradients stay") {
    for (const PoolingCase& entry : kCases) {
        for (const bool ties : {false, true}) {
            INFO(entry.name << (ties ? ", ties" : ""));
            Net plain, simple;
            build(plain, entry, ties);
            build(simple, entry, ties);
            simplify(simple.function());
            const Function& function = simple.function();
            CHECK(function[function.results[0].value].op == entry.last);
            add_gradients(plain, ties);
            add_gradients(simple, ties);
            simplify(simple.function());
            for (std::int64_t b : {1, 5}) {
                check_equal(outcome(plain.module, b), outcome(simple.module, b));
            }
        }
    }
}

TEST_CASE("what others read as well stays in its place") {
    Net net;
    Value x = net.input("x", {batch(), 2, 6, 6});
    Value t = net.builder.unary(OpId::tanh, x);
    net.result("t", t);
    net.result("y", net.pool(t, "max", 2, 2));
    simplify(net.function());
    CHECK(net.function()[net.function().results[1].value].op == OpId::window);
}

TEST_CASE("a NaN among the arguments is the maximum before and after") {
    for (const bool simplified : {false, true}) {
        Net net;
        Value x = net.input("x", {batch(), 1, 2, 2});
        const Value zero = net.builder.constant(0, DType::f32, {batch(), 1, 2, 2});
        net.result("y", net.pool(net.builder.binary(OpId::max, x, zero), "max", 2, 2));
        if (simplified) simplify(net.function());
        Result<Program> program = lower_module(net.module, 1);
        REQUIRE(program.ok());
        Result<Interpretation> run = Interpretation::make(*program);
        REQUIRE(run.ok());
        const double values[] = {1, 2, std::nan(""), -1};
        REQUIRE(run->set_input("forward", "x", values).ok());
        REQUIRE(run->run("forward", 1).ok());
        CHECK(std::isnan((*run->output("forward", "y"))[0]));
    }
}
