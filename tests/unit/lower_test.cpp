// links: passes backends ir
// From grouped functions to kernels: what becomes one kernel, and that grouping keeps every value.

#include "grouping_support.h"

using namespace netc;
using namespace netc::testing;

namespace {

std::string texts(const Lowered& l) {
    std::string text;
    for (const LoweredCall& call : l.calls) text += call.label + "\n" + to_text(call.kernel);
    return text;
}

Value softmax_parts(Net& net, Value logits, Value& log_sum) {
    GraphBuilder& g = net.builder;
    const Shape shape = logits.type().shape;
    Value m = g.reduce_max(logits, {1}, true);
    Value shifted = logits - g.broadcast(m, shape);
    Value e = g.unary(OpId::exp, shifted);
    Value s = g.reduce_sum(e, {1}, true);
    log_sum = g.unary(OpId::log, s) + m;
    return e / g.broadcast(s, shape);
}

}  // namespace

TEST_CASE("lower: dense, bias and relu are one kernel") {
    Net net;
    GraphBuilder& g = net.builder;
    Value x = net.input("x", {batch(), 12});
    Value w = net.variable("w", {12, 20});
    Value b = net.variable("b", {20});
    Value c = g.einsum("bi,io->bo", x, w);
    Value z = c + g.broadcast(b, {batch(), 20});
    Value y = g.binary(OpId::max, z, g.constant(0.0, DType::f32, {batch(), 20}));
    net.result("y", y);
    check_grouping_keeps(net.module);
    group_all(net.function());
    const Lowered l = lowered(net.function());
    INFO(texts(l));
    REQUIRE(l.calls.size() == 1);
    CHECK(l.calls[0].kernel.stages.size() == 1);
    CHECK(l.calls[0].kernel.params.size() == 4);
}

TEST_CASE("lower: convolution, tanh and mean pooling are one kernel") {
    Net net;
    Value x = net.input("x", {batch(), 1, 12, 12});
    Value w = net.variable("w", {6, 1, 5, 5});
    Value b = net.variable("b", {6});
    Value c = net.bias(net.conv(x, w, 2), b, {6, 1, 1});
    Value t = net.builder.unary(OpId::tanh, c);
    Value p = net.pool(t, "sum", 2, 2) * 0.25;
    net.result("p", p);
    SECTION("inference: the unpooled tensor is a local only") {
        check_grouping_keeps(net.module);
        group_all(net.function());
        const Lowered l = lowered(net.function());
        INFO(texts(l));
        REQUIRE(l.calls.size() == 1);
        CHECK(l.calls[0].kernel.stages.size() == 2);
        CHECK(l.calls[0].kernel.locals.size() == 1);
    }
    SECTION("training: it is stored beside") {
        net.result("t", t);
        check_grouping_keeps(net.module);
        group_all(net.function());
        const Lowered l = lowered(net.function());
        INFO(texts(l));
        REQUIRE(l.calls.size() == 1);
        CHECK(l.calls[0].kernel.stages[0].stores.size() == 2);
    }
    SECTION("overlapping windows are a kernel of their own") {
        net.function().results.clear();
        net.result("q", net.pool(t, "max", 3, 2));
        check_grouping_keeps(net.module);
        group_all(net.function());
        CHECK(lowered(net.function()).calls.size() == 2);
    }
}

TEST_CASE("lower: softmax with cross entropy and its gradient is one kernel") {
    Net net;
    GraphBuilder& g = net.builder;
    Value x = net.input("x", {batch(), 10});
    Value y = net.input("y", {batch()}, DType::i32);
    Value log_sum;
    Value p = softmax_parts(net, x, log_sum);
    Value classes = g.iota({DType::i32, {batch(), 10}}, 1);
    Value label = g.broadcast(g.reshape(y, {batch(), 1}), {batch(), 10});
    Value hot = g.cast(g.binary(OpId::equal, classes, label), DType::f32);
    Value picked = g.reduce_sum(x * hot, {1}, true);
    Value loss = g.reshape(log_sum - picked, {batch()});
    Value d = p - hot;
    net.result("loss", loss * 1.0 + 0.5);
    net.result("d", d);
    check_grouping_keeps(net.module);
    group_all(net.function());
    const Lowered l = lowered(net.function());
    INFO(texts(l));
    CHECK(l.calls.size() == 1);
    Result<Program> program = lower_module(net.module, 64);
    REQUIRE(program.ok());
    REQUIRE(program->entries[0].index_ranges.size() == 1);
    CHECK(program->entries[0].index_ranges[0].limit == 10);
}

TEST_CASE("lower: columns of one input have ranges of their own") {
    Net net("evaluate");
    GraphBuilder& g = net.builder;
    Value y = net.input("y", {batch(), 3}, DType::i32);
    const auto hot = [&](std::int64_t column, std::int64_t classes) {
        Value classes_of = g.iota({DType::i32, {batch(), classes}}, 1);
        Value own = g.make(OpId::slice, {y},
                           {{"starts", std::vector<std::int64_t>{0, column}},
                            {"stops", std::vector<std::int64_t>{-1, column + 1}}});
        Value label = g.broadcast(own, {batch(), classes});
        return g.cast(g.binary(OpId::equal, classes_of, label), DType::f32);
    };
    net.result("a", hot(0, 10));
    net.result("b", hot(2, 4));
    group_all(net.function());
    Result<Program> program = lower_module(net.module, 64);
    REQUIRE(program.ok());
    const auto& ranges = program->entries[0].index_ranges;
    REQUIRE(ranges.size() == 2);
    const auto limit_of = [&](std::int64_t element) {
        std::int64_t limit = 0;
        for (const auto& range : ranges) limit += range.covers(element) ? range.limit : 0;
        return limit;
    };
    // Of the second sample.
    CHECK(limit_of(3) == 10);
    CHECK(limit_of(4) == 0);
    CHECK(limit_of(5) == 4);
    CHECK(program->entries[0].least_limit(0) == 4);
}

TEST_CASE("lower: a cast that saturates lets every index through") {
    Net net("evaluate");
    GraphBuilder& g = net.builder;
    Value y = net.input("y", {batch()}, DType::i64);
    Value label = g.broadcast(g.reshape(g.cast(y, DType::i32), {batch(), 1}), {batch(), 10});
    net.result("hot", g.cast(g.binary(OpId::equal, g.iota({DType::i32, {batch(), 10}}, 1), label),
                             DType::f32));
    group_all(net.function());
    Result<Program> program = lower_module(net.module, 64);
    REQUIRE(program.ok());
    REQUIRE(program->entries[0].index_ranges.size() == 1);
    CHECK(program->entries[0].index_ranges[0].limit == 10);
}

TEST_CASE("lower: of labels, one value may be no class") {
    const auto ranges = [](bool again) {
        Net net("evaluate");
        GraphBuilder& g = net.builder;
        Value x = net.input("x", {batch(), 10});
        Value y = net.input("y", {batch()}, DType::i32);
        Value ignored =
            g.binary(OpId::equal, y, g.broadcast(g.constant(255, DType::i32), {batch()}));
        Value zero = g.broadcast(g.constant(0, DType::i32), {batch()});
        const auto hot = [&](Value labels) {
            Value classes = g.iota({DType::i32, {batch(), 10}}, 1);
            Value label = g.broadcast(g.reshape(labels, {batch(), 1}), {batch(), 10});
            return g.cast(g.binary(OpId::equal, classes, label), DType::f32);
        };
        net.result("loss", g.reduce_sum(x * hot(g.select(ignored, zero, y)), {1}));
        if (again) net.result("table", hot(y));
        group_all(net.function());
        Result<Program> program = lower_module(net.module, 64);
        REQUIRE(program.ok());
        REQUIRE(program->entries[0].index_ranges.size() == 1);
        return program->entries[0].index_ranges[0];
    };
    CHECK(ranges(false).limit == 10);
    CHECK(ranges(false).ignored == 255);
    // Another use takes every label.
    CHECK(ranges(true).limit == 10);
    CHECK(ranges(true).ignored == 0);
}

TEST_CASE("lower: Adam joins the weight gradient, after the last reader of the weights") {
    Net net("train_step");
    GraphBuilder& g = net.builder;
    Value x = net.input("x", {batch(), 12});
    Value dy = net.input("dy", {batch(), 20});
    Value w = net.variable("w", {12, 20});
    Value m = net.variable("w:m", {12, 20}, VariableKind::slot);
    Value v = net.variable("w:v", {12, 20}, VariableKind::slot);
    Value gradient = g.einsum("bi,bo->io", x, dy);
    Value m2 = 0.9 * m + 0.1 * gradient;
    Value v2 = 0.99 * v + 0.01 * (gradient * gradient);
    Value w2 = w - 0.001 * (m2 / (g.unary(OpId::sqrt, v2) + 1e-8));
    Value dx = g.einsum("bo,io->bi", dy, w);
    net.update(0, w2);
    net.update(1, m2);
    net.update(2, v2);
    net.result("dx", dx);
    check_grouping_keeps(net.module);
    group_all(net.function());
    const Lowered l = lowered(net.function());
    INFO(texts(l));
    REQUIRE(l.calls.size() == 2);
    CHECK(l.calls[1].kernel.stages[0].stores.size() == 3);
    CHECK(l.calls[1].kernel.params.size() == 5);
}

TEST_CASE("lower: layer normalisation and batch normalisation are one kernel each") {
    Net net;
    GraphBuilder& g = net.builder;
    const bool over_batch = GENERATE(false, true);
    const Shape shape{batch(), 32, 3, 3};
    const std::vector<std::int64_t> axes =
        over_batch ? std::vector<std::int64_t>{0, 2, 3} : std::vector<std::int64_t>{1, 2, 3};
    Value x = net.input("x", shape);
    Value sum = g.reduce_sum(x, axes, true);
    const Shape kept = sum.type().shape;
    Value count = g.broadcast(g.extent(over_batch ? batch() * 9 : Dim(288), DType::f32), kept);
    Value mean = sum / count;
    Value centred = x - g.broadcast(mean, shape);
    Value variance = g.reduce_sum(centred * centred, axes, true) / count;
    Value root = g.unary(OpId::sqrt, variance + 1e-5);
    net.result("y", centred / g.broadcast(root, shape));
    check_grouping_keeps(net.module);
    group_all(net.function());
    const Lowered l = lowered(net.function());
    INFO(texts(l));
    CHECK(l.calls.size() == 1);
}
