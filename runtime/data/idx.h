// IDX, the format of MNIST: a magic with element type and rank, big-endian extents, big-endian
// elements.
#pragma once

#include <string>

#include "ir/result.h"
#include "runtime/files/npy.h"

namespace netc {

// `bytes` is the unpacked file, `path` what messages call it.
Result<Array> parse_idx(const std::string& bytes, const std::string& path);

}  // namespace netc
