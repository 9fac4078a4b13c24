// Diagnostics as text for people.
#include "frontend/render.h"

#include "frontend/explanations.h"
#include "frontend/render_snippet.h"

#include <algorithm>
#include <vector>

namespace netc {
namespace {

std::string one_line(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

// The width of the column of line numbers: one space and the longest number that is shown.
std::size_t gutter_of(const Diagnostic& diagnostic, const SourceMap& sources) {
    std::uint32_t last = 1;
    const auto see = [&](Span span) {
        if (span.known()) last = std::max(last, sources.end(span).line);
    };
    see(diagnostic.primary.span);
    for (const Label& label : diagnostic.labels) see(label.span);
    for (const Note& note : diagnostic.notes) see(note.place.span);
    return std::to_string(last).size() + 1;
}

}  // namespace

std::string render(const Diagnostic& diagnostic, const SourceMap& sources,
                   const RenderOptions& options) {
    const bool error = diagnostic.severity == Severity::error;
    const Style loud = error ? Style::error : Style::warning;
    const std::string head =
        fmt::format("{}[{}]", error ? "error" : "warning", info(diagnostic.code).code);
    std::string out = styled(head, loud, options.color) +
                      styled(": " + one_line(diagnostic.message), Style::bold, options.color) +
                      "\n";
    const Span primary = diagnostic.primary.span;
    const std::size_t gutter = gutter_of(diagnostic, sources);
    if (primary.known()) {
        out += std::string(gutter, ' ') + styled("--> ", Style::place, options.color) +
               sources.describe(primary) + "\n";
        out += styled(std::string(gutter, ' ') + " |", Style::place, options.color) + "\n";
    }
    std::vector<Mark> marks;
    if (primary.known()) marks.push_back({{primary, one_line(diagnostic.primary.text)}, true});
    for (const Label& label : diagnostic.labels)
        marks.push_back({{label.span, one_line(label.text)}, false});
    out += render_snippet(marks, sources, primary.file, gutter, loud, options);
    for (const Note& note : diagnostic.notes) {
        out += styled("note", Style::bold, options.color) + ": " + note.text + "\n";
        if (!note.place.span.known()) continue;
        const Mark mark{{note.place.span, one_line(note.place.text)}, false};
        out += render_snippet({&mark, 1}, sources, primary.file, gutter, loud, options);
    }
    for (const std::string& help : diagnostic.helps)
        out += styled("help", Style::help, options.color) + ": " + help + "\n";
    return out;
}

std::string render(const Diagnostics& diagnostics, const SourceMap& sources,
                   const RenderOptions& options) {
    std::string out;
    for (const Diagnostic& diagnostic : diagnostics.all()) {
        if (!out.empty()) out += '\n';
        out += render(diagnostic, sources, options);
    }
    if (diagnostics.left_out() > 0) {
        out += fmt::format("\nand {} more {}\n", diagnostics.left_out(),
                           diagnostics.left_out() == 1 ? "error" : "errors");
    }
    return out;
}

namespace {

std::string indented(std::string_view program) {
    constexpr std::size_t kLongest = 100;
    std::string out;
    while (!program.empty()) {
        const std::size_t end = program.find('\n');
        const std::string_view line = program.substr(0, end);
        out += "    " + std::string(line.substr(0, kLongest)) +
               (line.size() > kLongest ? "...\n" : "\n");
        program = end == std::string_view::npos ? "" : program.substr(end + 1);
    }
    return out.empty() ? "    (an empty file)\n" : out;
}

}  // namespace

std::string render_explanation(const DiagnosticInfo& info) {
    std::string out = fmt::format("{} {} ({})\n\n    {}\n\n",
                                  info.severity == Severity::error ? "error" : "warning", info.code,
                                  info.name, info.message);
    constexpr std::size_t kColumns = 80;
    std::size_t column = 0;
    std::string_view rest = info.explanation;
    while (!rest.empty()) {
        const std::size_t space = rest.find(' ');
        const std::string_view word = rest.substr(0, space);
        if (column > 0 && column + 1 + word.size() > kColumns) {
            out += '\n';
            column = 0;
        } else if (column > 0) {
            out += ' ';
            ++column;
        }
        out += word;
        column += word.size();
        rest = space == std::string_view::npos ? std::string_view() : rest.substr(space + 1);
    }
    out += "\n";
    if (const auto programs = explained_programs(info.code)) {
        out +=
            "\nWrong:\n\n" + indented(programs->wrong) + "\nRight:\n\n" + indented(programs->right);
    }
    return out;
}

}  // namespace netc
