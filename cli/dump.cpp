// netc dump: any stage of the compiler as text.

#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "backends/gpu/gpu_code.h"
#include "cli/graph_drawing.h"
#include "cli/kernel_report.h"
#include "cli/terminal.h"
#include "cli/time_report.h"
#include "cli/verbs.h"
#include "cli/workbench.h"
#include "frontend/ast_print.h"
#include "frontend/parse.h"
#include "frontend/render.h"
#include "ir/graph_text.h"
#include "passes/pipeline.h"
#include "runtime/files/files.h"

namespace netc {
namespace {

int dump_ast(const Options& options) {
    Result<std::string> text = read_file(options.file);
    if (!text) return report(text.error());
    SourceMap sources;
    Diagnostics diagnostics;
    const std::uint32_t file = sources.add(options.file, std::move(*text));
    const ParsedFile parsed = parse(sources, file, diagnostics);
    if (!diagnostics.all().empty()) {
        print_err(render(diagnostics, sources, {.color = color_on(STDERR_FILENO)}));
    }
    print_out(print_ast(parsed.file));
    return parsed.ok ? kExitDone : kExitProgram;
}

std::string kernels_text(const Program& program) {
    std::string text;
    for (const Entry& entry : program.entries) {
        text += fmt::format("entry {}\n", entry.name);
        for (std::size_t i = 0; i < entry.calls.size(); ++i) {
            const Call& call = entry.calls[i];
            for (const Loop& loop : entry.loops) {
                if (loop.begin != i) continue;
                text += fmt::format("\n# calls {} to {}: {} steps\n", loop.begin + 1, loop.end,
                                    loop.steps);
            }
            text += fmt::format("\n# call {} of {}: {}\n{}", i + 1, entry.calls.size(), call.label,
                                program.kernel_texts[call.kernel]);
        }
        text += "\n";
    }
    return text;
}

GpuTarget gpu_target(const Options& options) {
    const bool tf32 = options.matmul == Precision::tf32;
    if (options.gpu == "sm_90a") return {90, true, tf32};
    return {options.gpu == "sm_90" ? 90 : 80, false, tf32};
}

// How the functions of the text behind it are launched, as comments of PTX.
std::string launches_text(const GpuCode& code, std::int64_t batch) {
    std::string text = fmt::format("// launches at a batch of {}:\n", batch);
    for (const GpuKernel& kernel : code.kernels) {
        for (const GpuLaunch& launch : kernel.launches) {
            text += fmt::format(
                "//   {}: {} blocks of {} threads, {} bytes of shared memory each{}\n",
                launch.symbol, launch.blocks(batch), launch.threads, launch.shared_bytes,
                launch.tensors.empty() ? ""
                                       : fmt::format(", {} tensor maps", launch.tensors.size()));
        }
    }
    return text;
}

// The module as `--format` says.
int print_module(const Module& module, const Options& options) {
    if (options.format == "text") {
        print_out(to_text(module));
        return kExitDone;
    }
    const std::string dot = to_dot(module);
    if (options.format == "dot") {
        print_out(dot);
        return kExitDone;
    }
    Result<std::string> svg = dot_to_svg(dot);
    if (!svg) return report(svg.error());
    print_out(*svg);
    return kExitDone;
}

}  // namespace

int verb_dump(Options options) {
    if (options.format != "text" && options.stage != "graph" && options.stage != "optimized") {
        return report({kExitUsage,
                       fmt::format("`--stage={}` is no graph to draw", options.stage),
                       {},
                       "`--stage=graph` and `--stage=optimized` are"});
    }
    if (options.stage == "ast") return dump_ast(options);
    Result<Opened> opened = open_model(options);
    if (!opened) return report(opened.error());
    const auto& [bench, model, section] = *opened;
    if (options.stage == "graph") {
        // Of the entries, `forward` alone is a graph already; the others come out of `training`.
        Module module = section != nullptr ? section->module : model->module;
        if (options.entries == std::vector<std::string>{"forward"}) {
            std::erase_if(module.functions, [](const Function& f) { return f.name != "forward"; });
        }
        return print_module(module, options);
    }
    const CompileOptions compile_options = compile_options_of(
        options, options.entries.empty() ? std::vector<std::string>{"forward"} : options.entries,
        options.batch.value_or(section != nullptr ? section->batch : 1));
    PassRunner run = make_pass_runner(options);
    if (options.stage == "optimized") {
        Result<Module> module = build_module(*model, section, compile_options, run);
        if (!module) return report(module.error());
        if (Status s = optimize(*module, compile_options, run); !s) return report(s.error());
        std::erase_if(module->functions, [&](const Function& f) {
            return std::ranges::find(compile_options.entries, f.name) ==
                   compile_options.entries.end();
        });
        return print_module(*module, options);
    }
    Result<Program> program = compile(*model, section, compile_options, run);
    if (!program) return report(program.error());
    if (options.time_report) print_err(time_report(run));
    std::erase_if(program->entries, [&](const Entry& e) {
        return std::ranges::find(compile_options.entries, e.name) == compile_options.entries.end();
    });
    if (options.stage == "kernels") {
        print_out(kernels_text(*program));
        return kExitDone;
    }
    if (options.stage == "report") {
        const auto kernels = report_kernels(*program, cpu_target(options));
        if (!kernels) return report(kernels.error());
        print_out(run.choices + report_text(*program, *kernels, bench->sources));
        return kExitDone;
    }
    if (options.stage != "ptx" && options.stage != "kernels") {
        if (Status status = knows_precision(options); !status) return report(status.error());
    }
    if (options.stage == "ptx") {
        const auto code = emit_gpu_code(*program, compile_options.entries, gpu_target(options));
        if (!code) return report(code.error());
        print_out(launches_text(*code, program->batch_hint) + code->ptx);
        return kExitDone;
    }
    const CodeStage stage = options.stage == "schedule" ? CodeStage::schedule
                            : options.stage == "llvm"   ? CodeStage::llvm
                                                        : CodeStage::assembly;
    for (const Entry& entry : program->entries) {
        Result<std::string> text = print_code(*program, entry.name, stage, cpu_target(options));
        if (!text) return report(text.error());
        print_out(*text);
    }
    return kExitDone;
}

}  // namespace netc
