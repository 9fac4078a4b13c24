// What netc tells its user: typed, registered, with places.
//
//     diagnostics.add(diagnose<Code::inner_dimensions_differ>(matmul.op_span, "@", 100, 784)
//                         .text("the operator")
//                         .label(a, "{}; its last dimension is {}", type_of(a), 100)
//                         .note_at(call, "the 100 comes from here", "in `{}`", "dense(10)")
//                         .help("use the bound size instead: `param w: real[I, o]`"));
//
// Every message is one entry of diagnostics.def: code, severity, name, message, explanation. The
// values of `diagnose` fill the message's named holes in the order in which the names first appear;
// their number is checked while compiling. The message states a fact, labels say where each part of
// it comes from, only `help` proposes.
#pragma once

#include "ir/source.h"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace netc {

enum class Severity : std::uint8_t { error, warning };

enum class Code : std::uint16_t {
#define NETC_DIAGNOSTIC(code, severity, name, message, explanation) name,
#include "frontend/diagnostics.def"
#undef NETC_DIAGNOSTIC
};

struct DiagnosticInfo {
    std::string_view code;  // "E0302"
    std::string_view name;  // "inner_dimensions_differ"; for a warning, the lint's name
    Severity severity;
    std::string_view message;      // with {holes}
    std::string_view explanation;  // a paragraph, for `netc explain`
};

// The whole registry, in the order of Code.
std::span<const DiagnosticInfo> diagnostic_registry();
const DiagnosticInfo& info(Code code);
// By code ("E0302", any case) or by name; nullptr when there is none.
const DiagnosticInfo* find_diagnostic(std::string_view code_or_name);

struct Label {
    Span span;
    std::string text;  // may be empty: only marked
};

// A fact beside the message; with a place it shows that source line, marked with `label`.
struct Note {
    std::string text;
    Label place;  // span unknown: text only
};

struct Diagnostic {
    Code code{};
    Severity severity = Severity::error;
    std::string message;
    Label primary;              // marked ^^^
    std::vector<Label> labels;  // marked ---
    std::vector<Note> notes;
    std::vector<std::string> helps;
    // What it hinges on, where one mistake shows in several places: the name that is missing, the
    // signature that no call fits. Diagnostics::add tells one cause once.
    std::string cause{};

    // The text at the primary span.
    template <class... Args>
    Diagnostic&& text(fmt::format_string<Args...> format, Args&&... args) && {
        primary.text = fmt::format(format, std::forward<Args>(args)...);
        return std::move(*this);
    }
    // A secondary place: where a number comes from. An unknown span is left out.
    template <class... Args>
    Diagnostic&& label(Span span, fmt::format_string<Args...> format, Args&&... args) && {
        if (span.known())
            labels.push_back({span, fmt::format(format, std::forward<Args>(args)...)});
        return std::move(*this);
    }
    template <class... Args>
    Diagnostic&& note(fmt::format_string<Args...> format, Args&&... args) && {
        notes.push_back({fmt::format(format, std::forward<Args>(args)...), {}});
        return std::move(*this);
    }
    // A note that shows a source line: `place` is marked with `label`.
    template <class... Args>
    Diagnostic&& note_at(Span place, std::string label, fmt::format_string<Args...> format,
                         Args&&... args) && {
        notes.push_back(
            {fmt::format(format, std::forward<Args>(args)...), {place, std::move(label)}});
        return std::move(*this);
    }
    template <class... Args>
    Diagnostic&& help(fmt::format_string<Args...> format, Args&&... args) && {
        helps.push_back(fmt::format(format, std::forward<Args>(args)...));
        return std::move(*this);
    }
    Diagnostic&& caused_by(std::string key) && {
        cause = std::move(key);
        return std::move(*this);
    }
    // As help, with a text made elsewhere; an empty one adds nothing.
    Diagnostic&& help_text(std::string text) && {
        if (!text.empty()) helps.push_back(std::move(text));
        return std::move(*this);
    }
};

namespace detail {

struct NamedCode {
    Severity severity;
    std::string_view message;
};
inline constexpr NamedCode kMessages[] = {
#define NETC_DIAGNOSTIC(code, severity, name, message, explanation) {Severity::severity, message},
#include "frontend/diagnostics.def"
#undef NETC_DIAGNOSTIC
};

// The number of different {names} in a message.
constexpr std::size_t count_holes(std::string_view message) {
    std::array<std::string_view, 16> seen{};
    std::size_t count = 0;
    for (std::size_t at = message.find('{'); at != std::string_view::npos;
         at = message.find('{', at + 1)) {
        const std::string_view name = message.substr(at, message.find('}', at) - at);
        bool known = false;
        for (std::size_t i = 0; i < count; ++i) known = known || seen[i] == name;
        if (!known) seen[count++] = name;
    }
    return count;
}

std::string fill_holes(std::string_view message, std::span<const std::string> values);

}  // namespace detail

// A diagnostic of this code at `span`; see the top of the file.
template <Code code, class... Args>
Diagnostic diagnose(Span span, const Args&... args) {
    constexpr detail::NamedCode entry = detail::kMessages[static_cast<std::size_t>(code)];
    static_assert(detail::count_holes(entry.message) == sizeof...(Args),
                  "one value for each hole of the message in diagnostics.def");
    const std::array<std::string, sizeof...(Args)> values{fmt::format("{}", args)...};
    Diagnostic diagnostic;
    diagnostic.code = code;
    diagnostic.severity = entry.severity;
    diagnostic.message = detail::fill_holes(entry.message, values);
    diagnostic.primary.span = span;
    return diagnostic;
}

// Collects diagnostics. Of several errors at one place only the first is kept; one of a cause that was
// told already becomes a mark of the first; after kMaxErrors errors they are only counted.
class Diagnostics {
public:
    static constexpr std::size_t kMaxErrors = 20;
    static constexpr std::size_t kMaxRepeats = 8;  // places marked of one cause

    void add(Diagnostic diagnostic);

    bool has_errors() const { return error_count_ > 0; }
    std::size_t error_count() const { return error_count_; }  // with those left out
    std::size_t warning_count() const { return warning_count_; }
    std::size_t left_out() const { return left_out_; }
    const std::vector<Diagnostic>& all() const { return diagnostics_; }

    // --werror: warnings added from now on are errors.
    void treat_warnings_as_errors() { warnings_are_errors_ = true; }

private:
    std::vector<Diagnostic> diagnostics_;
    std::size_t error_count_ = 0;
    std::size_t warning_count_ = 0;
    std::size_t left_out_ = 0;
    bool warnings_are_errors_ = false;
};

}  // namespace netc
