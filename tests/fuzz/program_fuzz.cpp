// links: frontend ir
// Text to a checked program: lexer, parser, elaborator, messages.
#include <cstddef>
#include <cstdint>
#include <string>

#include "frontend/frontend.h"
#include "frontend/render.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    netc::SourceMap sources;
    netc::Diagnostics diagnostics;
    std::string text(reinterpret_cast<const char*>(data), size);
    static const auto library = netc::parse_library();
    netc::CheckOptions options;
    options.library = library;
    const auto checked =
        netc::check_text("fuzz.net", std::move(text), options, sources, diagnostics);
    // A file is either right or told about.
    if (!checked && diagnostics.all().empty() && checked.error().message.empty()) __builtin_trap();
    (void)netc::render(diagnostics, sources);
    return 0;
}
