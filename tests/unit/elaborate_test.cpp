// links: frontend ir
// What the elaborator makes of programs: parameters and their paths, shapes, graphs, train sections.
#include "frontend/frontend.h"
#include "frontend/render.h"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <algorithm>

using namespace netc;

namespace {

struct Checked {
    SourceMap sources;
    Diagnostics diagnostics;
    std::optional<CheckedFile> file;
    std::string messages;
    int status = 0;
};

std::unique_ptr<Checked> check(const std::string& program, const CheckOptions& options = {}) {
    auto checked = std::make_unique<Checked>();
    Result<CheckedFile> result = check_text("test.net", "net 1\n" + program, options,
                                            checked->sources, checked->diagnostics);
    checked->messages = render(checked->diagnostics, checked->sources);
    if (result) {
        checked->file = std::move(*result);
    } else {
        checked->status = result.error().status;
    }
    return checked;
}

const Function& forward(const Checked& checked) {
    return checked.file->models[0].module.functions[0];
}

std::size_t count(const Function& function, OpId op) {
    return static_cast<std::size_t>(std::count_if(function.nodes.begin(), function.nodes.end(),
                                                  [&](const Node& node) { return node.op == op; }));
}

std::vector<std::string> paths(const Checked& checked) {
    std::vector<std::string> names;
    for (const Variable& variable : checked.file->models[0].module.variables) {
        names.push_back(variable.name);
    }
    return names;
}

Type result_type(const Checked& checked, std::size_t index = 0) {
    const Function& function = forward(checked);
    return function[function.results[index].value].type;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("the design's examples elaborate, or say what waits") {
    const std::pair<const char*, const char*> examples[] = {{"01_xor", ""},
                                                            {"02_perceptron", ""},
                                                            {"03_linear_regression", ""},
                                                            {"04_logistic_regression", ""},
                                                            {"05_softmax_mnist", ""},
                                                            {"06_mlp_dropout_l2", ""},
                                                            {"07_maxout", ""},
                                                            {"08_hinging_hyperplanes", ""},
                                                            {"09_chua_pwl", ""},
                                                            {"10_lenet5", ""},
                                                            {"11_alexnet", ""},
                                                            {"12_vgg", ""},
                                                            {"13_resnet", ""},
                                                            {"14_char_transformer", ""},
                                                            {"15_lstm_sequence", ""},
                                                            {"16_denoising_autoencoder", ""},
                                                            {"17_siamese_multi_io", ""}};
    for (const auto& [name, code] : examples) {
        INFO(name);
        SourceMap sources;
        Diagnostics diagnostics;
        const std::string path =
            std::string(NETC_SOURCE_DIR) + "/tests/data/language/examples/" + name + ".net";
        CheckOptions options;
        if (std::string_view(name) == "15_lstm_sequence") options.dims = {{"T", 128}};
        const Result<CheckedFile> checked = check_file(path, options, sources, diagnostics);
        INFO(render(diagnostics, sources));
        if (std::string_view(code).empty()) {
            CHECK(checked);
        } else {
            REQUIRE_FALSE(checked);
            for (const Diagnostic& diagnostic : diagnostics.all()) {
                if (diagnostic.severity == Severity::error) {
                    CHECK(info(diagnostic.code).code == code);
                }
            }
        }
    }
}

TEST_CASE("LeNet-5: paths, initial values, inputs, functions of the section") {
    SourceMap sources;
    Diagnostics diagnostics;
    const std::string path =
        std::string(NETC_SOURCE_DIR) + "/tests/data/language/examples/10_lenet5.net";
    const Result<CheckedFile> checked = check_file(path, {}, sources, diagnostics);
    REQUIRE(checked);
    const Model& model = checked->models[0];
    CHECK(model.parameter_count == 61706);
    Names names;
    for (const Variable& variable : model.module.variables) names.push_back(variable.name);
    CHECK(names == Names{"conv_1.weight", "conv_1.bias", "conv_2.weight", "conv_2.bias",
                         "linear_1.weight", "linear_1.bias", "linear_2.weight", "linear_2.bias",
                         "linear_3.weight", "linear_3.bias"});
    const Variable& weight = model.module.variables[2];
    CHECK(weight.type.to_string() == "f32[16, 6, 5, 5]");
    CHECK(weight.initializer.kind == InitializerKind::he_normal);
    CHECK(weight.initializer.fan_in == 150);
    CHECK(weight.layer == "conv");
    CHECK(weight.decay);
    CHECK_FALSE(model.module.variables[3].decay);
    const TrainSection& section = checked->sections[0];
    CHECK(section.batch == 64);
    CHECK(section.epochs == 12);
    CHECK(section.optimizer.kind == OptimizerKind::sgd);
    CHECK(section.optimizer.momentum == 0.9);
    REQUIRE(section.best);
    CHECK(section.best->name == "valid.acc");
    CHECK(section.best->direction == Direction01::max);
    REQUIRE(section.module.functions.size() == 3);
    CHECK(section.module.variables.size() == 12);
    CHECK(section.module.variables[10].name == "x.scale");
    CHECK(section.module.variables[10].initializer.arguments[0] == 1.0 / 255);
    CHECK(section.module.variables[11].name == "x.offset");
    const Function* training = section.module.find("training");
    REQUIRE(training);
    CHECK(training->inputs.size() == 2);
    CHECK(training->inputs[1].name == "y");
    const Function* evaluate = section.module.find("evaluate");
    REQUIRE(evaluate);
    REQUIRE(evaluate->results.size() == 2);
    CHECK(evaluate->results[1].name == "acc");
}

TEST_CASE("paths: ordinals, let names, compositions, arguments, loops") {
    const auto checked = check(R"(
layer two()(x: real[B, I]) -> real[B, I] = x |> linear(I, bias=false) |> tanh |> linear(I, bias=false)
model M(x: f32[B, 8]) -> f32[B, 8] {
  let enc = linear(8, bias=false) >> tanh >> linear(8, bias=false)
  var h = x |> two |> tanh |> residual(linear(8, bias=false)) |> tanh
  for i in 0..2 {
    let turn = linear(8, bias=false)
    h = h |> turn |> tanh
  }
  param w: f32[8] = ones()
  let s = enc(h) + enc(x)
  return (s |> tanh |> repeat 2 { two }) * w
})");
    INFO(checked->messages);
    REQUIRE(checked->file);
    CHECK(paths(*checked) == Names{"two_1.linear_1.weight", "two_1.linear_2.weight",
                                   "residual_1.linear_1.weight", "turn.weight", "turn_2.weight",
                                   "w", "enc.linear_1.weight", "enc.linear_2.weight",
                                   "two_2.linear_1.weight", "two_2.linear_2.weight",
                                   "two_3.linear_1.weight", "two_3.linear_2.weight"});
}

TEST_CASE("sharing: configured once is one set of parameters") {
    const auto checked = check(R"(
model M(x: f32[B, 8]) -> f32[B, 8] {
  let f = linear(8)
  let g = linear(8)
  return f(tanh(f(x))) + g(x)
})");
    INFO(checked->messages);
    REQUIRE(checked->file);
    CHECK(paths(*checked) == Names{"f.weight", "f.bias", "g.weight", "g.bias"});
    CHECK(count(forward(*checked), OpId::variable) == 4);
    CHECK(count(forward(*checked), OpId::einsum) == 3);
}

TEST_CASE("with: names, decay, rate, frozen; lists as initial values") {
    const auto checked = check(R"(
model M(x: f32[B, 2]) -> f32[B, 2] {
  param w: f32[2, 2] = [[1, -1], [-1, 1]] with name="kernel", decay=false, lr=2.0
  param s: f32[2] = rademacher() with frozen=true
  param a: real[] = full(0.5)
  return x @ w * s * a
})");
    INFO(checked->messages);
    REQUIRE(checked->file);
    const auto& variables = checked->file->models[0].module.variables;
    CHECK(variables[0].name == "kernel");
    CHECK_FALSE(variables[0].decay);
    CHECK(variables[0].rate == 2.0);
    CHECK(variables[0].initializer.values == std::vector<double>{1, -1, -1, 1});
    CHECK(variables[1].frozen);
    CHECK(checked->file->models[0].parameter_count == 5);
}

TEST_CASE("configuration: positional, named, defaults of earlier ones, applied by name") {
    const auto checked = check(R"(
model M(x: f32[B, 1, 8, 8]) -> f32[B, 4, 2, 2] {
  let a = conv(x, out=4)
  let b = x |> conv(4, 3, 1)
  let c = conv(4, k=[3, 5], pad=[1, 2])(x)
  let d = conv(4, k=5, dilation=2, pad="same")(x)
  return max_pool(a + b + c + d, k=4)
})");
    INFO(checked->messages);
    REQUIRE(checked->file);
    CHECK(result_type(*checked).to_string() == "f32[B, 4, 2, 2]");
    CHECK(count(forward(*checked), OpId::conv_nd) == 4);
}

TEST_CASE("a builtin's argument by name skips what has a default") {
    const auto checked = check(R"(
model M(x: f32[B, 8]) -> f32[B, 3] {
  let places = iota([8], dtype = f32) + cast(iota(dtype = i64, shape = [8]), f32)
  return x + places |> linear(3, w = he_normal(fan_out = 3))
})");
    INFO(checked->messages);
    REQUIRE(checked->file);
    REQUIRE(checked->file->models.size() == 1);
    CHECK(count(forward(*checked), OpId::iota) == 2);
    const Initializer& initializer = checked->file->models[0].module.variables[0].initializer;
    CHECK(initializer.fan_in == 8);
    CHECK(initializer.fan_out == 3);
}

TEST_CASE("broadcasting is explicit in the graph") {
    const auto checked = check(R"(
model M(x: f32[B, 3, 4], v: f32[B, 3, 1]) -> f32[B, 3, 4] {
  param w: f32[4] = ones()
  return 2 * x + w + v
})");
    INFO(checked->messages);
    REQUIRE(checked->file);
    CHECK(count(forward(*checked), OpId::broadcast) == 2);
    CHECK(count(forward(*checked), OpId::add) == 2);
    CHECK(count(forward(*checked), OpId::constant) == 1);
}

TEST_CASE("slices: ranges, single indices, the axes between") {
    const auto checked = check(R"(
model M(x: f32[B, 6, 4, 5]) -> (a: f32[B, 2, 4, 5], b: f32[B, 4, 5], c: f32[B, 6, 4], d: f32[B, 5, 4, 5])
  = (x[:, 1..3], x[:, -1], x[..., 0], x[:, 1..]))");
    INFO(checked->messages);
    REQUIRE(checked->file);
    CHECK(count(forward(*checked), OpId::slice) == 4);
    CHECK(count(forward(*checked), OpId::reshape) == 2);
}

TEST_CASE("static world: ranges, lists, lambdas, options, dims") {
    const std::string program = R"(
option width: int = 8 "hidden units"
const widths = [width] ++ [4, 2]
fn twice(f: fn) = f >> f
model M(x: f32[B, T]) -> f32[B, 2] {
  var h = x
  for (i, w) in [(0, widths[0]), (1, widths[1])] { h = h |> linear(w) |> (e -> e * (i + 1)) |> twice(tanh) }
  return if T > 3 then h |> linear(widths[-1]) else h[:, 0..2]
})";
    CheckOptions options;
    options.settings = {{"width", "16"}};
    options.dims = {{"T", 5}};
    const auto checked = check(program, options);
    INFO(checked->messages);
    REQUIRE(checked->file);
    CHECK(checked->file->models[0].parameter_count == 5 * 16 + 16 + 16 * 4 + 4 + 4 * 2 + 2);
    CHECK(count(forward(*checked), OpId::tanh) == 4);
    CHECK(checked->file->options[0].value == "16");
    options.settings = {{"widht", "16"}};
    CHECK(check(program, options)->status == kExitUsage);
    options.settings = {{"width", "wide"}};
    CHECK(check(program, options)->status == kExitUsage);
    options.settings = {};
    options.dims = {{"T", 5}, {"U", 3}};
    CHECK(check(program, options)->status == kExitUsage);
}

TEST_CASE("training is decided when compiling") {
    const auto checked = check(R"(
model M(x: f32[B, 8]) -> f32[B, 4] = x |> linear(8) |> relu |> dropout(0.5) |> linear(4, bias=false) |> batch_norm
train M {
  target y: f32[B, 4]
  augment x = add_noise(0.1)(x)
  loss = mse(out, y)
  penalty = l2(0.1, on = "linear_*") + l1(0.2, on = "linear_1.weight")
})");
    INFO(checked->messages);
    REQUIRE(checked->file);
    CHECK(count(forward(*checked), OpId::random_uniform) == 0);
    const TrainSection& section = checked->file->sections[0];
    const Function& training = *section.module.find("training");
    CHECK(count(training, OpId::random_uniform) == 1);
    CHECK(count(training, OpId::random_normal) == 1);
    CHECK(training.updates.size() == 2);
    REQUIRE(training.results.size() == 2);
    CHECK(training.results[1].name == "penalty");
    CHECK(training[training.results[1].value].type.to_string() == "f32[]");
    CHECK(section.module.find("evaluate")->updates.empty());
    CHECK(section.optimizer.kind == OptimizerKind::adam);
}

TEST_CASE("every layer and loss of the library elaborates") {
    const auto checked = check(R"(
model Images(x: f32[B, 4, 8, 8]) -> f32[B, 6] =
  x |> conv(8, groups=2) |> group_norm(4) |> selu |> depthwise_conv(3) |> instance_norm |> swish
    |> conv_transpose(4, k=4, stride=2, pad=1) |> hard_sigmoid |> alpha_pool(0.25) |> prelu
    |> min_pool(2) |> gelu |> conv(8, k=3, pad="valid", stride=2) |> elu |> global_avg_pool |> maxout(6)
model Sequences(x: f32[B, 6, 12]) -> f32[B, 8, 12] =
  x |> conv1d(8) |> silu |> permute([0, 2, 1]) |> rms_norm |> transformer_block(2, drop=0.1) |> layer_norm
    |> permute([0, 2, 1]) |> leaky_relu(0.2) |> softplus
train Images as a {
  target y: i32[B]
  loss = cross_entropy(weight = [1, 2, 1, 1, 1, 1], smoothing = 0.1, ignore = 3)(out, y) + one_vs_rest(out, y)
  metric top = top_k_accuracy(2)(out, y)
  metric acc = accuracy(out, y)
}
train Images as b {
  target y: f32[B, 6]
  loss = huber(2.0)(out, y) + bce_with_logits(pos_weight = 2.0)(out, y) + hinge(out, y) + mae(out, y)
       + kl_divergence(softmax(out), softmax(y)) + perceptron_loss(out, y)
  metric r = r2(out, y)
  metric e = rmse(out, y)
})");
    INFO(checked->messages);
    REQUIRE(checked->file);
    CHECK(checked->file->sections.size() == 2);
}

TEST_CASE("settings of a section") {
    const auto checked = check(R"(
model M(x: f32[B, 3]) -> f32[B, 1] = x |> linear(1)
train M as finetune {
  target y: f32[B, 1]
  data = csv("a.csv", x = standardize(cols(0..2)) ++ col("z"), y = equals(col(-1), "M"), missing = mean, header = false)
  split = random(train = 0.7, valid = 0.2, test = 0.1, stratify = y, seed = 3)
  optimizer = adamw(lr = cosine(3e-4, over = 20ep, warmup = 500st, floor = 1e-5), weight_decay = 0.1, clip = 1.0)
  loss = bce_with_logits(out, y)
  metric acc = binary_accuracy(out, y)
  stop = patience(3ep, on = "valid.acc")
  save = best("w", by = min("valid.loss"))
  validate = every(1ep)
  log = every(50st)
  steps = 1000
  batch = 16
  seed = 7
  drop_last = true
})");
    INFO(checked->messages);
    REQUIRE(checked->file);
    const TrainSection& section = checked->file->sections[0];
    CHECK(section.name == "finetune");
    REQUIRE(section.data);
    CHECK(section.data->missing == MissingPolicy::mean);
    CHECK(section.data->header == HeaderPolicy::absent);
    REQUIRE(section.data->fields.size() == 2);
    CHECK(section.data->fields[0].selector.kind == SelectorKind::concat);
    CHECK(section.data->fields[1].selector.text == "M");
    CHECK(section.split->stratify == "y");
    CHECK(section.optimizer.rate.kind == ScheduleKind::cosine);
    CHECK(section.optimizer.rate.warmup.value == 500);
    CHECK(section.optimizer.clip == 1.0);
    CHECK(section.patience->first == 3);
    CHECK(section.patience->second.direction == Direction01::max);
    CHECK(section.best_file == "w");
    CHECK(section.validate->value == 1);
    CHECK(section.steps == 1000);
    CHECK(section.drop_last);
    CHECK(section.module.variables[2].name == "x.mean");
    CHECK(section.module.variables[3].type.to_string() == "f32[3]");
}

TEST_CASE("a constant schedule is a number") {
    for (const char* rate : {"0.1", "constant(0.1)", "constant(lr = 0.1)"}) {
        INFO(rate);
        const auto checked = check(fmt::format(R"(
model M(x: f32[B, 3]) -> f32[B, 1] = x |> linear(1)
train M {{
  loss = mean(out)
  optimizer = adam({})
}})",
                                               rate));
        INFO(checked->messages);
        REQUIRE(checked->file);
        const Schedule& schedule = checked->file->sections[0].optimizer.rate;
        CHECK(schedule.kind == ScheduleKind::constant);
        CHECK(schedule.rate == 0.1);
    }
}

TEST_CASE("a function as data is evaluated after the check") {
    DataSource source;
    {
        const auto checked = check(R"(
model M(x: f32[B, 2]) -> f32[B, 1] = x |> linear(1)
train M {
  target y: f32[B, 1]
  data = function((a, b) -> sin(a) + 2 * b, over = [(-1, 1), (0, 2)], n = 50)
  loss = mse(out, y)
})");
        INFO(checked->messages);
        REQUIRE(checked->file);
        source = *checked->file->sections[0].data;
    }
    CHECK(source.count == 50);
    CHECK(source.over.size() == 2);
    const double sample[] = {0.0, 1.5};
    const Result<std::vector<double>> value = source.function(sample);
    REQUIRE(value);
    CHECK(*value == std::vector<double>{3.0});
}

TEST_CASE("random operators have streams of their own, elsewhere unchanged") {
    const auto checked = check(R"(
model M(x: f32[B, 8]) -> f32[B, 8] = x |> dropout(0.5) |> tanh |> dropout(0.5)
train M { loss = mean(out) })");
    INFO(checked->messages);
    REQUIRE(checked->file);
    std::vector<std::int64_t> streams;
    for (const Node& node : checked->file->sections[0].module.find("training")->nodes) {
        if (node.op == OpId::random_uniform) {
            streams.push_back(node.attributes.get<std::int64_t>("stream"));
        }
    }
    REQUIRE(streams.size() == 2);
    CHECK(streams[0] != streams[1]);
}
