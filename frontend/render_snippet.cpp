// Source lines with marks under them: columns on the screen, several labels on one line, windows on
// long lines.
#include "frontend/render_snippet.h"

#include "frontend/utf8.h"

#include <algorithm>
#include <map>
#include <vector>

namespace netc {
namespace {

constexpr std::size_t kTabWidth = 4;

char32_t decode(std::string_view bytes) {
    const auto low = [&](std::size_t i) {
        return static_cast<char32_t>(static_cast<unsigned char>(bytes[i]) & 0x3Fu);
    };
    const auto first = static_cast<char32_t>(static_cast<unsigned char>(bytes[0]));
    switch (bytes.size()) {
        case 2: return (first & 0x1Fu) << 6u | low(1);
        case 3: return (first & 0x0Fu) << 12u | low(1) << 6u | low(2);
        case 4: return (first & 0x07u) << 18u | low(1) << 12u | low(2) << 6u | low(3);
        default: return first;
    }
}

// Columns that a terminal gives a character: the common ranges of East Asian wide ones and of marks
// without a width.
std::size_t width_of(char32_t c) {
    struct Range {
        char32_t first, last;
    };
    constexpr Range kNone[] = {
        {0x300, 0x36F}, {0x200B, 0x200F}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}};
    constexpr Range kWide[] = {{0x1100, 0x115F},  {0x2E80, 0x303E}, {0x3041, 0xA4CF},
                               {0xAC00, 0xD7A3},  {0xF900, 0xFAFF}, {0xFE30, 0xFE6F},
                               {0xFF00, 0xFF60},  {0xFFE0, 0xFFE6}, {0x1F300, 0x1FAFF},
                               {0x20000, 0x3FFFD}};
    const auto within = [c](const Range& range) { return c >= range.first && c <= range.last; };
    if (std::any_of(std::begin(kNone), std::end(kNone), within)) return 0;
    return std::any_of(std::begin(kWide), std::end(kWide), within) ? 2 : 1;
}

// A character of a line as it is shown.
struct Cell {
    std::size_t offset;  // of its first byte in the line
    std::size_t column;  // on the screen, from 0
    std::string text;
};

// Tabs become spaces, control characters and broken bytes become U+FFFD, so that a file cannot
// steer the terminal.
std::vector<Cell> cells_of(std::string_view line) {
    std::vector<Cell> cells;
    std::size_t column = 0;
    for (std::size_t at = 0; at < line.size();) {
        const std::size_t length = std::max<std::size_t>(utf8_length(line, at), 1);
        const std::string_view bytes = line.substr(at, length);
        const auto first = static_cast<unsigned char>(bytes[0]);
        const bool broken = (first < 0x20 && first != '\t') || first == 0x7F ||
                            (first >= 0x80 && length == 1) ||
                            (first == 0xC2 && static_cast<unsigned char>(bytes[1]) < 0xA0);
        std::string text = broken ? "\uFFFD" : std::string(bytes);
        std::size_t width = broken ? 1 : width_of(decode(bytes));
        if (first == '\t') {
            width = kTabWidth - column % kTabWidth;
            text.assign(width, ' ');
        }
        cells.push_back({at, column, std::move(text)});
        column += width;
        at += length;
    }
    cells.push_back({line.size(), column, ""});  // the end, for marks behind the last character
    return cells;
}

std::size_t column_at(const std::vector<Cell>& cells, std::size_t offset) {
    const auto cell = std::upper_bound(cells.begin(), cells.end(), offset,
                                       [](std::size_t at, const Cell& c) { return at < c.offset; });
    return cell == cells.begin() ? 0 : std::prev(cell)->column;
}

// A mark on one line, in columns [begin, end) of the screen.
struct LineMark {
    std::size_t begin, end;
    std::string text;
    bool primary;
};

// A stretch of text in a row of marks.
struct Piece {
    std::size_t column;
    std::string text;
    Style style;
};

std::string row_text(std::vector<Piece> pieces, bool color) {
    std::stable_sort(pieces.begin(), pieces.end(),
                     [](const Piece& a, const Piece& b) { return a.column < b.column; });
    std::string row;
    std::size_t at = 0;
    for (const Piece& piece : pieces) {
        if (piece.column < at) continue;  // hidden behind the one before
        row.append(piece.column - at, ' ');
        row += styled(piece.text, piece.style, color);
        at = piece.column + piece.text.size();
    }
    return row;
}

class SnippetWriter {
public:
    SnippetWriter(const SourceMap& sources, std::size_t gutter, Style loud,
                  const RenderOptions& options)
        : sources_(sources), gutter_(gutter), loud_(loud), options_(options) {}

    void file(std::uint32_t file, std::span<const Mark> marks);

    void header(std::uint32_t file, Position place) {
        out += std::string(gutter_, ' ') + styled("::: ", Style::place, options_.color) +
               fmt::format("{}:{}:{}\n", sources_.path(file), place.line, place.column);
    }

    std::string out;

private:
    void line(std::uint32_t file, std::uint32_t number, std::vector<LineMark> marks,
              const std::vector<Cell>& cells);
    void marks(std::vector<LineMark> marks);
    void row(std::string_view number, std::string_view text) {
        std::string left = fmt::format("{:>{}} |", number, gutter_);
        out += styled(left, Style::place, options_.color);
        if (!text.empty()) out += ' ';
        out += text;
        out += '\n';
    }
    Style style(const LineMark& mark) const { return mark.primary ? loud_ : Style::place; }

    const SourceMap& sources_;
    std::size_t gutter_;
    Style loud_;
    const RenderOptions& options_;
};

// A span over several lines marks its first and its last one; the label stands at the last.
void SnippetWriter::file(std::uint32_t file, std::span<const Mark> marks) {
    std::map<std::uint32_t, std::vector<LineMark>> lines;
    std::map<std::uint32_t, std::vector<Cell>> cells;
    const auto add = [&](std::uint32_t number, std::size_t begin, std::size_t end, std::string text,
                         bool primary) {
        auto& line_cells = cells[number];
        if (line_cells.empty()) line_cells = cells_of(sources_.line_text(file, number));
        const std::size_t first = column_at(line_cells, begin);
        const std::size_t last = std::max(column_at(line_cells, end), first + 1);
        lines[number].push_back({first, last, std::move(text), primary});
    };
    for (const Mark& mark : marks) {
        const Span span = mark.label.span;
        if (span.file != file) continue;
        const std::uint32_t first = sources_.begin(span).line;
        const std::uint32_t last =
            sources_.position(file, span.end > span.begin ? span.end - 1 : span.end).line;
        const std::size_t begin = span.begin - sources_.line_begin(file, first);
        if (first == last) {
            add(first, begin, span.end - sources_.line_begin(file, first), mark.label.text,
                mark.primary);
            continue;
        }
        const std::string_view last_text = sources_.line_text(file, last);
        const std::size_t indent = std::min(last_text.find_first_not_of(" \t"), last_text.size());
        add(first, begin, sources_.line_text(file, first).size(), "", mark.primary);
        add(last, indent, span.end - sources_.line_begin(file, last), mark.label.text,
            mark.primary);
    }
    std::uint32_t previous = 0;
    for (auto& [number, line_marks] : lines) {
        if (previous != 0 && number == previous + 2) {
            line(file, number - 1, {}, cells_of(sources_.line_text(file, number - 1)));
        } else if (previous != 0 && number > previous + 2) {
            out += styled("...", Style::place, options_.color) + "\n";
        }
        line(file, number, std::move(line_marks), cells[number]);
        previous = number;
    }
}

// One line and what hangs below it. A line that is too long is shown through a window round its
// primary mark.
void SnippetWriter::line(std::uint32_t file, std::uint32_t number, std::vector<LineMark> marks,
                         const std::vector<Cell>& cells) {
    static_cast<void>(file);
    constexpr std::string_view kCut = "...";
    std::size_t from = 0;
    std::size_t to = cells.back().column;
    if (to > options_.width) {
        const auto chosen = std::find_if(marks.begin(), marks.end(),
                                         [](const LineMark& mark) { return mark.primary; });
        const std::size_t center = marks.empty()           ? 0
                                   : chosen == marks.end() ? marks.front().begin
                                                           : chosen->begin;
        from = center > options_.width / 3 ? center - options_.width / 3 : 0;
        to = std::min(to, from + options_.width);
        from = std::min(from, to - options_.width);
    }
    const std::size_t shift = from > 0 ? kCut.size() : 0;
    std::string text(shift > 0 ? kCut : "");
    for (const Cell& cell : cells) {
        if (cell.column >= from && cell.column < to) text += cell.text;
    }
    if (to < cells.back().column) text += kCut;
    while (!text.empty() && text.back() == ' ') text.pop_back();
    row(std::to_string(number), text);
    for (LineMark& mark : marks) {
        const auto place = [&](std::size_t column) {
            return std::clamp(column, from, to + 1) - from + shift;
        };
        mark.begin = place(mark.begin);
        mark.end = std::max(place(mark.end), mark.begin + 1);
    }
    if (!marks.empty()) this->marks(std::move(marks));
}

void SnippetWriter::marks(std::vector<LineMark> marks) {
    std::stable_sort(marks.begin(), marks.end(),
                     [](const LineMark& a, const LineMark& b) { return a.begin < b.begin; });
    std::size_t width = 0;
    for (const LineMark& mark : marks) width = std::max(width, mark.end);

    // The signs: primary ones over the others.
    std::string signs(width, ' ');
    for (const bool primary : {false, true}) {
        for (const LineMark& mark : marks) {
            if (mark.primary == primary)
                std::fill_n(signs.begin() + static_cast<std::ptrdiff_t>(mark.begin),
                            mark.end - mark.begin, primary ? '^' : '-');
        }
    }
    std::vector<Piece> pieces;
    for (std::size_t at = 0; at < width;) {
        const std::size_t stop = std::min(signs.find_first_not_of(signs[at], at), width);
        if (signs[at] != ' ')
            pieces.push_back(
                {at, signs.substr(at, stop - at), signs[at] == '^' ? loud_ : Style::place});
        at = stop;
    }

    // The text of the last mark stands beside it, those of the others below, the last of them
    // first.
    std::vector<LineMark> hanging;
    for (const LineMark& mark : marks) {
        if (!mark.text.empty()) hanging.push_back(mark);
    }
    const bool beside = !hanging.empty() && hanging.back().end == width &&
                        hanging.back().begin == marks.back().begin;
    if (beside) {
        pieces.push_back({width + 1, hanging.back().text, style(hanging.back())});
        hanging.pop_back();
    }
    row("", row_text(std::move(pieces), options_.color));
    while (!hanging.empty()) {
        const LineMark mark = hanging.back();
        hanging.pop_back();
        std::vector<Piece> below;
        for (const LineMark& other : hanging) {
            if (other.begin < mark.begin) below.push_back({other.begin, "|", style(other)});
        }
        below.erase(
            std::unique(below.begin(), below.end(),
                        [](const Piece& a, const Piece& b) { return a.column == b.column; }),
            below.end());
        below.push_back({mark.begin, mark.text, style(mark)});
        row("", row_text(std::move(below), options_.color));
    }
}

}  // namespace

std::string styled(std::string_view text, Style style, bool color) {
    if (!color || style == Style::plain || text.empty()) return std::string(text);
    std::string_view code;
    switch (style) {
        case Style::plain: break;
        case Style::bold: code = "1"; break;
        case Style::error: code = "1;31"; break;
        case Style::warning: code = "1;33"; break;
        case Style::place: code = "1;34"; break;
        case Style::help: code = "1;36"; break;
    }
    return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

std::string render_snippet(std::span<const Mark> marks, const SourceMap& sources,
                           std::uint32_t file, std::size_t gutter, Style loud,
                           const RenderOptions& options) {
    SnippetWriter writer(sources, gutter, loud, options);
    std::vector<std::uint32_t> files;
    for (const Mark& mark : marks) {
        if (!mark.label.span.known() ||
            std::find(files.begin(), files.end(), mark.label.span.file) != files.end())
            continue;
        files.push_back(mark.label.span.file);
        if (files.back() != file) writer.header(files.back(), sources.begin(mark.label.span));
        writer.file(files.back(), marks);
    }
    return std::move(writer.out);
}

}  // namespace netc
