// links: ir
// sources: runtime/data/idx.cpp runtime/files/gzip.cpp runtime/files/files.cpp runtime/memory.cpp
// Bytes of an IDX file, plain and as they come out of gzip.
#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/data/idx.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    (void)netc::parse_idx(std::string(reinterpret_cast<const char*>(data), size), "fuzz.idx");
    return 0;
}
