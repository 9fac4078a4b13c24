// netc doc: the reference of the library, or of a file, from its `##` comments.

#include <unistd.h>

#include <filesystem>

#include <fmt/format.h>

#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/workbench.h"
#include "frontend/reference.h"
#include "frontend/render.h"
#include "frontend/scan.h"
#include "frontend/standard_library.h"
#include "ir/op_def.h"
#include "runtime/files/files.h"

namespace netc {
namespace {

int library_doc(const std::string& name) {
    SourceMap sources;
    Diagnostics none;
    const std::uint32_t file = sources.add(kLibraryPath, std::string(kStandardLibrary));
    if (name.empty()) {
        print_out(*file_reference(sources, file, "The standard library", none) + "\n" +
                  builtin_reference());
        return kExitDone;
    }
    std::optional<std::string> entry = file_entry(sources, file, name);
    if (!entry) entry = builtin_entry(name);
    if (entry) {
        print_out(*entry);
        return kExitDone;
    }
    return report({kExitUsage,
                   fmt::format("the library has no `{}`", name),
                   {},
                   "`netc doc` lists all of it, `netc doc FILE.net` what a file declares"});
}

int file_doc(const std::string& path, const std::string& name) {
    Result<std::string> text = read_file(path, kMaxFileBytes);
    if (!text) return report(text.error());
    SourceMap sources;
    Diagnostics diagnostics;
    const std::uint32_t file = sources.add(path, std::move(*text));
    const std::string title = std::filesystem::path(path).filename().string();
    const std::optional<std::string> all = file_reference(sources, file, title, diagnostics);
    if (!all) {
        print_err(render(diagnostics, sources, {.color = color_on(STDERR_FILENO)}));
        return kExitProgram;
    }
    if (name.empty()) {
        print_out(*all);
        return kExitDone;
    }
    const std::optional<std::string> entry = file_entry(sources, file, name);
    if (!entry) return report({kExitUsage, fmt::format("{} declares no `{}`", path, name)});
    print_out(*entry);
    return kExitDone;
}

}  // namespace

int verb_doc(Options options) {
    const bool file = options.file.ends_with(".net") || options.file.find('/') != std::string::npos;
    if (file) return file_doc(options.file, options.name);
    if (options.name.empty()) return library_doc(options.file);
    return report(
        {kExitUsage,
         fmt::format("`{}` is no .net file", options.file),
         {},
         "`netc doc NAME` looks a name of the library up, `netc doc FILE.net NAME` one of a file"});
}

}  // namespace netc
