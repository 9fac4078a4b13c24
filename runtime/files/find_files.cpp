#include "runtime/files/find_files.h"

#include <glob.h>

#include <fmt/format.h>

#include <algorithm>

#include "runtime/files/files.h"

namespace netc {

Result<std::vector<std::string>> find_files(std::string_view root, const std::string& pattern) {
    const std::string path = join_path(root, pattern);
    if (pattern.find_first_of("*?[") == std::string::npos) return std::vector{path};
    glob_t found{};
    std::vector<std::string> files;
    if (::glob(path.c_str(), 0, nullptr, &found) == 0) {
        files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    }
    ::globfree(&found);
    if (files.empty()) {
        return Error{.message = fmt::format("no file matches {}", path),
                     .help = "paths are relative to the .net file; `--data DIR` names another "
                             "folder to look in"};
    }
    std::sort(files.begin(), files.end());
    return files;
}

}  // namespace netc
