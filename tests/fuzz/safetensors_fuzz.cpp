// links: ir
// sources: runtime/files/safetensors.cpp runtime/files/files.cpp runtime/memory.cpp
// Bytes of a .safetensors file.
#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/files/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    (void)netc::parse_safetensors(std::as_bytes(std::span(data, size)), "fuzz.safetensors");
    return 0;
}
