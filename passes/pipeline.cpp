// The compiler, top to bottom. A line is a pass, a pass is a file. PassRunner verifies the module after
// each, prints it when --print-after asks, and keeps the time for --time-report.

#include "passes/pipeline.h"

#include "passes/assign_layout.h"
#include "passes/derive_weights.h"
#include "passes/entries.h"
#include "passes/fold_pooling.h"
#include "passes/fuse.h"
#include "passes/fuse_linear_activation.h"
#include "passes/initialize.h"
#include "passes/lower_module.h"
#include "passes/simplify.h"

namespace netc {
namespace {

// Runs a pass that cannot fail.
template <class Pass>
Status run_pass(PassRunner& run, std::string_view name, Module& module, Pass pass) {
    return run.run(name, module, [&](Module& m) -> Status {
        pass(m);
        return {};
    });
}

template <class Pass>
auto each_function(Pass pass) {
    return [pass](Module& module) {
        for (Function& function : module.functions) pass(function);
    };
}

}  // namespace

Result<Module> build_module(const Model& model, const TrainSection* section,
                            const CompileOptions& options, PassRunner& run) {
    Module module = collect_functions(model, section);
    auto simplify_all = [](Module& m) { simplify(m); };
    Status s = run_pass(run, "simplify", module, simplify_all);
    const bool training =
        section != nullptr && (wants(options, "gradient") || wants(options, "train_step"));
    if (s && training) {
        // The optimizer's update belongs to it: both are one function from here on.
        s = run.run("differentiate", module,
                    [&](Module& m) { return differentiate_training(m, *section, options); });
    }
    if (s && wants(options, "init"))
        s = s = run.run("initialize", module,
                        [&](Module& m) { return initialize(m, options.for_object); });
    if (!s) return s.error();
    std::erase_if(module.functions, [&](const Function& f) {
        return !wants(options, f.name) && !(f.name == "forward" && wants(options, "prepare"));
    });
    s = run_pass(run, "bind_random_state", module, bind_random_state);
    if (s)
        s = run_pass(run, "simplify", module, simplify_all);  // the backward pass makes duplicates
    // Before grouping: what moves to `prepare` must not be fused into `forward`.
    if (s) s = run_pass(run, "derive_weights", module, derive_weights);
    if (s) s = run_pass(run, "simplify", module, simplify_all);
    if (!s) return s.error();
    return module;
}

Status optimize(Module& module, const CompileOptions& options, PassRunner& run) {
    // Layouts first decide which conversions exist; grouping then fuses them where it can.
    Status s = run_pass(run, "assign_layout", module,
                        each_function([&](Function& f) { assign_layout(f, options.batch_hint); }));
    if (s)
        s = run_pass(run, "fuse_linear_activation", module, each_function(fuse_linear_activation));
    // After fuse_linear_activation: a window may stand behind an activation.
    if (s) s = run_pass(run, "fold_pooling", module, each_function(fold_pooling));
    if (s) s = run_pass(run, "fuse", module, each_function(fuse));
    return s;
}

Result<Program> compile(const Model& model, const TrainSection* section,
                        const CompileOptions& options, PassRunner& run) {
    Result<Module> module = build_module(model, section, options, run);
    if (!module) return module.error();
    if (Status s = optimize(*module, options, run); !s) return s.error();
    return lower_module(*module, options.batch_hint);
}

}  // namespace netc
