// Data files, plain or gzip: the reader tells by the first bytes, not by the name.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ir/result.h"

namespace netc {

struct DataFile {
    std::string path;   // as it was found, possibly with ".gz"
    std::string bytes;  // unpacked
};

// Looks for root/name, then root/name.gz. The error of a missing file names the path that was tried
// and `--data DIR`.
Result<DataFile> read_data_file(std::string_view root, std::string_view name);

// Unpacks what starts like a gzip file, and returns everything else as it is. Truncated and
// corrupted streams are errors that name `path`; more than `limit` bytes are refused.
Result<std::string> unpack_gzip(std::string bytes, const std::string& path,
                                std::uint64_t limit = std::uint64_t{1} << 36);

}  // namespace netc
