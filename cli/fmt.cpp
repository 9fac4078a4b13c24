// netc fmt: files in their canonical form.

#include <unistd.h>

#include <algorithm>
#include <filesystem>

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
    // A link stays a link: what it points to is written.
    std::error_code error;
    const std::filesystem::path target = std::filesystem::canonical(path, error);
    const std::string to = error ? path : target.string();
    const std::filesystem::perms mode = std::filesystem::status(to, error).permissions();
    if (Status written = write_file_atomically(to, *formatted); !written)
        return report(written.error());
    std::filesystem::permissions(to, mode, error);
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
