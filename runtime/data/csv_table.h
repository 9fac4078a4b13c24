// A CSV file as rows of cells (RFC 4180, and what people have besides: other delimiters, a byte
// order mark, blank last lines, spaces around cells). Only where rows begin is kept; cells are cut
// out when asked for, so that a table takes little more memory than its text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/data_spec.h"
#include "ir/result.h"

namespace netc {

struct CsvCell {
    std::string text;       // without quotes, without spaces around it
    std::size_t begin = 0;  // offset of its first byte, for messages
    bool quoted = false;
};

class CsvTable {
public:
    struct Options {
        HeaderPolicy header = HeaderPolicy::automatic;  // automatic: nothing is taken off here
        std::int64_t skip = 0;
        std::optional<char> delimiter;
    };
    // Finds the rows; refuses binary files and open quotes.
    static Result<CsvTable> parse(std::string text, std::string path, const Options& options);

    const std::string& path() const { return path_; }
    char delimiter() const { return delimiter_; }
    std::int64_t rows() const { return static_cast<std::int64_t>(rows_.size()); }
    std::int64_t columns() const { return columns_; }
    const std::vector<std::string>& header() const { return header_; }

    // The cells of a row; `cells` is reused from call to call.
    void read(std::int64_t row, std::vector<CsvCell>& cells) const;

    // Makes the first row the header.
    void take_header();

    // Every row must have as many cells as the first.
    Status check_widths();

    std::int64_t line(std::int64_t row) const { return rows_[static_cast<std::size_t>(row)].line; }
    FilePlace place(const CsvCell& cell) const { return place_of(cell.begin); }

private:
    struct Row {
        std::size_t begin = 0, end = 0;
        std::int64_t line = 0;
    };
    Status find_rows(const Options& options);
    std::size_t find_row_end(std::size_t at, const Options& options, std::int64_t& line,
                             std::size_t& opened) const;
    FilePlace place_of(std::size_t offset) const;

    std::string text_, path_;
    std::vector<Row> rows_;
    std::vector<std::string> header_;
    char delimiter_ = ',';
    std::int64_t columns_ = 0;
};

// A cell as a number: all of it, finite or not; decimal point, exponent, sign. nullopt for anything
// else.
std::optional<double> parse_number(std::string_view text);

// A number that no double holds, as 1e400: parse_number has none for it.
bool is_too_large_number(std::string_view text);

// An excerpt of a file that is safe to show: at most 30 characters, no control characters.
std::string excerpt(std::string_view text);

}  // namespace netc
