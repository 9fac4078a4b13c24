// links: passes frontend ir
// What the compile cache calls a program by: whatever changes the program changes it. Texts are of one length, so
// that places alone make no difference.
#include <catch2/catch.hpp>

#include <functional>
#include <map>

#include "frontend/frontend.h"
#include "passes/pipeline.h"

using namespace netc;

namespace {

const std::string kProgram = R"(net 1
model M(x: f32[B, 8]) -> f32[B, 1] = x |> linear(4) |> tanh |> linear(1)
train M {
  target y: f32[B, 1]
  loss      = mse(out, y)
  optimizer = sgd(lr = step(0.1, gamma = 0.50, every = 3st), momentum = 0.9)
  precision = f32
  matmul    = f32
  epochs    = 3
}
)";

std::string identity(const std::string& from = "", const std::string& to = "",
                     const std::function<void(CompileOptions&)>& change = {}) {
    std::string text = kProgram;
    REQUIRE(from.size() == to.size());
    if (!from.empty()) text.replace(text.find(from), from.size(), to);
    SourceMap sources;
    Diagnostics diagnostics;
    const Result<CheckedFile> file = check_text("m.net", text, {}, sources, diagnostics);
    INFO(text);
    REQUIRE(file.ok());
    CompileOptions options;
    options.entries = {"init", "forward"};
    if (change) change(options);
    return compile_identity(file->models[0], &file->sections[0], options);
}

}  // namespace

TEST_CASE("whatever changes a program changes its identity") {
    std::map<std::string, std::string> seen;  // identity: what made it
    const auto is_new = [&](const std::string& id, const std::string& what) {
        const auto [at, isnew] = seen.emplace(id, what);
        INFO(what << " is the same as " << at->second);
        CHECK(isnew);
    };
    is_new(identity(), "the program");
    const std::pair<const char*, const char*> texts[] = {
        {"linear(4)", "linear(5)"},
        {"|> tanh", "|> gelu"},
        {"mse(out, y)", "mae(out, y)"},
        {"step(0.1,", "step(0.2,"},
        {"gamma = 0.50", "gamma = 0.25"},
        {"every = 3st", "every = 4st"},
        {"every = 3st", "every = 3ep"},
        {"momentum = 0.9", "momentum = 0.8"},
        {"sgd(lr = step(0.1, gamma = 0.50, every = 3st), momentum = 0.9)",
         "adam(lr = step(0.1, gamma = 0.50, every = 3st), beta1   = 0.9)"},
        {"sgd(lr = step(0.1, gamma = 0.50, every = 3st), momentum = 0.9)",
         "sgd(lr = step(0.1, gamma = 0.50, every = 3st), clip  = 1000.0)"},
        {"matmul    = f32", "matmul = bf16x3"},
        {"precision = f32\n  matmul    = f32", "precision = bf16\n  seed       = 0"},
    };
    for (const auto& [from, to] : texts) is_new(identity(from, to), to);
    const std::pair<const char*, void (*)(CompileOptions&)> options[] = {
        {"entries", [](CompileOptions& o) { o.entries = {"init"}; }},
        {"batch", [](CompileOptions& o) { o.batch_hint = 2; }},
        {"gradients of inputs", [](CompileOptions& o) { o.gradient_inputs = {"x"}; }},
        {"log", [](CompileOptions& o) { o.log_results = true; }},
        {"precision", [](CompileOptions& o) { o.precision = Precision::bf16x6; }},
        {"observed ranges", [](CompileOptions& o) { o.observe_ranges = true; }},
        {"ranges", [](CompileOptions& o) { o.ranges = {{"linear_1", 0, 1}}; }},
        {"other ranges", [](CompileOptions& o) { o.ranges = {{"linear_1", 0, 2}}; }},
        {"f64", [](CompileOptions& o) { o.double_precision = true; }},
        {"recompute", [](CompileOptions& o) { o.recompute = Recompute::always; }},
        {"tiles of Winograd", [](CompileOptions& o) { o.winograd_tile = 2; }},
        {"for a GPU", [](CompileOptions& o) { o.for_gpu = true; }},
        {"for an object", [](CompileOptions& o) { o.for_object = true; }},
    };
    for (const auto& [what, change] : options) is_new(identity("", "", change), what);
}

TEST_CASE("how long a run is changes no program") {
    CHECK(identity() == identity("epochs    = 3", "epochs    = 9"));
}
