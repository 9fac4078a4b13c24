// The registry, the filling of messages, and the collector.
#include "frontend/diagnostics.h"

#include <algorithm>
#include <cctype>

namespace netc {
namespace {

constexpr DiagnosticInfo kRegistry[] = {
#define NETC_DIAGNOSTIC(code, severity, name, message, explanation)                                \
    {#code, #name, Severity::severity, message, explanation},
#include "frontend/diagnostics.def"
#undef NETC_DIAGNOSTIC
};

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
        return std::tolower(static_cast<unsigned char>(x)) ==
               std::tolower(static_cast<unsigned char>(y));
    });
}

}  // namespace

std::span<const DiagnosticInfo> diagnostic_registry() { return kRegistry; }

const DiagnosticInfo& info(Code code) { return kRegistry[static_cast<std::size_t>(code)]; }

const DiagnosticInfo* find_diagnostic(std::string_view code_or_name) {
    for (const DiagnosticInfo& entry : kRegistry) {
        if (equal_ignoring_case(entry.code, code_or_name) || entry.name == code_or_name)
            return &entry;
    }
    return nullptr;
}

namespace detail {

std::string fill_holes(std::string_view message, std::span<const std::string> values) {
    std::vector<std::string_view> names;
    std::string text;
    std::size_t at = 0;
    while (at < message.size()) {
        const std::size_t open = message.find('{', at);
        text += message.substr(at, open - at);
        if (open == std::string_view::npos) break;
        const std::size_t close = message.find('}', open);
        const std::string_view name = message.substr(open + 1, close - open - 1);
        const auto found = std::find(names.begin(), names.end(), name);
        const auto index = static_cast<std::size_t>(found - names.begin());
        if (found == names.end()) names.push_back(name);
        if (index < values.size()) text += values[index];
        at = close + 1;
    }
    return text;
}

}  // namespace detail

void Diagnostics::add(Diagnostic diagnostic) {
    const bool same_place =
        std::any_of(diagnostics_.begin(), diagnostics_.end(), [&](const Diagnostic& earlier) {
            return earlier.primary.span.known() &&
                   earlier.primary.span == diagnostic.primary.span &&
                   (earlier.severity == Severity::error || earlier.code == diagnostic.code);
        });
    if (same_place) return;
    if (warnings_are_errors_) diagnostic.severity = Severity::error;
    if (diagnostic.severity == Severity::warning) {
        ++warning_count_;
    } else if (++error_count_ > kMaxErrors) {
        ++left_out_;
        return;
    }
    diagnostics_.push_back(std::move(diagnostic));
}

}  // namespace netc
