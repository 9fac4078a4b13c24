// Selecting columns and turning cells into numbers.
#include "runtime/data/csv_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "runtime/data/selector_text.h"
#include "runtime/files/gzip.h"

namespace netc {
namespace {

constexpr std::array<std::string_view, 7> kMissingWords = {"NA",   "N/A",  "NaN", "nan",
                                                           "NULL", "null", "?"};

bool has_names(const FieldSelector& selector) {
    for (const ColumnReference& column : selector.columns) {
        if (std::holds_alternative<std::string>(column)) return true;
    }
    return std::any_of(selector.parts.begin(), selector.parts.end(), has_names);
}

}  // namespace

Result<CsvSource> CsvSource::open(const DataSource& source, const std::vector<FieldRequest>& wanted,
                                  const std::string& root, bool may_be_empty) {
    Result<DataFile> file = read_data_file(root, source.path);
    if (!file) return std::move(file).error();
    CsvSource csv;
    csv.source_ = source;
    csv.may_be_empty_ = may_be_empty;
    Result<CsvTable> table = CsvTable::parse(std::move(file->bytes), file->path,
                                             {source.header, source.skip, source.delimiter});
    if (!table) return std::move(table).error();
    csv.table_ = std::move(*table);
    std::vector<const FieldSelector*> selectors;
    for (const FieldRequest& request : wanted) {
        const auto field =
            std::find_if(source.fields.begin(), source.fields.end(),
                         [&](const SourceField& f) { return f.name == request.name; });
        if (field == source.fields.end()) {
            return Error{.message = fmt::format("nothing in `data` supplies `{}`", request.name)};
        }
        csv.selections_.push_back({request, {}, to_text(field->selector)});
        selectors.push_back(&field->selector);
    }
    if (Status header = csv.take_header(); !header) return header.error();
    if (Status widths = csv.table_.check_widths(); !widths) return widths.error();
    for (std::size_t i = 0; i < selectors.size(); ++i) {
        const FieldRequest& request = csv.selections_[i].request;
        const bool all = source.standardize && request.role == FieldRole::input;
        if (Status resolved = csv.resolve(*selectors[i], false, csv.selections_[i].outputs);
            !resolved) {
            return resolved.error();
        }
        for (Output& output : csv.selections_[i].outputs) {
            output.standardize |= all && output.kind == SelectorKind::columns;
        }
    }
    csv.rows_.resize(static_cast<std::size_t>(csv.table_.rows()));
    for (std::size_t i = 0; i < csv.rows_.size(); ++i) csv.rows_[i] = static_cast<std::int64_t>(i);
    if (source.missing == MissingPolicy::drop) {
        if (Status dropped = csv.drop_missing(); !dropped) return dropped.error();
    }
    if (csv.rows_.empty() && !may_be_empty) {
        return Error{.message = fmt::format("{} has no rows of data", csv.table_.path())};
    }
    return csv;
}

// A header is a first row in which some wanted column is not a number; selecting by name needs one.
Status CsvSource::take_header() {
    if (source_.header != HeaderPolicy::automatic) return {};
    bool header = false;
    for (const SourceField& field : source_.fields) header |= has_names(field.selector);
    if (!header) {
        std::vector<CsvCell> cells;
        table_.read(0, cells);
        for (std::size_t i = 0; i < selections_.size() && !header; ++i) {
            const auto field = std::find_if(
                source_.fields.begin(), source_.fields.end(),
                [&](const SourceField& f) { return f.name == selections_[i].request.name; });
            std::vector<Output> outputs;
            // A column that is not there is reported later, with the table as it is then.
            if (!resolve(field->selector, false, outputs)) continue;
            for (const Output& output : outputs) {
                const CsvCell& cell = cells[static_cast<std::size_t>(output.column)];
                header |= output.kind == SelectorKind::columns && !is_missing(output, cell) &&
                          !parse_number(cell.text) && !is_too_large_number(cell.text);
            }
        }
    }
    if (header) table_.take_header();
    if (header && table_.rows() == 0 && !may_be_empty_) {
        return Error{.message = fmt::format("{} has a header and no rows", table_.path())};
    }
    return {};
}

Result<std::int64_t> CsvSource::resolve_column(const ColumnReference& reference,
                                               const FieldSelector& selector) const {
    const std::int64_t columns = table_.columns();
    if (const auto* name = std::get_if<std::string>(&reference)) {
        const auto& header = table_.header();
        const auto found = std::find(header.begin(), header.end(), *name);
        if (found == header.end()) {
            return Error{.message =
                             fmt::format("{} has no column {}", table_.path(), quoted_text(*name)),
                         .help = header.empty() ? "the file is read without a header, see `header`"
                                                : "its columns are: " + listed_texts(header)};
        }
        const auto again = std::find(found + 1, header.end(), *name);
        if (again == header.end()) return found - header.begin();
        return Error{.message = fmt::format("columns {} and {} of {} are both called {}",
                                            found - header.begin(), again - header.begin(),
                                            table_.path(), quoted_text(*name)),
                     .help = "columns can be chosen by number: col(0) is the first"};
    }
    const std::int64_t number = std::get<std::int64_t>(reference);
    const std::int64_t column = number < 0 ? number + columns : number;
    if (column >= 0 && column < columns) return column;
    return Error{.message =
                     fmt::format("{} has {} column{}, but {} asks for column {}", table_.path(),
                                 columns, columns == 1 ? "" : "s", to_text(selector), number),
                 .help = "columns count from 0; col(-1) is the last"};
}

Status CsvSource::resolve(const FieldSelector& selector, bool standardize,
                          std::vector<Output>& outputs) const {
    const bool inner = standardize || selector.kind == SelectorKind::standardize;
    if (selector.kind == SelectorKind::standardize || selector.kind == SelectorKind::concat) {
        for (const FieldSelector& part : selector.parts) {
            if (Status status = resolve(part, inner, outputs); !status) return status;
        }
        return {};
    }
    if (selector.kind != SelectorKind::columns) {
        // one_hot(category(c)) is one_hot(c): both wrap the same column.
        std::vector<Output> columns;
        if (Status status = resolve(selector.parts.at(0), inner, columns); !status) return status;
        for (Output& output : columns) {
            output.kind = selector.kind;
            output.text = selector.text;
            outputs.push_back(output);
        }
        return {};
    }
    for (const ColumnReference& reference : selector.columns) {
        const auto* range = std::get_if<ColumnRange>(&reference);
        if (range == nullptr) {
            const Result<std::int64_t> column = resolve_column(reference, selector);
            if (!column) return column.error();
            outputs.push_back({SelectorKind::columns, *column, inner, ""});
            continue;
        }
        std::int64_t begin = range->begin, end = range->end.value_or(table_.columns());
        if (begin < 0) begin += table_.columns();
        if (end < 0) end += table_.columns();
        for (std::int64_t i = begin; i < end; ++i) {
            const Result<std::int64_t> column = resolve_column(i, selector);
            if (!column) return column.error();
            outputs.push_back({SelectorKind::columns, *column, inner, ""});
        }
    }
    return {};
}

bool CsvSource::is_missing(const Output& output, const CsvCell& cell) const {
    if (cell.text.empty()) return true;
    // "NA" may well be a category; where a number is wanted it is a gap.
    return output.kind == SelectorKind::columns &&
           std::find(kMissingWords.begin(), kMissingWords.end(), cell.text) != kMissingWords.end();
}

Status CsvSource::drop_missing() {
    std::vector<CsvCell> cells;
    std::erase_if(rows_, [&](std::int64_t row) {
        table_.read(row, cells);
        for (const Selection& selection : selections_) {
            for (const Output& output : selection.outputs) {
                if (is_missing(output, cells[static_cast<std::size_t>(output.column)])) return true;
            }
        }
        return false;
    });
    if (!rows_.empty()) return {};
    return Error{.message =
                     fmt::format("every row of {} has a missing value, so `missing = drop` leaves "
                                 "none",
                                 table_.path())};
}

void CsvSource::select(std::span<const std::int64_t> positions) {
    std::vector<std::int64_t> rows;
    rows.reserve(positions.size());
    for (const std::int64_t position : positions)
        rows.push_back(rows_[static_cast<std::size_t>(position)]);
    rows_ = std::move(rows);
}

Result<std::vector<std::int64_t>> CsvSource::keys(const std::string& name) const {
    std::vector<Output> outputs;
    for (const SourceField& field : source_.fields) {
        if (field.name != name) continue;
        if (Status status = resolve(field.selector, false, outputs); !status) return status.error();
    }
    if (outputs.empty()) {
        const Result<std::int64_t> column = resolve_column(name, {});
        if (!column) return column.error();
        outputs.push_back({SelectorKind::category, *column, false, ""});
    }
    std::map<std::string, std::int64_t> ids;
    std::vector<std::int64_t> keys;
    std::vector<CsvCell> cells;
    for (const std::int64_t row : rows_) {
        table_.read(row, cells);
        std::string text;
        for (const Output& output : outputs) {
            text += cells[static_cast<std::size_t>(output.column)].text + '\0';
        }
        keys.push_back(ids.try_emplace(text, static_cast<std::int64_t>(ids.size())).first->second);
    }
    return keys;
}

FilePlace CsvSource::place_of_row(std::int64_t row) const {
    return {table_.path(), static_cast<int>(table_.line(rows_[static_cast<std::size_t>(row)])), 0};
}

std::string CsvSource::column_name(std::int64_t column) const {
    const auto& header = table_.header();
    if (static_cast<std::size_t>(column) < header.size()) {
        return fmt::format("column {} ({})", column,
                           quoted_text(header[static_cast<std::size_t>(column)]));
    }
    return fmt::format("column {}", column);
}

}  // namespace netc
