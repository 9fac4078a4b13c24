// netc cache: what the compile cache holds.

#include <filesystem>

#include <fmt/format.h>

#include "backends/cpu/code_cache.h"
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
    const std::vector<CodeCache::Object> objects = CodeCache(directory).objects();
    if (options.action == "info") {
        std::int64_t bytes = 0;
        for (const CodeCache::Object& object : objects) bytes += object.bytes;
        print_out(fmt::format("{}: {} objects, {:.1f} MB\n", directory, objects.size(),
                              static_cast<double>(bytes) / 1e6));
        return kExitDone;
    }
    std::error_code error;
    for (const CodeCache::Object& object : objects) {
        if (!fs::remove(object.path, error) && error) {
            return report({kExitData,
                           fmt::format("{}: cannot be removed: {}", object.path, error.message())});
        }
    }
    print_out(fmt::format("{}: {} objects removed\n", directory, objects.size()));
    return kExitDone;
}

}  // namespace netc
