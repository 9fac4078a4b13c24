// netc fmt: files in their canonical form.

#include <unistd.h>

#include <algorithm>

#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/workbench.h"
#include "frontend/format.h"
#include "frontend/render.h"
#include "frontend/scan.h"
#include "runtime/files/files.h"

namespace netc {
namespace {

// The exit status for one file.
int format_one(const std::string& path, const Options& options) {
    Result<std::string> text = read_file(path, kMaxFileBytes);
    if (!text) return report(text.error());
    SourceMap sources;
    Diagnostics diagnostics;
    const std::uint32_t file = sources.add(path, *text);
    const std::optional<std::string> formatted = format_file(sources, file, diagnostics);
    if (!formatted) {
        print_err(render(diagnostics, sources, {.color = color_on(STDERR_FILENO)}));
        return kExitProgram;
    }
    if (*formatted == *text) return kExitDone;
    if (options.check) {
        print_out(path + "\n");
        return kExitProgram;
    }
    if (Status written = write_file_atomically(path, *formatted); !written)
        return report(written.error());
    return kExitDone;
}

}  // namespace

int verb_fmt(Options options) {
    int status = kExitDone;
    for (const std::string& file : options.files)
        status = std::max(status, format_one(file, options));
    return status;
}

}  // namespace netc
