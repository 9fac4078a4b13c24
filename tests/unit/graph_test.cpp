// links: ir
// The text of graphs reads back, for hand-written modules and random ones; the verifier finds what a
// pass may break.
#include <catch2/catch.hpp>

#include "ir/graph_builder.h"
#include "ir/graph_text.h"
#include "ir/graph_verify.h"
#include "ir/philox.h"

using namespace netc;

namespace {

const Dim kBatch = Dim::symbol(kBatchSymbol);

// The smallest module with everything in it.
Module small_module() {
    Module module;
    module.name = "Small";
    Variable w;
    w.name = "linear_1.weight";
    w.type = {DType::f32, {3, 2}};
    w.initializer.kind = InitializerKind::xavier_uniform;
    w.initializer.fan_in = 3;
    w.initializer.fan_out = 2;
    w.stream = 0xfedcba9876543210u;
    w.layer = "linear";
    module.variables.push_back(std::move(w));
    Variable m;
    m.name = "linear_1.weight:m";
    m.type = {DType::f32, {3, 2}};
    m.kind = VariableKind::slot;
    module.variables.push_back(std::move(m));

    Function function;
    function.name = "forward";
    function.inputs.push_back({"x", {DType::f32, {kBatch, 3}}, {}, "what comes in"});
    GraphBuilder graph(function);
    const Value x = graph.input(0);
    const Value weight = graph.variable(0, module.variables[0].type);
    graph.set_origin(graph.add_origin({{}, "Small.linear_1", {}}));
    const Value y = graph.einsum("bi,io->bo", x, weight);
    graph.set_origin(graph.add_origin({{0, 10, 20}, "Small", {{0, 1, 2}}}));
    const Value relu = graph.binary(OpId::max, y, graph.constant(0, DType::f32, {kBatch, 2}));
    function.nodes[y.id.index].group = 1;
    function.nodes[relu.id.index].group = 1;
    function.results.push_back({"y", relu.id, {}, ""});
    function.updates.push_back({1, weight.id});
    module.functions.push_back(std::move(function));
    return module;
}

const char* kSmallText = R"(module Small

variable @linear_1.weight parameter f32[3, 2] = xavier_uniform() {fan_in = 3, fan_out = 2, stream = 18364758544493064720, layer = "linear"}
variable @linear_1.weight:m slot f32[3, 2] = zeros()

function forward(%x: f32[B, 3] doc "what comes in") {
    group 1 {
        %1 = einsum %x, @linear_1.weight {spec = "bi,io->bo"} : f32[B, 2]  # Small.linear_1
        %2 = max %1, 0 : f32[B, 2]  # Small
    }
    return y = %2
    update @linear_1.weight:m = @linear_1.weight
}
)";

void check_round_trip(const Module& module, const GraphTextOptions& options) {
    const std::string text = to_text(module, options);
    const Result<Module> parsed = parse_module(text);
    if (!parsed) FAIL(parsed.error().message << "\n" << text);
    CHECK(to_text(*parsed, options) == text);
    const Status status = verify(*parsed);
    if (!status) FAIL(status.error().message << "\n" << text);
}

// ---- random modules

class RandomModule {
public:
    explicit RandomModule(std::uint32_t seed) : random_(7, seed, 0) {}

    Module make() {
        module_.name = one_in(4) ? "strange name!" : "Random";
        Function function;
        function.name = "f";
        for (int i = 0; i < 3; ++i) {
            function.origins.push_back({one_in(2) ? Span{} : Span{0, 3, below<std::uint32_t>(90)},
                                        one_in(5) ? "" : "M.layer_" + std::to_string(i),
                                        {{1, 2, 3}}});
        }
        function_ = &function;
        GraphBuilder graph(function);
        for (int i = 0; i < 12; ++i) add_node(graph);
        for (std::uint32_t i = 0; i < function.nodes.size(); ++i) decorate(function.nodes[i]);
        const auto last = static_cast<std::uint32_t>(function.nodes.size() - 1);
        function.results.push_back({"last", {last}, {2, 3, 4}, one_in(2) ? "" : "a \"result\"\n"});
        function.results.push_back({"grad:first", {0}, {}, ""});
        for (VariableId id = 0; id < module_.variables.size(); ++id) update(graph, id);
        module_.functions.push_back(std::move(function));
        return std::move(module_);
    }

private:
    template <class T>
    T below(T count) {
        return static_cast<T>(random_.below(static_cast<std::uint64_t>(count)));
    }
    bool one_in(int count) { return below(count) == 0; }

    void add_node(GraphBuilder& graph) {
        const auto ops = all_ops();
        const OpId op = ops[below(ops.size())];
        if (op == OpId::hyper) {
            graph.hyper("step", DType::i64);
            return;
        }
        if (op_def(op).samples == nullptr) return;
        const std::vector<Sample> samples = op_def(op).samples();
        const Sample& sample = samples[below(samples.size())];
        std::vector<Value> operands;
        for (const Type& type : sample.inputs) operands.push_back(operand(graph, type));
        graph.make(op, operands, sample.attributes);
    }

    // A value of this type: one there is, or a leaf.
    Value operand(GraphBuilder& graph, const Type& type) {
        for (std::uint32_t i = 0; i < function_->nodes.size(); ++i) {
            if (function_->nodes[i].type == type && one_in(2)) return {&graph, {i}};
        }
        bool is_static = true;
        for (const Dim& dim : type.shape) is_static = is_static && dim.is_static();
        if (one_in(3)) return graph.constant(0.1 * below(30) - 1, type.dtype, type.shape);
        if (is_static && one_in(2)) return graph.variable(variable(type), type);
        function_->inputs.push_back(
            {"x" + std::to_string(function_->inputs.size()), type, {3, 4, 5}, ""});
        return graph.input(static_cast<std::uint32_t>(function_->inputs.size() - 1));
    }

    VariableId variable(const Type& type) {
        const auto number = module_.variables.size();
        Variable made;
        made.name = (one_in(5) ? "odd name " : "layer_1.w:m") + std::to_string(number);
        made.type = type;
        made.kind = static_cast<VariableKind>(below(3));
        made.initializer.kind = static_cast<InitializerKind>(below(13));
        if (one_in(2)) made.initializer.arguments = {0.1, -3};
        if (one_in(2)) made.initializer.fan_in = 1.5;
        if (one_in(3)) made.initializer.values = {1, 2.25, -1e-30};
        if (one_in(3)) made.initializer.path = "dir/w \\ \"1\".npy";
        made.stream = random_.bits();
        made.decay = one_in(2);
        made.frozen = one_in(2);
        if (one_in(2)) made.rate = 0.25;
        if (one_in(2)) made.layer = "conv";
        made.span = {0, 1, 2};
        module_.variables.push_back(std::move(made));
        return static_cast<VariableId>(number);
    }

    void decorate(Node& node) {
        node.origin = below(static_cast<OriginId>(function_->origins.size()));
        if (node.op == OpId::input || node.op == OpId::variable) return;
        if (one_in(2)) node.group = 1 + below(GroupId{3});
        if (!one_in(3) || node.type.rank() == 0) return;
        node.layout = one_in(2) ? batch_lanes(node.type.rank()) : row_major(node.type.rank());
        if (one_in(2)) std::swap(node.layout.order.front(), node.layout.order.back());
        node.layout.lanes = node.layout.lanes && node.layout.order.front() == 0;
        if (one_in(3)) node.layout.extra = 16;
    }

    void update(GraphBuilder& graph, VariableId id) {
        const Type type = module_.variables[id].type;
        function_->updates.push_back({id, graph.constant(1, type.dtype, type.shape).id});
    }

    PhiloxStream random_;
    Module module_;
    Function* function_ = nullptr;
};

std::string problem_of(const Module& module) {
    const Status status = verify(module);
    return status ? "" : status.error().message;
}

}  // namespace

TEST_CASE("the text of a small module") {
    const Module module = small_module();
    CHECK(problem_of(module) == "");
    CHECK(to_text(module) == kSmallText);
    check_round_trip(module, {});
    check_round_trip(module, {true});
}

TEST_CASE("random modules read back") {
    for (std::uint32_t seed = 0; seed < 300; ++seed) {
        INFO("seed " << seed);
        const Module module = RandomModule(seed).make();
        REQUIRE(problem_of(module) == "");
        check_round_trip(module, {});
        check_round_trip(module, {true});
    }
}

TEST_CASE("members of a group that do not follow each other") {
    Module module = small_module();
    Function& function = module.functions[0];
    GraphBuilder graph(function);
    const Value last = graph.unary(OpId::exp, {&graph, function.results[0].value});
    const Value other = graph.unary(OpId::tanh, last);
    function.nodes[other.id.index].group = 1;
    function.results[0].value = other.id;
    CHECK(to_text(module).find("%4 = tanh %3 : f32[B, 2] [group 1]") != std::string::npos);
    CHECK(to_text(module).find("group 1 {") == std::string::npos);
    check_round_trip(module, {});
}

TEST_CASE("numbers stand for constants where their type is clear") {
    Module module;
    module.name = "M";
    Function function;
    function.name = "f";
    function.inputs = {{"x", {DType::f32, {kBatch}}, {}, ""}};
    GraphBuilder graph(function);
    const Value x = graph.input(0);
    const Value positive = graph.binary(OpId::less, graph.constant(0, DType::f32, {kBatch}), x);
    const Value chosen = graph.select(positive, x, x * 0.1);
    const Value two =
        graph.constant(-INFINITY, DType::f32, {kBatch}) + graph.constant(NAN, DType::f32, {kBatch});
    const Value wide = graph.broadcast(graph.constant(7, DType::f32), {kBatch});
    function.results.push_back({"y", (chosen + two + wide).id, {}, ""});
    module.functions.push_back(std::move(function));
    CHECK(to_text(module) == R"(module M

function f(%x: f32[B]) {
    %1 = less 0, %x : b1[B]
    %2 = mul %x, 0.1 : f32[B]
    %3 = select %1, %x, %2 : f32[B]
    %4 = add -inf, nan : f32[B]
    %5 = constant {value = 7} : f32[]
    %6 = broadcast %5 : f32[B]
    %7 = add %3, %4 : f32[B]
    %8 = add %7, %6 : f32[B]
    return y = %8
}
)");
    check_round_trip(module, {});
}

TEST_CASE("text that is no module") {
    const auto message = [](std::string_view text) {
        const Result<Module> module = parse_module(text);
        return module ? "fine" : module.error().message;
    };
    CHECK(message("") == "line 1: expected `module` before `the end`");
    CHECK(message("module M\nfunction f() {\n %1 = foo : f32[]\n}") ==
          "line 3: there is no operator `foo`");
    CHECK(message("module M\nfunction f() {\n %1 = exp %2 : f32[]\n}") ==
          "line 3: there is no %2 before this place");
    CHECK(message("module M\nfunction f() {\n return y = @w\n}") ==
          "line 3: there is no variable @w");
    CHECK(message("module M\nfunction f() {") == "line 2: expected `%` before `the end`");
    CHECK(message("module M\nvariable @w parameter f33[]") ==
          "line 2: expected an element type before `f33[]`");
    CHECK(message("module \"M") == "line 1: the text has no closing quote");
    // No cut of a good text brings the parser down.
    const std::string text = kSmallText;
    for (std::size_t length = 0; length < text.size(); ++length) {
        parse_module(std::string_view(text).substr(0, length)).ok();
    }
}

TEST_CASE("the verifier names what is wrong") {
    const auto broken = [](auto change) {
        Module module = small_module();
        change(module, module.functions[0]);
        to_text(module);  // a broken module still prints
        return problem_of(module);
    };
    CHECK(broken([](Module&, Function& f) { f.nodes[2].type.shape = {kBatch, 3}; }) ==
          "forward: node 2, einsum node 0, node 1 {spec = \"bi,io->bo\"} : f32[B, 3]: its type "
          "should be f32[B, 2], from Small.linear_1");
    CHECK(broken([](Module&, Function& f) {
              f.nodes[2].inputs[0] = NodeId{4};
          }).find("an operand does not stand before it") != std::string::npos);
    CHECK(broken([](Module&, Function& f) {
              f.nodes[0].attributes.set("index", std::int64_t{1});
          }).find("there is no such number") != std::string::npos);
    CHECK(broken([](Module&, Function& f) {
              f.nodes[4].attributes.set("a", true);
          }).find("max: has no attribute `a`") != std::string::npos);
    CHECK(broken([](Module&, Function& f) { f.results[0].value = NodeId{9}; }) ==
          "forward: the result `y` is no node");
    CHECK(broken([](Module&, Function& f) {
              f.updates[0].value = NodeId{2};
          }).find("the update of f32[3, 2] @linear_1.weight:m is f32[B, 2]") != std::string::npos);
    CHECK(broken([](Module&, Function& f) {
              f.updates.push_back(f.updates[0]);
          }).find("two updates") != std::string::npos);
    CHECK(broken([](Module& m, Function&) { m.variables[1].name = m.variables[0].name; }) ==
          "two variables @linear_1.weight");
    CHECK(broken([](Module&, Function& f) {
              f.nodes[2].layout.order = {1};
          }).find("its layout orders other dimensions") != std::string::npos);
}

TEST_CASE("the reference names every operator") {
    const std::string text = operators_reference();
    for (const OpId op : all_ops()) {
        CHECK(text.find("### " + std::string(name_of(op)) + "\n") != std::string::npos);
    }
}
