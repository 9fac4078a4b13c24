// links: ir
// sources: runtime/files/npy.cpp runtime/files/gzip.cpp runtime/files/files.cpp runtime/memory.cpp
// Bytes of a .npy file.
#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/files/npy.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    (void)netc::parse_npy(std::as_bytes(std::span(data, size)), "fuzz.npy");
    return 0;
}
