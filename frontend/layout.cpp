// The printer of layouts. Every step either prints a piece or puts its parts on a stack, so it needs
// no recursion, and looks ahead by one line at most: the time is linear in the text.
#include "frontend/layout.h"

#include "frontend/utf8.h"

#include <algorithm>
#include <optional>

namespace netc {
namespace {

struct Line {
    std::string text;
    std::optional<std::size_t> equals;   // byte where the `=` to line up stands
    std::optional<std::size_t> comment;  // byte where the comment behind the text stands
    bool passes = false;                 // no `=` to line up, and does not end a run of them
};

std::size_t columns_of(std::string_view text) {
    return static_cast<std::size_t>(std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u; }));
}

// Moves what stands at the stop of consecutive lines to one column.
void line_up(std::vector<Line>& lines, std::optional<std::size_t> Line::* stop) {
    for (std::size_t first = 0; first < lines.size();) {
        std::size_t last = first;
        std::size_t column = 0;
        const auto belongs = [&](const Line& line) {
            return (line.*stop) || (stop == &Line::equals && line.passes);
        };
        for (; last < lines.size() && belongs(lines[last]); ++last) {
            if (!(lines[last].*stop)) continue;
            const std::string_view before(lines[last].text.data(), *(lines[last].*stop));
            column = std::max(column, columns_of(before));
        }
        for (std::size_t i = first; i < last; ++i) {
            Line& line = lines[i];
            if (!(line.*stop)) continue;
            const std::size_t at = *(line.*stop);
            const std::size_t missing = column - columns_of({line.text.data(), at});
            line.text.insert(at, missing, ' ');
            if (stop == &Line::equals && line.comment) *line.comment += missing;
        }
        first = last + 1;
    }
}

}  // namespace

class LayoutPrinter {
public:
    LayoutPrinter(const Layout& layout, std::size_t width) : layout_(layout), width_(width) {}

    std::string run(Part part);

private:
    using Kind = Layout::Kind;
    struct Work {
        Part part;
        std::uint32_t indent;
        bool flat;
    };

    const Layout::Node& node(Part part) const { return layout_.nodes_[part]; }
    void step(const Work& work);
    void push(const std::vector<Part>& parts, std::uint32_t indent, bool flat) {
        for (auto part = parts.rbegin(); part != parts.rend(); ++part)
            stack_.push_back({*part, indent, flat});
    }
    bool fits(Part part) const;
    void new_line(std::uint32_t indent);
    void end_line(std::uint32_t indent);
    void text(std::string_view text);
    bool at_line_start() const { return column_ == 0; }

    const Layout& layout_;
    std::size_t width_;
    std::vector<Work> stack_;
    std::vector<Line> lines_{1};
    std::uint32_t indent_ = 0;  // of the current line, written with its first text
    std::size_t column_ = 0;
    std::vector<std::string_view> comments_;  // for the end of the current line
    bool after_comment_ = false;              // the line began because a comment ended the last one
};

// Whether the part fits on the rest of the line, flat, with what stands behind it up to the next place
// where the line may end.
bool LayoutPrinter::fits(Part part) const {
    if (!comments_.empty()) return false;
    std::size_t left = std::max(column_, std::size_t{indent_});
    left = width_ > left ? width_ - left : 0;
    std::vector<std::pair<Part, bool>> work{{part, true}};
    std::size_t rest = stack_.size();
    bool commented = false;
    while (true) {
        if (work.empty()) {
            if (rest == 0) return true;
            --rest;
            work.emplace_back(stack_[rest].part, stack_[rest].flat);
        }
        const auto [at, flat] = work.back();
        work.pop_back();
        const Layout::Node& n = node(at);
        switch (n.kind) {
            case Kind::text: {
                const std::size_t columns = columns_of(n.text);
                if (commented || columns > left) return false;
                left -= columns;
                break;
            }
            case Kind::line:
            case Kind::softline:
                if (!flat) return true;
                if (commented) return false;
                if (n.kind == Kind::line) {
                    if (left == 0) return false;
                    --left;
                }
                break;
            case Kind::hardline: return !flat;
            case Kind::comment: return !flat;
            case Kind::trailing: commented = true; break;
            case Kind::blank:
            case Kind::stop:
            case Kind::no_stop: break;
            case Kind::sequence:
            case Kind::group:
            case Kind::nest:
                for (auto i = n.parts.rbegin(); i != n.parts.rend(); ++i)
                    work.emplace_back(*i, flat);
                break;
        }
    }
}

// The line break behind a comment is the one that the next line break of the layout asks for.
void LayoutPrinter::new_line(std::uint32_t indent) {
    if (after_comment_ && column_ == 0 && comments_.empty()) {
        after_comment_ = false;
        indent_ = indent;
    } else {
        end_line(indent);
    }
}

void LayoutPrinter::end_line(std::uint32_t indent) {
    while (lines_.back().text.ends_with(' ')) lines_.back().text.pop_back();
    for (const std::string_view comment : comments_) {
        if (lines_.back().comment) lines_.emplace_back();
        Line& line = lines_.back();
        line.text += line.text.empty() ? std::string(indent, ' ') : "  ";
        line.comment = line.text.size();
        line.text += comment;
    }
    comments_.clear();
    lines_.emplace_back();
    indent_ = indent;
    column_ = 0;
}

void LayoutPrinter::text(std::string_view text) {
    if (text.empty()) return;
    after_comment_ = false;
    Line& line = lines_.back();
    if (column_ == 0) {
        line.text.assign(indent_, ' ');
        column_ = indent_;
    }
    line.text += text;
    column_ += columns_of(text);
}

void LayoutPrinter::step(const Work& work) {
    const Layout::Node& n = node(work.part);
    switch (n.kind) {
        case Kind::text: text(n.text); break;
        case Kind::line:
        case Kind::softline:
            if (!work.flat)
                new_line(work.indent);
            else if (n.kind == Kind::line)
                text(" ");
            break;
        case Kind::hardline: new_line(work.indent); break;
        case Kind::blank: {
            if (!at_line_start() || lines_.size() < 2) break;
            const std::string& before = lines_[lines_.size() - 2].text;
            if (!before.empty() && !before.ends_with('{')) end_line(indent_);
            break;
        }
        case Kind::stop: lines_.back().equals = lines_.back().text.size(); break;
        case Kind::no_stop: lines_.back().passes = true; break;
        case Kind::comment:
            if (!at_line_start()) {
                comments_.push_back(n.text);
                break;
            }
            text(n.text);
            end_line(work.indent);
            after_comment_ = true;
            break;
        case Kind::trailing: comments_.push_back(n.text); break;
        case Kind::sequence: push(n.parts, work.indent, work.flat); break;
        case Kind::nest: push(n.parts, work.indent + n.columns, work.flat); break;
        case Kind::group: push(n.parts, work.indent, work.flat || fits(work.part)); break;
    }
}

std::string LayoutPrinter::run(Part part) {
    stack_.push_back({part, 0, false});
    while (!stack_.empty()) {
        const Work work = stack_.back();
        stack_.pop_back();
        step(work);
    }
    end_line(0);
    line_up(lines_, &Line::equals);
    line_up(lines_, &Line::comment);
    while (!lines_.empty() && lines_.back().text.empty()) lines_.pop_back();
    std::string all;
    for (const Line& line : lines_) {
        all += line.text;
        all += '\n';
    }
    return all;
}

std::string Layout::print(Part part, std::size_t width) const {
    return LayoutPrinter(*this, width).run(part);
}

}  // namespace netc
