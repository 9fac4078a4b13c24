// links: passes backends ir
// No two buffers that live at the same time overlap, for any batch.

#include "passes/plan_memory.h"

#include "grouping_support.h"

using namespace netc;
using namespace netc::testing;

namespace {

void check_apart(const std::vector<ArenaValue>& values, const Bytes& workspace) {
    for (std::int64_t b : {1, 2, 15, 16, 17, 64, 100}) {
        for (std::size_t i = 0; i < values.size(); ++i) {
            const ArenaValue& a = values[i];
            CHECK(a.offset.at(b) % kAlignment == 0);
            CHECK(a.offset.at(b) + a.size.at(b) <= workspace.at(b));
            for (std::size_t k = 0; k < i; ++k) {
                const ArenaValue& c = values[k];
                if (a.last < c.first || c.last < a.first) continue;
                if (a.over == k || c.over == i) {  // written by the last reader
                    CHECK(a.offset == c.offset);
                    CHECK(a.size == c.size);
                    CHECK((a.over == k ? c.last == a.first : a.last == c.first));
                    continue;
                }
                const bool apart = a.offset.at(b) + a.size.at(b) <= c.offset.at(b) ||
                                   c.offset.at(b) + c.size.at(b) <= a.offset.at(b);
                INFO("values " << k << " and " << i << " at batch " << b);
                CHECK(apart);
            }
        }
    }
}

}  // namespace

TEST_CASE("plan_memory: drawn lives and sizes never overlap") {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        const std::vector<double> draws = noise(120, seed);
        std::vector<ArenaValue> values;
        for (std::size_t i = 0; i + 3 <= draws.size(); i += 3) {
            ArenaValue value;
            value.value = NodeId{static_cast<std::uint32_t>(i)};
            value.first = static_cast<std::size_t>((draws[i] + 1) * 20);
            value.last = value.first + static_cast<std::size_t>((draws[i + 1] + 1) * 5);
            const auto units = 1 + static_cast<std::int64_t>((draws[i + 2] + 1) * 30);
            (i % 2 == 0 ? value.size.constant : value.size.per_16) = units * kAlignment;
            values.push_back(value);
        }
        const Bytes workspace = place_values(values);
        check_apart(values, workspace);
    }
}

TEST_CASE("plan_memory: a chain needs two buffers, and the peak has a reason") {
    Net net;
    Value x = net.input("x", {batch(), 8});
    for (int i = 0; i < 5; ++i) {
        const std::string name = "w" + std::to_string(i);
        x = net.builder.einsum("bi,io->bo", x, net.variable(name, {8, 8}));
    }
    net.result("y", x);
    const Lowered l = lowered(net.function());
    const MemoryPlan plan = plan_memory(l, 64);
    check_apart(plan.values, plan.workspace);
    CHECK(plan.values.size() == 4);
    CHECK(plan.workspace == Bytes{0, 2 * 16 * 8 * 4, 0});
    CHECK(plan.peak == 2 * 64 * 8 * 4);
    CHECK(plan.peak_reason.find("einsum") != std::string::npos);
}

TEST_CASE("plan_memory: an elementwise result lies over its operand that dies") {
    // Ungrouped, so that each is a kernel of its own.
    Net net;
    Value x = net.input("x", {batch(), 8});
    Value a = net.builder.einsum("bi,io->bo", x, net.variable("w", {8, 8}));
    Value b = net.builder.unary(OpId::tanh, a);  // over a
    Value c = b * b;                             // over b: read twice, but at the same place
    Value d = net.builder.permute(net.builder.unary(OpId::exp, c), {1, 0});
    Value e = net.builder.einsum("ob,bi->oi", d, x);
    Value kept = net.builder.unary(OpId::sin, e);  // e lives on: apart
    net.result("y", net.builder.einsum("oi,oi->oi", kept, e));
    const Lowered l = lowered(net.function());
    const MemoryPlan plan = plan_memory(l, 64);
    check_apart(plan.values, plan.workspace);
    const auto value_of = [&](Value value) -> const ArenaValue* {
        for (const ArenaValue& each : plan.values) {
            if (each.value == value.id) return &each;
        }
        return nullptr;
    };
    REQUIRE(value_of(b) != nullptr);
    REQUIRE(value_of(b)->over.has_value());
    CHECK(plan.values[*value_of(b)->over].value == a.id);
    REQUIRE(value_of(c)->over.has_value());
    CHECK(plan.values[*value_of(c)->over].value == b.id);
    REQUIRE(value_of(kept) != nullptr);
    CHECK_FALSE(value_of(kept)->over.has_value());
}
