// links: passes backends ir
// Drawn functions compute the same with and without grouping, in rows and in batch lanes.

#include "passes/assign_layout.h"

#include "grouping_support.h"

using namespace netc;
using namespace netc::testing;

namespace {

// Grows a function by drawn operators over values of a few shapes.
class Drawn {
public:
    Drawn(Net& net, std::uint64_t seed) : net_(net), draws_(noise(4000, seed)) {
        images_.push_back(net.input("x", {batch(), 2, 6, 6}));
        rows_.push_back(net.input("r", {batch(), 8}));
        for (int i = 0; i < 14; ++i) grow(i);
        for (std::size_t i = 0; i < 3; ++i) {
            net.result("row" + std::to_string(i), pick(rows_));
        }
        net.result("image", pick(images_));
        std::vector<Value> last = rows_;
        Value total = net.builder.reduce_sum(last.back() * last.back(), {0, 1});
        net.result("total", total);
        update_weights();
    }

private:
    std::size_t below(std::size_t limit) {
        const double draw = (draws_[next_++ % draws_.size()] + 1) / 2;
        return std::min(limit - 1, static_cast<std::size_t>(draw * static_cast<double>(limit)));
    }
    Value pick(const std::vector<Value>& values) { return values[below(values.size())]; }

    void grow(int i) {
        GraphBuilder& g = net_.builder;
        const std::string name = "w" + std::to_string(i);
        const Shape row{batch(), 8}, image{batch(), 2, 6, 6};
        switch (below(11)) {
            case 0: rows_.push_back(g.unary(OpId::tanh, pick(rows_))); break;
            case 1: rows_.push_back(pick(rows_) + pick(rows_) * 0.5); break;
            case 2: {
                Value x = pick(rows_);
                Value w = net_.variable(name, {8, 8});
                Value y = g.einsum("bi,io->bo", x, w);
                weights_.push_back(
                    {static_cast<VariableId>(net_.module.variables.size() - 1), w, x, y});
                rows_.push_back(y * 0.3);
                break;
            }
            case 3: {
                Value x = pick(rows_);
                Value m = g.reduce_max(x, {1}, true);
                Value e = g.unary(OpId::exp, x - g.broadcast(m, row));
                rows_.push_back(e / g.broadcast(g.reduce_sum(e, {1}, true), row));
                break;
            }
            case 4: {
                Value x = pick(rows_);
                Value mean = g.reduce_sum(x, {0}, true) * 0.1;
                rows_.push_back(x - g.broadcast(mean, row));
                break;
            }
            case 5: images_.push_back(g.unary(OpId::tanh, pick(images_))); break;
            case 6: images_.push_back(pick(images_) - pick(images_)); break;
            case 7: {
                Value w = net_.variable(name, {2, 2, 3, 3});
                images_.push_back(g.unary(OpId::tanh, net_.conv(pick(images_), w, 1)));
                break;
            }
            case 8: {
                Value w = net_.variable(name, {2, 2, 3, 3});
                Value t = g.unary(OpId::tanh, net_.conv(pick(images_), w, 1));
                images_.push_back(t);
                Value p = net_.pool(t, below(2) == 0 ? "max" : "sum", 3, 3);  // [B, 2, 2, 2]
                rows_.push_back(g.reshape(p * 0.2, row));
                break;
            }
            case 9: {
                Value s = g.reduce_sum(pick(images_), {2, 3});  // [B, 2]
                Value wide = g.broadcast(g.reshape(s, {batch(), 2, 1}), {batch(), 2, 4});
                rows_.push_back(g.reshape(wide, row) * 0.05);
                break;
            }
            case 10: {
                Value flat = g.reshape(pick(images_), {batch(), 72});
                Value w = net_.variable(name, {8, 72});
                rows_.push_back(g.einsum("bi,oi->bo", flat, w) * 0.1);
                break;
            }
            default: break;
        }
    }

    // As training does: a gradient, then the weight in place.
    void update_weights() {
        GraphBuilder& g = net_.builder;
        for (const Used& used : weights_) {
            Value gradient = g.einsum("bi,bo->io", used.x, used.y);
            net_.update(used.id, used.w - gradient * 0.01);
        }
    }

    struct Used {
        VariableId id;
        Value w, x, y;
    };
    Net& net_;
    std::vector<double> draws_;
    std::size_t next_ = 0;
    std::vector<Value> rows_, images_;
    std::vector<Used> weights_;
};

void copy_variables(const Module& from, Module& to) {
    for (const Variable& v : from.variables) {
        Variable copy;
        copy.name = v.name;
        copy.type = v.type;
        copy.kind = v.kind;
        to.variables.push_back(std::move(copy));
    }
}

}  // namespace

TEST_CASE("grouping: drawn functions keep their values, in every layout") {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        INFO("seed " << seed);
        Net net;
        Drawn drawn(net, seed);
        const Outcome plain3 = outcome(net.module, 3), plain17 = outcome(net.module, 17);
        for (LayoutChoice choice :
             {LayoutChoice::rows, LayoutChoice::lanes, LayoutChoice::channels}) {
            INFO("layout " << static_cast<int>(choice));
            Module grouped;
            copy_variables(net.module, grouped);
            grouped.functions = net.module.functions;
            assign_layout(grouped.functions[0], 16, choice);
            group_all(grouped.functions[0]);
            check_equal(plain3, outcome(grouped, 3));
            check_equal(plain17, outcome(grouped, 17));
        }
    }
}

TEST_CASE("assign_layout: small convolutions take lanes, wide layers take rows") {
    Net lenet;
    Value x = lenet.input("x", {batch(), 1, 28, 28});
    Value w = lenet.variable("w", {6, 1, 5, 5});
    Value c = lenet.builder.unary(OpId::tanh, lenet.conv(x, w, 2));
    lenet.result("y", lenet.builder.reduce_sum(c, {1, 2, 3}));
    SECTION("at a batch of 64") {
        const std::string report = assign_layout(lenet.function(), 64);
        INFO(report);
        CHECK(report.find("batch lanes") != std::string::npos);
    }
    SECTION("at a batch of 1") {
        CHECK(assign_layout(lenet.function(), 1).find("row-major") != std::string::npos);
    }
    SECTION("a wide layer, and its input gradient wants the weight transposed") {
        Net mlp;
        Value h = mlp.input("h", {batch(), 512});
        Value dy = mlp.input("dy", {batch(), 512});
        Value v = mlp.variable("v", {512, 512});
        mlp.result("y", mlp.builder.einsum("bi,io->bo", h, v));
        mlp.result("dx", mlp.builder.einsum("bo,io->bi", dy, v));
        mlp.function().name = "gradient";  // in `forward`, `prepare` would lay out both
        CHECK(assign_layout(mlp.function(), 64).find("row-major") != std::string::npos);
        const std::vector<Node>& nodes = mlp.function().nodes;
        const auto copies = std::count_if(nodes.begin(), nodes.end(),
                                          [](const Node& n) { return n.op == OpId::copy; });
        CHECK(copies == 1);
    }
}
