// links: ir
// The text of kernels: what is read is printed, and reads back as the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ir/kernel.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto kernel = netc::parse_kernel({reinterpret_cast<const char*>(data), size});
    if (!kernel) return 0;
    const std::string text = netc::to_text(*kernel);
    const auto again = netc::parse_kernel(text);
    if (!again || netc::to_text(*again) != text) __builtin_trap();
    (void)netc::verify(*kernel);
    return 0;
}
