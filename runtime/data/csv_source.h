// Fields out of a table: col, cols, category, one_hot, equals, standardize, ++, and what happens to
// missing values.
//
// To understand it, start with `open`: it resolves the selectors to a flat list of columns per
// field and decides which rows stay. Then the caller splits, because categories and fill-in means
// may only be learned from the training rows; `encode` makes the numbers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ir/data_spec.h"
#include "runtime/data/csv_table.h"
#include "runtime/data/dataset.h"

namespace netc {

// A field's values, which elements of its samples are to be standardized (empty: none), and the
// file it is from.
struct LoadedField {
    Field field;
    std::vector<bool> standardize;
    std::string origin;
};

class CsvSource {
public:
    // A table of a header alone is an error, unless it `may_be_empty`.
    static Result<CsvSource> open(const DataSource& source, const std::vector<FieldRequest>& wanted,
                                  const std::string& root, bool may_be_empty = false);

    std::int64_t rows() const { return static_cast<std::int64_t>(rows_.size()); }
    // Keeps the rows at these positions, in this order.
    void select(std::span<const std::int64_t> positions);

    // A number per row that is equal where the texts of the field (or the header's column) are, for
    // stratify and group.
    Result<std::vector<std::int64_t>> keys(const std::string& name) const;

    // Whether texts become numbers by a list that the training rows give.
    bool has_categories() const;
    Result<std::vector<LoadedField>> encode(std::span<const std::int64_t> training_rows,
                                            const DataStatistics* trained) const;

    FilePlace place_of_row(std::int64_t row) const;

private:
    // One column of the file in its role for a field; one_hot makes several elements of a sample.
    struct Output {
        SelectorKind kind = SelectorKind::columns;
        std::int64_t column = 0;
        bool standardize = false;
        std::string text;  // equals
    };
    struct Selection {
        FieldRequest request;
        std::vector<Output> outputs;
        std::string text;  // the selector as it is written
    };
    using Learned = std::vector<std::vector<ColumnStatistics>>;  // per selection, per output

    Status take_header();
    Status resolve(const FieldSelector& selector, bool standardize,
                   std::vector<Output>& outputs) const;
    Result<std::int64_t> resolve_column(const ColumnReference& reference,
                                        const FieldSelector& selector) const;
    Status drop_missing();
    Result<Learned> learn(std::span<const std::int64_t> training_rows,
                          const DataStatistics* trained) const;
    Status encode_cell(const Selection& selection, const Output& output,
                       const ColumnStatistics& learned, const CsvCell& cell, std::byte*& out) const;
    bool is_missing(const Output& output, const CsvCell& cell) const;
    std::string column_name(std::int64_t column) const;

    CsvTable table_;
    std::vector<Selection> selections_;
    std::vector<std::int64_t> rows_;  // of the table, those in use
    DataSource source_;
    bool may_be_empty_ = false;
};

}  // namespace netc
