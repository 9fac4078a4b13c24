// netc check, netc explain, netc ops: what needs no compiled code.

#include <fmt/format.h>

#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/workbench.h"
#include "frontend/render.h"
#include "ir/op_def.h"

namespace netc {

int verb_check(Options options) {
    Result<std::unique_ptr<Workbench>> bench = open_workbench(options, true);
    if (!bench) return report(bench.error());
    if (options.json) print_out(render_json((*bench)->diagnostics, (*bench)->sources));
    return kExitDone;
}

int verb_explain(Options options) {
    const DiagnosticInfo* info = find_diagnostic(options.action);
    if (info == nullptr) {
        return report(
            {kExitUsage,
             fmt::format("there is no diagnostic `{}`", options.action),
             {},
             "codes look like E0303; what theory says about a file waits for a later version"});
    }
    print_out(render_explanation(*info));
    return kExitDone;
}

int verb_ops(Options) {
    print_out(operators_reference());
    return kExitDone;
}

}  // namespace netc
