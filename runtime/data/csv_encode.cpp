// Turning the cells of selected columns into numbers, and learning from the training rows what that
// needs.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "runtime/data/convert.h"
#include "runtime/data/csv_source.h"
#include "runtime/data/selector_text.h"
#include "runtime/data/utf8_check.h"

namespace netc {
namespace {

constexpr const char* kSaveAsUtf8 =
    "categories are stored with the weights, in UTF-8; save the file in this encoding";

// Sorted as the language says: numbers by value when all are numbers, texts by their bytes.
std::vector<std::string> sorted_categories(const std::set<std::string>& found) {
    std::vector<std::string> sorted(found.begin(), found.end());
    const bool numbers = std::all_of(sorted.begin(), sorted.end(), [](const std::string& text) {
        return parse_number(text).has_value();
    });
    if (numbers) {
        std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
            return *parse_number(a) < *parse_number(b);
        });
    }
    return sorted;
}

// Equal as numbers where both are, else as texts.
bool same_value(const std::string& a, const std::string& b) {
    if (a == b) return true;
    const auto x = parse_number(a);
    const auto y = parse_number(b);
    return x && y && *x == *y;
}

}  // namespace

bool CsvSource::has_categories() const {
    return std::ranges::any_of(selections_, [](const Selection& selection) {
        return std::ranges::any_of(selection.outputs, [](const Output& output) {
            return output.kind == SelectorKind::category || output.kind == SelectorKind::one_hot;
        });
    });
}

Result<CsvSource::Learned> CsvSource::learn(std::span<const std::int64_t> training_rows,
                                            const DataStatistics* trained) const {
    Learned learned;
    for (const Selection& selection : selections_) {
        std::vector<ColumnStatistics> columns;
        for (const Output& output : selection.outputs) {
            columns.push_back({column_name(output.column), {}, std::nullopt});
        }
        learned.push_back(std::move(columns));
    }
    if (trained != nullptr) {
        for (std::size_t i = 0; i < selections_.size(); ++i) {
            for (const FieldStatistics& field : *trained) {
                if (field.name != selections_[i].request.name) continue;
                if (!field.columns.empty() && field.columns.size() != learned[i].size()) {
                    return Error{
                        .message = fmt::format("{} was trained from {} columns, but {} selects {}",
                                               field.name, field.columns.size(),
                                               selections_[i].text, learned[i].size())};
                }
                if (!field.columns.empty()) learned[i] = field.columns;
            }
        }
        return learned;
    }
    struct Running {
        std::set<std::string> texts;
        double sum = 0;
        std::int64_t count = 0;
    };
    std::vector<std::vector<Running>> running;
    for (const auto& columns : learned) running.emplace_back(columns.size());
    std::vector<CsvCell> cells;
    for (const std::int64_t row : training_rows) {
        table_.read(rows_[static_cast<std::size_t>(row)], cells);
        for (std::size_t i = 0; i < selections_.size(); ++i) {
            for (std::size_t k = 0; k < selections_[i].outputs.size(); ++k) {
                const Output& output = selections_[i].outputs[k];
                const CsvCell& cell = cells[static_cast<std::size_t>(output.column)];
                if (output.kind == SelectorKind::category || output.kind == SelectorKind::one_hot) {
                    if (!is_missing(output, cell) || source_.missing != MissingPolicy::error) {
                        if (const auto at = not_utf8(cell.text)) {
                            return Error{.message =
                                             not_utf8_text(cell.text, *at) + " in a category",
                                         .place = table_.place(cell),
                                         .help = kSaveAsUtf8};
                        }
                        running[i][k].texts.insert(cell.text);
                    }
                } else if (const auto number = parse_number(cell.text);
                           number && !is_missing(output, cell)) {
                    running[i][k].sum += *number;
                    ++running[i][k].count;
                }
            }
        }
    }
    for (std::size_t i = 0; i < learned.size(); ++i) {
        for (std::size_t k = 0; k < learned[i].size(); ++k) {
            const SelectorKind kind = selections_[i].outputs[k].kind;
            if (kind == SelectorKind::category || kind == SelectorKind::one_hot) {
                learned[i][k].categories = sorted_categories(running[i][k].texts);
            }
            const bool mean =
                source_.missing == MissingPolicy::mean && kind == SelectorKind::columns;
            if (mean && running[i][k].count > 0) {
                learned[i][k].fill = running[i][k].sum / static_cast<double>(running[i][k].count);
            }
        }
    }
    return learned;
}

// Writes the one or several elements that a cell gives and moves `out` behind them.
Status CsvSource::encode_cell(const Selection& selection, const Output& output,
                              const ColumnStatistics& learned, const CsvCell& cell,
                              std::byte*& out) const {
    const DType dtype = selection.request.dtype;
    const std::int64_t size = size_of(dtype);
    const auto fail = [&](std::string message, std::string help) {
        return Error{
            .message = std::move(message), .place = table_.place(cell), .help = std::move(help)};
    };
    const bool missing = is_missing(output, cell);
    // equals(c, "") asks for just that.
    const bool asked = output.kind == SelectorKind::equals && output.text.empty();
    if (missing && source_.missing == MissingPolicy::error && !asked) {
        return fail(
            fmt::format("{} has no value here{}", column_name(output.column),
                        cell.text.empty() ? "" : fmt::format(", only {}", quoted_text(cell.text))),
            "`missing = drop`, `mean` or `value(0)` says what to do about it");
    }
    double number = 0;
    switch (output.kind) {
        case SelectorKind::equals: number = same_value(cell.text, output.text) ? 1 : 0; break;
        case SelectorKind::category:
        case SelectorKind::one_hot: {
            const auto found =
                std::find(learned.categories.begin(), learned.categories.end(), cell.text);
            if (found == learned.categories.end()) {
                return fail(fmt::format("the category {} of {} does not occur in the training rows",
                                        quoted_text(cell.text), column_name(output.column)),
                            "the categories are: " + listed_texts(learned.categories));
            }
            const auto code = found - learned.categories.begin();
            if (output.kind == SelectorKind::one_hot) {
                for (std::size_t i = 0; i < learned.categories.size(); ++i, out += size) {
                    store_number(dtype, static_cast<std::ptrdiff_t>(i) == code ? 1 : 0, out);
                }
                return {};
            }
            number = static_cast<double>(code);
            break;
        }
        case SelectorKind::columns: {
            const auto value = missing ? source_.missing == MissingPolicy::mean
                                             ? learned.fill
                                             : std::optional<double>(source_.missing_value)
                                       : parse_number(cell.text);
            if (!value && missing) {
                return fail(
                    fmt::format("{} has no value here, and none in the training rows to take the "
                                "mean of",
                                column_name(output.column)),
                    "");
            }
            if (!value || !std::isfinite(*value)) {
                const bool large = is_too_large_number(cell.text);
                return fail(large ? fmt::format("{} is too large for a number of {}",
                                                quoted_text(cell.text), column_name(output.column))
                                  : fmt::format("{} is not a number, but {} of {} must be",
                                                quoted_text(cell.text), column_name(output.column),
                                                selection.request.name),
                            value || large
                                ? ""
                                : "category(c), one_hot(c) and equals(c, v) make numbers of texts");
            }
            number = *value;
            break;
        }
        case SelectorKind::standardize:
        case SelectorKind::concat: break;  // resolve() has taken them apart
    }
    if (!is_float(dtype) && !fits_int(number, dtype)) {
        return fail(fmt::format("{} does not fit `{}`, which is {}", number, selection.request.name,
                                name_of(dtype)),
                    "");
    }
    store_number(dtype, number, out);
    out += size;
    return {};
}

Result<std::vector<LoadedField>> CsvSource::encode(std::span<const std::int64_t> training_rows,
                                                   const DataStatistics* trained) const {
    const Result<Learned> learned = learn(training_rows, trained);
    if (!learned) return learned.error();
    std::vector<LoadedField> fields;
    std::vector<std::byte*> out;
    for (std::size_t i = 0; i < selections_.size(); ++i) {
        const Selection& selection = selections_[i];
        LoadedField loaded;
        loaded.field.name = selection.request.name;
        loaded.field.dtype = loaded.field.stored = selection.request.dtype;
        loaded.field.sample_shape = selection.request.sample_shape;
        loaded.field.statistics.columns = (*learned)[i];
        std::int64_t width = 0;
        for (std::size_t k = 0; k < selection.outputs.size(); ++k) {
            const Output& output = selection.outputs[k];
            const std::int64_t elements =
                output.kind == SelectorKind::one_hot
                    ? static_cast<std::int64_t>((*learned)[i][k].categories.size())
                    : 1;
            width += elements;
            loaded.standardize.insert(loaded.standardize.end(), static_cast<std::size_t>(elements),
                                      output.standardize);
        }
        if (width != loaded.field.sample_size()) {
            return Error{.message =
                             fmt::format("`{}` takes {} number{} per sample, but {} of {} gives {}",
                                         selection.request.name, loaded.field.sample_size(),
                                         loaded.field.sample_size() == 1 ? "" : "s", selection.text,
                                         table_.path(), width)};
        }
        loaded.field.values.resize(rows_.size() *
                                   static_cast<std::size_t>(loaded.field.sample_bytes()));
        fields.push_back(std::move(loaded));
        out.push_back(fields.back().field.values.data());
    }
    std::vector<CsvCell> cells;
    for (const std::int64_t row : rows_) {
        table_.read(row, cells);
        for (std::size_t i = 0; i < selections_.size(); ++i) {
            for (std::size_t k = 0; k < selections_[i].outputs.size(); ++k) {
                const Output& output = selections_[i].outputs[k];
                const CsvCell& cell = cells[static_cast<std::size_t>(output.column)];
                Status status = encode_cell(selections_[i], output, (*learned)[i][k], cell, out[i]);
                if (!status) return status.error();
            }
        }
    }
    return fields;
}

}  // namespace netc
