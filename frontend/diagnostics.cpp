// The registry, the filling of messages, and the collector.
#include "frontend/diagnostics.h"

#include "frontend/utf8.h"

#include <algorithm>
#include <cctype>
#include <utility>

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

// A word of the source that no screen holds (a number of a million digits) keeps its ends.
void shorten(std::string& text) {
    constexpr std::size_t kLongest = 200, kHead = 60, kTail = 20;
    if (text.size() <= kLongest) return;
    std::string shortened;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t end = std::min(text.find_first_of(" \n", at), text.size());
        if (end - at > kLongest) {
            std::size_t head = at + kHead, tail = end - kTail;
            while (!begins_character(text, head)) --head;
            while (!begins_character(text, tail)) --tail;
            shortened += text.substr(at, head - at) + "..." + text.substr(tail, end - tail);
        } else {
            shortened += text.substr(at, end - at);
        }
        while (end < text.size() && (text[end] == ' ' || text[end] == '\n'))
            shortened += text[end++];
        at = end;
    }
    text = std::move(shortened);
}

void shorten(Diagnostic& diagnostic) {
    shorten(diagnostic.message);
    shorten(diagnostic.primary.text);
    for (Label& label : diagnostic.labels) shorten(label.text);
    for (Note& note : diagnostic.notes) {
        shorten(note.text);
        shorten(note.place.text);
    }
    for (std::string& help : diagnostic.helps) shorten(help);
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
    const auto told = std::ranges::find_if(diagnostics_, [&](const Diagnostic& earlier) {
        return !diagnostic.cause.empty() && earlier.code == diagnostic.code &&
               earlier.cause == diagnostic.cause;
    });
    if (told != diagnostics_.end()) {
        if (told->labels.size() >= kMaxRepeats) return;
        told->labels.push_back({diagnostic.primary.span, "and here"});
        told->labels.insert(told->labels.end(), diagnostic.labels.begin(), diagnostic.labels.end());
        return;
    }
    if (warnings_are_errors_) diagnostic.severity = Severity::error;
    if (diagnostic.severity == Severity::warning) {
        ++warning_count_;
    } else if (++error_count_ > kMaxErrors) {
        ++left_out_;
        return;
    }
    shorten(diagnostic);
    diagnostics_.push_back(std::move(diagnostic));
}

}  // namespace netc
