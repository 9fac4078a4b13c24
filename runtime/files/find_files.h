// Files by pattern.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/result.h"

namespace netc {

// The files below `root` that a pattern with * ? [] names, in byte order; a name without these is
// taken as it is. None is an error.
Result<std::vector<std::string>> find_files(std::string_view root, const std::string& pattern);

}  // namespace netc
