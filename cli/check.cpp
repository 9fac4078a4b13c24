// netc check, netc ops: what needs no compiled code.

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

int verb_ops(Options) {
    print_out(operators_reference());
    return kExitDone;
}

}  // namespace netc
