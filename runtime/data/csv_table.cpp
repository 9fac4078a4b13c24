// Cutting CSV text into rows and cells.
#include "runtime/data/csv_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace netc {
namespace {

// ' ' as delimiter stands for any run of blanks and tabs.
bool is_blank(char c) { return c == ' ' || c == '\t'; }

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && (is_blank(text.back()) || text.back() == '\r')) text.remove_suffix(1);
    return text;
}

std::int64_t columns_between(std::string_view text, std::size_t from, std::size_t to) {
    std::int64_t count = 1;
    for (std::size_t i = from; i < to; ++i) {
        if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) ++count;  // code points
    }
    return count;
}

// How often a delimiter stands in a line, outside quotes.
std::int64_t occurrences(std::string_view line, char delimiter) {
    std::int64_t count = 0;
    bool quoted = false;
    for (const char c : line) {
        if (c == '"') quoted = !quoted;
        if (c == delimiter && !quoted) ++count;
    }
    return count;
}

// The delimiter that cuts the first lines into the same number of cells, the largest number
// winning.
char guess_delimiter(const std::vector<std::string_view>& lines) {
    char best = ' ';
    std::int64_t best_count = 0;
    for (const char candidate : {',', ';', '\t'}) {
        std::int64_t count = -1;
        for (const std::string_view line : lines) {
            const std::int64_t here = occurrences(line, candidate);
            count = count < 0 ? here : std::min(count, here);
        }
        if (count > best_count) {
            best = candidate;
            best_count = count;
        }
    }
    if (best_count > 0) return best;
    // No candidate is in every line. Where the first line has one, the fault is another line's;
    // else spaces, or one column.
    for (const char candidate : {',', ';', '\t'}) {
        if (!lines.empty() && occurrences(lines.back(), candidate) > 0) return candidate;
    }
    const bool spaced =
        !lines.empty() && trimmed(lines[0]).find_first_of(" \t") != std::string::npos;
    return spaced ? ' ' : ',';
}

}  // namespace

namespace {

enum class Size : std::uint8_t { no_number, fits, too_large };

Size parse(std::string_view text, double& value) {
    if (text.starts_with('+')) {
        text.remove_prefix(1);
        if (text.starts_with('-')) return Size::no_number;
    }
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    // Out of range: from_chars leaves the value alone; too small a number is a zero.
    if (end != text.data() + text.size() || text.empty()) return Size::no_number;
    if (code == std::errc::result_out_of_range) {
        const std::size_t exponent = text.find_first_of("eE");
        const bool tiny = exponent != std::string_view::npos && exponent + 1 < text.size() &&
                          text[exponent + 1] == '-';
        value = 0;
        return tiny ? Size::fits : Size::too_large;
    }
    return code == std::errc() ? Size::fits : Size::no_number;
}

}  // namespace

std::optional<double> parse_number(std::string_view text) {
    double value = 0;
    return parse(text, value) == Size::fits ? std::optional<double>(value) : std::nullopt;
}

bool is_too_large_number(std::string_view text) {
    double value = 0;
    return parse(text, value) == Size::too_large;
}

std::string excerpt(std::string_view text) {
    std::string shown;
    std::size_t count = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if ((c & 0xc0) != 0x80 && ++count > 30) return shown + "...";
        shown += c < 0x20 || c == 0x7f ? '?' : text[i];
    }
    return shown;
}

// From `at`, the end of a row: the line break or the end of the text; `line` counts the line breaks
// inside quotes. npos when a quote stays open, which `opened` then names.
std::size_t CsvTable::find_row_end(std::size_t at, const Options& options, std::int64_t& line,
                                   std::size_t& opened) const {
    bool quoted = false;
    bool cell_start = true;
    for (; at < text_.size(); ++at) {
        const char c = text_[at];
        if (c == '"' && (quoted || cell_start)) {
            if (!quoted) opened = at;
            quoted = !quoted;
            cell_start = !quoted;  // a doubled quote opens again
            continue;
        }
        if (!quoted && c == '\n') return at;
        if (c == '\n') ++line;
        cell_start = !quoted && (c == ',' || c == ';' || c == '\t' || c == options.delimiter ||
                                 (c == ' ' && cell_start));
    }
    return quoted ? std::string::npos : text_.size();
}

Status CsvTable::find_rows(const Options& options) {
    std::size_t at = text_.starts_with("\xef\xbb\xbf") ? 3 : 0;
    std::int64_t line = 1;
    for (; line <= options.skip && at < text_.size(); ++line) {
        const std::size_t end = text_.find('\n', at);
        at = end == std::string::npos ? text_.size() : end + 1;
    }
    while (at < text_.size()) {
        Row row{at, at, line};
        std::size_t opened = at;
        row.end = find_row_end(at, options, line, opened);
        if (row.end == std::string::npos) {
            return Error{.status = kExitData,
                         .message = "this quote is never closed",
                         .place = place_of(opened)};
        }
        at = row.end + 1;
        ++line;
        while (row.end > row.begin && (text_[row.end - 1] == '\r' || text_[row.end - 1] == ' '))
            --row.end;
        const std::string_view text(text_.data() + row.begin, row.end - row.begin);
        if (!trimmed(text).empty()) rows_.push_back(row);
    }
    return {};
}

Result<CsvTable> CsvTable::parse(std::string text, std::string path, const Options& options) {
    CsvTable table;
    table.text_ = std::move(text);
    table.path_ = std::move(path);
    const std::size_t zero = table.text_.find('\0');
    if (zero != std::string::npos) {
        return Error{.status = kExitData,
                     .message = "this is not a text file: it holds a zero byte",
                     .place = table.place_of(zero)};
    }
    // Lines may end in CR alone, as on the first Macintosh.
    if (table.text_.find('\n') == std::string::npos)
        std::replace(table.text_.begin(), table.text_.end(), '\r', '\n');
    if (Status found = table.find_rows(options); !found) return found.error();
    if (table.rows_.empty()) {
        return Error{.status = kExitData, .message = fmt::format("{} has no rows", table.path_)};
    }
    std::vector<std::string_view> sample;
    for (std::size_t i = 0; i < std::min<std::size_t>(table.rows_.size(), 20); ++i) {
        const Row& row = table.rows_[i];
        sample.emplace_back(table.text_.data() + row.begin, row.end - row.begin);
    }
    table.delimiter_ = options.delimiter.value_or(guess_delimiter(sample));
    std::vector<CsvCell> cells;
    table.read(0, cells);
    table.columns_ = static_cast<std::int64_t>(cells.size());
    if (options.header == HeaderPolicy::present) table.take_header();
    return table;
}

void CsvTable::read(std::int64_t index, std::vector<CsvCell>& cells) const {
    const Row& row = rows_[static_cast<std::size_t>(index)];
    const bool spaces = delimiter_ == ' ';
    std::size_t used = 0;
    std::size_t at = row.begin;
    for (bool more = true; more;) {
        while (at < row.end && is_blank(text_[at]) && text_[at] != delimiter_) ++at;
        if (spaces) {
            while (at < row.end && is_blank(text_[at])) ++at;
            if (at == row.end && used > 0) break;
        }
        if (used == cells.size()) cells.emplace_back();
        CsvCell& cell = cells[used++];
        cell.text.clear();
        cell.begin = at;
        cell.quoted = at < row.end && text_[at] == '"';
        if (cell.quoted) {
            for (++at; at < row.end; ++at) {
                if (text_[at] == '"') {
                    if (at + 1 >= row.end || text_[at + 1] != '"') break;
                    ++at;
                }
                cell.text += text_[at];
            }
            ++at;
        }
        const std::size_t from = std::min(at, row.end);
        while (at < row.end && text_[at] != delimiter_ && !(spaces && is_blank(text_[at]))) ++at;
        at = std::min(at, row.end);
        // After a closing quote only spaces belong there; with anything else the cell is what stands in the file, quotes
        // too, which is no number.
        const std::string_view rest = trimmed(std::string_view(text_).substr(from, at - from));
        if (cell.quoted && !rest.empty()) {
            cell.text = trimmed(std::string_view(text_).substr(cell.begin, at - cell.begin));
        } else {
            cell.text += rest;
        }
        more = at < row.end;
        ++at;
    }
    cells.resize(used);
}

void CsvTable::take_header() {
    std::vector<CsvCell> cells;
    read(0, cells);
    header_.clear();
    for (CsvCell& cell : cells) header_.push_back(std::move(cell.text));
    rows_.erase(rows_.begin());
}

Status CsvTable::check_widths() {
    std::vector<CsvCell> cells;
    std::int64_t first_line = 0;
    if (!header_.empty()) columns_ = static_cast<std::int64_t>(header_.size());
    for (std::int64_t row = 0; row < rows(); ++row) {
        read(row, cells);
        const auto count = static_cast<std::int64_t>(cells.size());
        if (row == 0 && header_.empty()) columns_ = count;
        if (row == 0) first_line = line(0);
        if (count == columns_) continue;
        const std::string before = header_.empty()
                                       ? fmt::format("line {} has {}", first_line, columns_)
                                       : fmt::format("the header has {}", columns_);
        return Error{.status = kExitData,
                     .message = fmt::format("this line has {} column{}, but {}", count,
                                            count == 1 ? "" : "s", before),
                     .place = FilePlace{path_, static_cast<int>(line(row)), 0},
                     .help = row <= 1 ? "`skip = 1` leaves out the first line, "
                                        "`delimiter = \";\"` sets what separates columns"
                                      : ""};
    }
    return {};
}

FilePlace CsvTable::place_of(std::size_t offset) const {
    offset = std::min(offset, text_.size());
    const auto end = text_.begin() + static_cast<std::ptrdiff_t>(offset);
    const std::size_t newline = offset == 0 ? std::string::npos : text_.rfind('\n', offset - 1);
    const std::size_t line_begin = newline == std::string::npos ? 0 : newline + 1;
    return {path_, static_cast<int>(1 + std::count(text_.begin(), end, '\n')),
            static_cast<int>(columns_between(text_, line_begin, offset))};
}

}  // namespace netc
