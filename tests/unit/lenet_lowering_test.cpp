// links: passes backends ir
// LeNet-5's training step, hand-made, from graph to kernels: one kernel a layer forward, with the
// pooling inside, and the optimizer inside the kernels that make the gradients.

#include <cstdlib>
#include <iostream>

#include "grouping_support.h"
#include "passes/assign_layout.h"
#include "passes/differentiate.h"
#include "passes/plan_memory.h"
#include "passes/simplify.h"

using namespace netc;
using namespace netc::testing;

namespace {

struct LeNet : Net {
    Value x, y, logits, loss;

    explicit LeNet(bool training) : Net(training ? "train_step" : "forward") {
        x = input("x", {batch(), 1, 28, 28});
        Value h = layer(x, "conv_1", 6, 1, 2);
        h = layer(h, "conv_2", 16, 6, 0);
        h = builder.reshape(h, {batch(), 400});
        h = builder.unary(OpId::tanh, dense(h, "linear_1", 400, 120));
        h = builder.unary(OpId::tanh, dense(h, "linear_2", 120, 84));
        logits = dense(h, "linear_3", 84, 10);
        if (training) {
            train();
        } else {
            result("out", logits);
        }
        simplify(function());
    }

    Value layer(Value in, const std::string& name, std::int64_t out, std::int64_t from,
                std::int64_t pad) {
        Value w = variable(name + ".weight", {out, from, 5, 5});
        Value b = variable(name + ".bias", {out});
        Value c = builder.unary(OpId::tanh, bias(conv(in, w, pad), b, {1, out, 1, 1}));
        return pool(c, "sum", 2, 2) * 0.25;
    }
    Value dense(Value in, const std::string& name, std::int64_t from, std::int64_t to) {
        Value w = variable(name + ".weight", {from, to});
        Value b = variable(name + ".bias", {to});
        Value c = builder.einsum("bi,io->bo", in, w);
        return c + builder.broadcast(b, {batch(), to});
    }

    // log_softmax, one-hot, mean: as std.net's cross_entropy; then sgd with momentum.
    void train() {
        GraphBuilder& g = builder;
        y = input("y", {batch()}, DType::i32);
        const Shape shape{batch(), 10};
        Value m = g.unary(OpId::stop_gradient, g.reduce_max(logits, {1}, true));
        Value shifted = logits - g.broadcast(m, shape);
        Value sum = g.reduce_sum(g.unary(OpId::exp, shifted), {1}, true);
        Value log_softmax = shifted - g.broadcast(g.unary(OpId::log, sum), shape);
        Value label = g.broadcast(g.reshape(y, {batch(), 1}), shape);
        Value hot = g.binary(OpId::equal, g.iota({DType::i32, shape}, 1), label);
        Value picked = g.reduce_sum(g.cast(hot, DType::f32) * log_softmax, {1});
        Value total = g.reduce_sum(picked, {0});
        loss = -(total / g.extent(batch(), DType::f32));
        result("loss", loss);
        std::vector<VariableId> wanted;
        for (VariableId id = 0; id < module.variables.size(); ++id) wanted.push_back(id);
        const Gradients gradients =
            differentiate(function(), module.variables, {loss.id, wanted, {}});
        for (VariableId id : wanted) {
            const Shape kept = module.variables[id].type.shape;
            Value w = g.variable(id, module.variables[id].type);
            Value v = variable(module.variables[id].name + ":v", kept, VariableKind::slot);
            Value next = v * 0.9 + Value{&g, gradients.variables[id]};
            update(static_cast<VariableId>(module.variables.size() - 1), next);
            update(id, w - next * 0.05);
        }
        remove_stop_gradients(function());
    }
};

std::string texts(const Lowered& l) {
    std::string text;
    for (const LoweredCall& call : l.calls) text += call.label + "\n" + to_text(call.kernel);
    return text;
}

}  // namespace

TEST_CASE("LeNet-5 forward: a kernel a layer, nothing of unpooled size in memory") {
    LeNet net(false);
    check_grouping_keeps(net.module);
    group_all(net.function());
    const Lowered l = lowered(net.function());
    INFO(texts(l));
    CHECK(l.calls.size() == 5);
    const MemoryPlan plan = plan_memory(l, 64);
    for (const ArenaValue& value : plan.values) {
        CHECK(value.size.per_16 <= 16 * 6 * 14 * 14 * 4);
    }
}

TEST_CASE("LeNet-5 training: grouping and lanes keep the step") {
    LeNet net(true);
    const Outcome plain = outcome(net.module, 3);
    LeNet other(true);
    const std::string report = assign_layout(other.function(), 64);
    group_all(other.function());
    check_equal(plain, outcome(other.module, 3));
    const Lowered l = lowered(other.function());
    if (std::getenv("NETC_SHOW") != nullptr) {
        std::cout << report << texts(l) << plan_memory(l, 64).peak_reason << "\n";
    }
    CHECK(report.find("batch lanes") != std::string::npos);
    CHECK(l.calls.size() <= 26);
}
