// links: passes backends ir
// Sums over the same axes become one stage with a state each, where that saves reading and nothing waits.

#include <functional>

#include "grouping_support.h"

using namespace netc;
using namespace netc::testing;

namespace {

struct Images {
    Net net;
    const Shape shape{batch(), 40, 6};
    Value x = net.input("x", shape), y = net.input("y", shape);

    Value sum(Value v, std::vector<std::int64_t> axes = {0, 2}) {
        return net.builder.reduce_sum(v, std::move(axes));
    }
    Value along(Value v) { return net.builder.broadcast(net.builder.reshape(v, {40, 1}), shape); }
};

struct Case {
    const char* name;
    std::function<std::vector<Value>(Images&)> make;
    std::vector<std::size_t> states;  // of each stage with a reduction, in all kernels
};

const Case kCases[] = {
    {"two sums that share an operand",
     [](Images& i) { return std::vector{i.sum(i.x), i.sum(i.x * i.y)}; },
     {2}},
    {"three",
     [](Images& i) { return std::vector{i.sum(i.x), i.sum(i.x * i.x), i.sum(i.x * i.y)}; },
     {3}},
    {"a third that waits for the first",
     [](Images& i) {
         const Value first = i.sum(i.x);
         return std::vector{first, i.sum(i.x * i.y), i.sum(i.x * i.along(first))};
     },
     {1, 2}},
    {"both wait for a third",
     [](Images& i) {
         const Value d = i.x - i.along(i.sum(i.x));
         return std::vector{i.sum(d * d), i.sum(d * i.y)};
     },
     {1, 2}},
    {"operands that have nothing in common",
     [](Images& i) { return std::vector{i.sum(i.x), i.sum(i.y)}; },
     {1, 1}},
    {"other axes", [](Images& i) { return std::vector{i.sum(i.x), i.sum(i.x, {0, 1})}; }, {1, 1}},
    {"a maximum and a sum",
     [](Images& i) { return std::vector{i.sum(i.x), i.net.builder.reduce_max(i.x, {0, 2})}; },
     {2}},
};

}  // namespace

TEST_CASE("siblings: stages and their states") {
    for (const Case& c : kCases) {
        INFO(c.name);
        Images images;
        const std::vector<Value> results = c.make(images);
        for (std::size_t k = 0; k < results.size(); ++k)
            images.net.result("r" + std::to_string(k), results[k]);
        check_grouping_keeps(images.net.module);
        Function grouped = images.net.function();
        group_all(grouped);
        std::vector<std::size_t> states;
        for (const LoweredCall& call : lowered(grouped).calls) {
            for (const Stage& stage : call.kernel.stages) {
                if (stage.reduction) states.push_back(stage.reduction->states.size());
            }
        }
        CHECK(states == c.states);
    }
}
