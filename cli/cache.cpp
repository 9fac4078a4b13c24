// netc cache: what the compile cache holds.

#include <filesystem>

#include <fmt/format.h>

#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/workbench.h"

namespace netc {

int verb_cache(Options options) {
    namespace fs = std::filesystem;
    const std::string directory = cache_directory(options);
    if (directory.empty())
        return report({kExitUsage,
                       "there is no compile cache: --cache is off, or there is no home directory"});
    std::error_code error;
    std::int64_t files = 0, bytes = 0;
    std::vector<fs::path> objects;
    for (auto at = fs::directory_iterator(directory, error);
         !error && at != fs::directory_iterator(); at.increment(error)) {
        // Only what netc wrote there; a mistyped --cache must not cost anybody's files.
        if (!at->is_regular_file() || at->path().extension() != ".o") continue;
        objects.push_back(at->path());
        files += 1;
        bytes += static_cast<std::int64_t>(at->file_size(error));
    }
    if (options.action == "info") {
        print_out(fmt::format("{}: {} objects, {:.1f} MB\n", directory, files,
                              static_cast<double>(bytes) / 1e6));
        return kExitDone;
    }
    for (const fs::path& object : objects) {
        if (!fs::remove(object, error) && error) {
            return report({kExitData, fmt::format("{}: cannot be removed: {}", object.string(),
                                                  error.message())});
        }
    }
    print_out(fmt::format("{}: {} objects removed\n", directory, files));
    return kExitDone;
}

}  // namespace netc
