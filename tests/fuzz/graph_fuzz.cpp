// links: ir
// The text of graphs: what is read is printed, and reads back as the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ir/graph_text.h"
#include "ir/graph_verify.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto module = netc::parse_module({reinterpret_cast<const char*>(data), size});
    if (!module) return 0;
    const std::string text = netc::to_text(*module);
    const auto again = netc::parse_module(text);
    if (!again || netc::to_text(*again) != text) __builtin_trap();
    (void)netc::verify(*module);
    return 0;
}
