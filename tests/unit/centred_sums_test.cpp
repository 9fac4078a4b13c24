// links: passes backends ir
// Sums of terms of which all but one are centred keep their values without these terms.

#include <functional>

#include "grouping_support.h"
#include "passes/centred_sums.h"

using namespace netc;
using namespace netc::testing;

namespace {

using Integers = std::vector<std::int64_t>;

constexpr std::int64_t kChannels = 3, kPlaces = 8;

// x, g: [B, 3, 8]; a, b: [3], broadcast; sums are over all but the channels.
struct Terms {
    Net net;
    const Shape shape{batch(), kChannels, kPlaces};
    const Integers axes{0, 2};
    Value x = net.input("x", shape), g = net.input("g", shape);
    Value a = along(net.variable("a", {kChannels})), b = along(net.variable("b", {kChannels}));

    Value along(Value v) {
        return net.builder.broadcast(net.builder.reshape(v, {1, kChannels, 1}), shape);
    }
    Value sum(Value v) { return net.builder.reduce_sum(v, axes); }
    Value centred(Value v) {
        const Value s = sum(v);
        const Value n = net.builder.extent(batch() * Dim(kPlaces), DType::f32);
        return v - along(s / net.builder.broadcast(n, s.type().shape));
    }
};

struct Case {
    const char* name;
    std::function<Value(Terms&)> make;
    std::size_t sums;  // that the result waits for
};

const Case kCases[] = {
    {"gradient of a normalisation",
     [](Terms& t) {
         const Value d = t.centred(t.x);
         return t.sum(-(t.g * t.a + t.b * d + t.b * d));
     },
     1},
    {"divisors, differences and products the other way round",
     [](Terms& t) { return t.sum(t.centred(t.x) / t.b - t.a * (t.g / t.b)); }, 1},
    {"two terms that are not centred stay",
     [](Terms& t) { return t.sum(t.g * t.a + t.x + t.centred(t.x)); }, 2},
    {"what is centred along another axis stays",
     [](Terms& t) {
         const Value s = t.net.builder.reduce_sum(t.x, {2}, true);
         return t.sum(t.g + (t.x - t.net.builder.broadcast(s / 8.0, t.shape)));
     },
     2},
    {"a factor that differs along an axis stays",
     [](Terms& t) { return t.sum(t.g + t.centred(t.x) * t.g); }, 2},
    {"a divisor that is no count stays",
     [](Terms& t) { return t.sum(t.g + (t.x - t.along(t.sum(t.x) / 5.0))); }, 2},
    {"a centred value alone stays", [](Terms& t) { return t.sum(t.centred(t.x) * t.a); }, 2},
};

}  // namespace

TEST_CASE("centred_sums: values stay, and what waits for nothing else") {
    for (const Case& c : kCases) {
        INFO(c.name);
        Terms terms;
        terms.net.result("y", c.make(terms));
        const Outcome before = outcome(terms.net.module, 5);
        centred_sums(terms.net.function());
        check_equal(before, outcome(terms.net.module, 5));
        const auto sums = std::ranges::count_if(terms.net.function().nodes, [](const Node& node) {
            return node.op == OpId::reduce_sum;
        });
        CHECK(static_cast<std::size_t>(sums) == c.sums);
    }
}
