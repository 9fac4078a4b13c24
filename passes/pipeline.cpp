// The compiler, top to bottom. A line is a pass, a pass is a file. PassRunner verifies the module after
// each, prints it when --print-after asks, and keeps the time for --time-report.

#include "passes/pipeline.h"

#include "passes/assign_layout.h"
#include "passes/derive_weights.h"
#include "passes/duplicate.h"
#include "passes/entries.h"
#include "passes/fold_pooling.h"
#include "passes/fold_scale.h"
#include "passes/fuse.h"
#include "passes/fuse_linear_activation.h"
#include "passes/hoist.h"
#include "passes/image_lines.h"
#include "passes/initialize.h"
#include "passes/lower_module.h"
#include "passes/precision.h"
#include "passes/prepare_layouts.h"
#include "passes/scatter_rows.h"
#include "passes/simplify.h"
#include "passes/widen.h"
#include "passes/winograd.h"

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
void each_body_first(Function& function, Pass pass) {
    for (Function& body : function.bodies) each_body_first(body, pass);
    pass(function);
}

template <class Pass>
auto each_function(Pass pass) {
    return [pass](Module& module) {
        for (Function& function : module.functions) each_body_first(function, pass);
    };
}

// Bodies are in rows: conversions at each step would cost more than lanes gain. A copy that a body makes of
// what is the same in all steps is made before the loop.
std::string assign_layouts(Function& function, const CompileOptions& options, bool is_body) {
    std::string choices;
    for (Function& body : function.bodies) choices += assign_layouts(body, options, true);
    hoist_fixed(function);
    return choices + assign_layout(function, options.batch_hint,
                                   is_body ? LayoutChoice::body : LayoutChoice::estimated,
                                   !options.for_gpu);
}

}  // namespace

Result<Module> build_module(const Model& model, const TrainSection* section,
                            const CompileOptions& options, PassRunner& run) {
    Module module = collect_functions(model, section);
    auto simplify_all = [](Module& m) { simplify(m); };
    Status s;
    if (options.double_precision) s = run_pass(run, "widen", module, widen);
    if (s) s = run_pass(run, "simplify", module, simplify_all);
    if (s) s = run_pass(run, "hoist", module, each_function(hoist));
    const bool training =
        section != nullptr && (wants(options, "gradient") || wants(options, "train_step"));
    if (s && training) {
        // The optimizer's update belongs to it: both are one function from here on.
        s = run.run("differentiate", module,
                    [&](Module& m) { return differentiate_training(m, *section, options); });
    }
    if (s && wants(options, "init"))
        s = run.run("initialize", module,
                    [&](Module& m) { return initialize(m, options.for_object); });
    if (!s) return s.error();
    std::erase_if(module.functions, [&](const Function& f) {
        return !wants(options, f.name) && !(f.name == "forward" && wants(options, "prepare"));
    });
    s = run_pass(run, "bind_random_state", module, bind_random_state);
    if (s)
        s = run_pass(run, "simplify", module, simplify_all);  // the backward pass makes duplicates
    if (s) s = run_pass(run, "hoist", module, each_function(hoist));
    if (s)
        s = run_pass(run, "fold_scale", module, [](Module& m) {
            if (Function* forward = m.find("forward")) fold_scale(*forward);
        });
    if (s && options.observe_ranges)
        s = run_pass(run, "observe_ranges", module, [](Module& m) {
            if (Function* forward = m.find("forward")) observe_ranges(*forward);
        });
    if (s && !options.ranges.empty())
        s = run_pass(run, "quantize", module, [&](Module& m) {
            for (const char* name : {"forward", "evaluate"}) {
                if (Function* function = m.find(name)) quantize(*function, options.ranges);
            }
        });
    const Precision precise =
        options.precision.value_or(section != nullptr ? section->precision : Precision::f32);
    if (s && precise != Precision::f32)
        s = run_pass(run, "precision", module, [precise](Module& m) {
            for (Function& function : m.functions) precision(function, precise);
        });
    // A GPU lays operands out as it brings them to shared memory.
    if (s && !options.for_gpu)
        s = run_pass(run, "image_lines", module, [](Module& m) {
            for (Function& function : m.functions) image_lines(function);
        });
    if (s && options.winograd_tile > 0)
        s = run_pass(run, "winograd", module, [&](Module& m) {
            for (Function& function : m.functions)
                run.choices += winograd(function, options.winograd_tile, options.batch_hint);
        });
    // Before grouping: what moves to `prepare` must not be fused into `forward`.
    if (s) s = run_pass(run, "derive_weights", module, derive_weights);
    if (s) s = run_pass(run, "simplify", module, simplify_all);
    if (!s) return s.error();
    return module;
}

Status optimize(Module& module, const CompileOptions& options, PassRunner& run) {
    // Layouts first decide which conversions exist; grouping then fuses them where it can.
    Status s;
    // Threads of a GPU have no order: each compares the numbers with a row of its own.
    if (!options.for_gpu) s = run_pass(run, "scatter_rows", module, each_function(scatter_rows));
    if (s)
        s = run_pass(run, "assign_layout", module, [&](Module& m) {
            for (Function& function : m.functions)
                run.choices += assign_layouts(function, options, false);
        });
    if (s) s = run_pass(run, "prepare_layouts", module, prepare_layouts);
    if (s)
        s = run_pass(run, "fuse_linear_activation", module, each_function([&](Function& function) {
                         if (!options.for_gpu) join_parts(function);
                         fuse_linear_activation(function, options.batch_hint);
                     }));
    // After fuse_linear_activation: a window may stand behind an activation.
    if (s) s = run_pass(run, "fold_pooling", module, each_function(fold_pooling));
    if (s)
        s = run_pass(run, "duplicate", module, each_function([&](Function& function) {
                         duplicate(function, options.batch_hint);
                     }));
    if (s)
        s = run_pass(run, "fuse", module, each_function([&](Function& function) {
                         fuse(function, options.batch_hint);
                     }));
    return s;
}

Result<Program> finish_program(Module module, const CompileOptions& options, PassRunner& run) {
    if (Status s = optimize(module, options, run); !s) return s.error();
    return run.time("lower", [&] { return lower_module(module, options.batch_hint); });
}

Result<Program> compile(const Model& model, const TrainSection* section,
                        const CompileOptions& options, PassRunner& run) {
    Result<Module> module = build_module(model, section, options, run);
    if (!module) return module.error();
    return finish_program(std::move(*module), options, run);
}

}  // namespace netc
