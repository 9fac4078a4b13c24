// links: ir
// Every record of the table: complete, its samples well typed, its lowering in bounds, its gradient
// equal to central differences in double precision.
#include <catch2/catch.hpp>

#include <map>
#include <set>

#include "op_table.h"

using namespace netc;
using namespace netc::test;

namespace {

std::string describe(OpId op, const Sample& sample) {
    std::string text(name_of(op));
    for (const Type& type : sample.inputs) text += " " + type.to_string();
    return text;
}

std::vector<Sample> samples_of(OpId op) {
    return op_def(op).samples != nullptr ? op_def(op).samples() : std::vector<Sample>{};
}

std::vector<Tensor> inputs_of(const Sample& sample, std::int64_t batch) {
    std::vector<Tensor> inputs;
    for (std::size_t k = 0; k < sample.inputs.size(); ++k) {
        inputs.push_back(
            random_tensor(sample.inputs[k], sample, batch, static_cast<std::uint32_t>(k)));
    }
    return inputs;
}

double weighted(const Tensor& y, const Tensor& weights) {
    double sum = 0;
    for (std::size_t i = 0; i < y.cells.size(); ++i) {
        sum += y.cells[i].number * weights.cells[i].number;
    }
    return sum;
}

}  // namespace

TEST_CASE("records are complete") {
    std::set<std::string_view> names;
    for (const OpId op : all_ops()) {
        const OpDef& def = op_def(op);
        INFO(def.name);
        CHECK(names.insert(def.name).second);
        CHECK(find_op(def.name) == op);
        CHECK(!def.doc.empty());
        CHECK(def.infer != nullptr);
        const bool buffer = op == OpId::input || op == OpId::variable || op == OpId::hyper;
        const bool loop = def.family == OpFamily::loop;  // made of its body's kernels
        CHECK((def.lower == nullptr) == (buffer || loop));
        CHECK(samples_of(op).empty() == (buffer || loop));
        for (const AttributeSpec& attribute : def.attributes) CHECK(!attribute.doc.empty());
    }
#define NETC_OP(id, record) CHECK(op_def(OpId::id).name == #id);
#include "ir/ops.def"
#undef NETC_OP
}

TEST_CASE("samples are well typed and lower in bounds") {
    for (const OpId op : all_ops()) {
        for (const Sample& sample : samples_of(op)) {
            INFO(describe(op, sample));
            const Result<Function> function = function_of(op, sample);
            if (!function) FAIL(function.error().message);
            for (const std::int64_t batch : {1, 5}) {
                const std::vector<Tensor> inputs = inputs_of(sample, batch);
                std::string problem;
                const Tensor y = evaluate(*function, inputs, batch, problem).back();
                CHECK(problem == "");
                // Merging two halves of each reduction gives the same up to rounding.
                const Tensor merged = evaluate(*function, inputs, batch, problem, true).back();
                for (std::size_t i = 0; i < y.cells.size(); ++i) {
                    CHECK(merged.cells[i].integer == y.cells[i].integer);
                    CHECK(merged.cells[i].number == Approx(y.cells[i].number).margin(1e-9));
                }
            }
        }
    }
}

TEST_CASE("gradients equal central differences") {
    constexpr std::int64_t kBatch = 3;
    for (const OpId op : all_ops()) {
        if (op_def(op).grad == nullptr) continue;
        for (const Sample& sample : samples_of(op)) {
            INFO(describe(op, sample));
            Result<Function> made = function_of(op, sample);
            REQUIRE(made.ok());
            Function& function = *made;
            const NodeId y = function.results[0].value;
            const Type type = function[y].type;
            if (!is_float(type.dtype)) continue;
            function.inputs.push_back({"dy", type, {}, {}});
            GraphBuilder graph(function);
            const Value dy = graph.input(static_cast<std::uint32_t>(function.inputs.size() - 1));
            std::vector<bool> wanted;
            for (const Type& input : sample.inputs) wanted.push_back(is_float(input.dtype));
            OneNodeGradient gradient(graph, y, dy, wanted);
            op_def(op).grad(gradient);

            std::vector<Tensor> inputs = inputs_of(sample, kBatch);
            const Sample weights{{type}, {}, -1, 1, 0};
            inputs.push_back(random_tensor(type, weights, kBatch, 99));
            std::string problem;
            const std::vector<Tensor> values = evaluate(function, inputs, kBatch, problem);
            REQUIRE(problem == "");
            for (std::size_t k = 0; k < sample.inputs.size(); ++k) {
                if (!wanted[k]) continue;
                REQUIRE(gradient.gradients[k].has_value());
                INFO("operand " << k);
                REQUIRE(gradient.gradients[k]->type() == sample.inputs[k]);
                const Tensor& found = values[gradient.gradients[k]->id.index];
                const Result<Function> forward = function_of(op, sample);
                // A few elements of each operand.
                const std::size_t count = inputs[k].cells.size();
                for (std::size_t i = 0; i < count; i += 1 + count / 7) {
                    const double step = 1e-6;
                    double slope = 0;
                    for (const double sign : {1.0, -1.0}) {
                        std::vector<Tensor> moved = inputs;
                        moved[k].cells[i].number += sign * step;
                        const Tensor out = evaluate(*forward, moved, kBatch, problem).back();
                        slope += sign * weighted(out, inputs.back()) / (2 * step);
                    }
                    INFO("element " << i);
                    CHECK(found.cells[i].number == Approx(slope).epsilon(1e-5).margin(1e-6));
                }
            }
        }
    }
}

TEST_CASE("equal elements: the conventions for derivatives") {
    Function function;
    const Type type{DType::f32, {4}};
    function.inputs = {{"a", type, {}, {}}, {"b", type, {}, {}}, {"dy", type, {}, {}}};
    GraphBuilder graph(function);
    const Value a = graph.input(0);
    const Value b = graph.input(1);
    const Value dy = graph.input(2);
    const auto tensor = [&](std::vector<double> values) {
        Tensor result = make_tensor(type, 1);
        for (std::size_t i = 0; i < values.size(); ++i) result.cells[i].number = values[i];
        return result;
    };
    const auto gradients = [&](OpId op) {
        const Value y = graph.binary(op, a, b);
        OneNodeGradient gradient(graph, y.id, dy, {true, true});
        op_def(op).grad(gradient);
        return std::pair(*gradient.gradients[0], *gradient.gradients[1]);
    };
    const auto max = gradients(OpId::max);
    const auto min = gradients(OpId::min);
    const Value absolute = graph.unary(OpId::abs, a);
    OneNodeGradient of_abs(graph, absolute.id, dy, {true});
    op_def(OpId::abs).grad(of_abs);

    std::string problem;
    const std::vector<Tensor> values = evaluate(
        function, {tensor({1, 0, -1, 2}), tensor({1, 0, 0, 1}), tensor({1, 2, 3, 4})}, 1, problem);
    const auto check = [&](Value value, std::vector<double> wanted) {
        for (std::size_t i = 0; i < wanted.size(); ++i) {
            CHECK(values[value.id.index].cells[i].number == wanted[i]);
        }
    };
    check(max.first, {0, 0, 0, 4});
    check(max.second, {1, 2, 3, 0});
    check(min.first, {0, 0, 3, 0});
    check(min.second, {1, 2, 0, 4});
    check(*of_abs.gradients[0], {1, 0, -3, 4});
}

TEST_CASE("the first of equal maxima takes the gradient") {
    Function function;
    const Type type{DType::f32, {2, 3}};
    function.inputs = {{"x", type, {}, {}}};
    GraphBuilder graph(function);
    const Value x = graph.input(0);
    const auto gradient_of = [&](Value y) {
        const Value dy = graph.constant(1, DType::f32, y.type().shape);
        OneNodeGradient gradient(graph, y.id, dy, {true});
        op_def(graph.function()[y.id].op).grad(gradient);
        return *gradient.gradients[0];
    };
    const Value rows = gradient_of(graph.reduce_max(x, {1}));
    const Value all = gradient_of(graph.reduce_max(x, {0, 1}));
    const Value window = gradient_of(graph.make(OpId::window, {x},
                                                {{"op", std::string("max")},
                                                 {"size", std::vector<std::int64_t>{2, 2}},
                                                 {"stride", std::vector<std::int64_t>{1, 1}},
                                                 {"pad", std::vector<std::int64_t>{0, 0}}}));
    Tensor input = make_tensor(type, 1);
    const std::vector<double> elements{1, 3, 3, 3, 3, 0};
    for (std::size_t i = 0; i < 6; ++i) input.cells[i].number = elements[i];
    std::string problem;
    const std::vector<Tensor> values = evaluate(function, {input}, 1, problem);
    const auto numbers = [&](Value value) {
        std::vector<double> result;
        for (const Cell& cell : values[value.id.index].cells) result.push_back(cell.number);
        return result;
    };
    CHECK(numbers(rows) == std::vector<double>{0, 1, 0, 1, 0, 0});
    CHECK(numbers(all) == std::vector<double>{0, 1, 0, 0, 0, 0});
    CHECK(numbers(window) == std::vector<double>{0, 2, 0, 0, 0, 0});
    CHECK(problem == "");
}

TEST_CASE("not a number wins a maximum") {
    Function function;
    const Type type{DType::f32, {4}};
    function.inputs = {{"x", type, {}, {}}};
    GraphBuilder graph(function);
    const Value x = graph.input(0);
    const Value greatest = graph.reduce_max(x, {0});
    const Value place = graph.make(OpId::argmax, {x}, {{"axis", std::int64_t{0}}});
    Tensor input = make_tensor(type, 1);
    input.cells[0].number = 5;
    input.cells[1].number = NAN;
    input.cells[2].number = INFINITY;
    input.cells[3].number = NAN;
    std::string problem;
    for (const bool halves : {false, true}) {
        const std::vector<Tensor> values = evaluate(function, {input}, 1, problem, halves);
        CHECK(std::isnan(values[greatest.id.index].cells[0].number));
        CHECK(values[place.id.index].cells[0].integer == 1);
    }
}

TEST_CASE("wrong uses are stated as facts") {
    const auto message = [](OpId op, std::vector<Type> inputs, Attributes attributes) {
        const Result<Type> type = infer_type(op, inputs, attributes);
        return type ? "fine: " + type->to_string() : type.error().message;
    };
    const Dim b = Dim::symbol("B");
    const Type x{DType::f32, {b, 784}};
    CHECK(message(OpId::einsum, {x, {DType::f32, {100, 10}}},
                  {{"spec", std::string("bi,io->bo")}}) == "einsum: `i` is 784 and 100");
    CHECK(message(OpId::add, {x, {DType::f32, {784}}}, {}) == "add: f32[784] is not f32[B, 784]");
    CHECK(message(OpId::exp, {{DType::i32, {3}}}, {}) == "exp: needs floating point, not i32");
    CHECK(message(OpId::exp, {x, x}, {}) == "exp: has 2 operands");
    CHECK(
        message(OpId::reduce_sum, {x}, {{"axes", std::vector<std::int64_t>{2}}, {"keep", true}}) ==
        "reduce_sum: there is no axis 2 in rank 2");
    CHECK(message(OpId::reduce_sum, {x}, {{"axes", std::vector<std::int64_t>{1}}}) ==
          "reduce_sum: needs the attribute `keep`");
    CHECK(message(OpId::reduce_sum, {x}, {{"axes", 1.0}, {"keep", true}}) ==
          "reduce_sum: attribute `axes` is integers, not number");
    CHECK(message(OpId::exp, {x}, {{"size", std::int64_t{1}}}) == "exp: has no attribute `size`");
    CHECK(message(OpId::reshape, {x}, {{"shape", Shape{b, 3}}}) ==
          "reshape: f32[B, 784] has 784*B elements, f32[B, 3] has 3*B");
    const Result<Type> behind = infer_type(OpId::reshape, {x}, {{"shape", Shape{784, b}}});
    REQUIRE(!behind);
    CHECK(behind.error().status == kExitProgram);
    CHECK(message(OpId::reshape, {x}, {{"shape", Shape{b * Dim(28), 28}}}) ==
          "fine: f32[28*B, 28]");
}
