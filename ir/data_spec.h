// Where a train section's samples come from, as plain data: the frontend fills it, the runtime
// loads by it.
//
//     data  = csv("wdbc.csv", x = cols(2..32), y = equals(col(1), "M"), standardize = true)
//     split = random(train = 0.8, valid = 0.2, stratify = y)
//
// What is scaled or standardized stays raw in memory; the numbers become state of the model
// (`x.scale`, `x.offset` of rank 0; `x.mean`, `x.deviation` in the shape of one sample), so that
// training, prediction and objects start from the same raw input:  (raw * scale + offset - mean) /
// deviation.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ir/result.h"
#include "ir/source.h"

namespace netc {

// A column of a table: by number (-1 is the last), by name in the header, or a half-open range of
// numbers; without an end the range runs to the last column.
struct ColumnRange {
    std::int64_t begin = 0;
    std::optional<std::int64_t> end;
};
using ColumnReference = std::variant<std::int64_t, std::string, ColumnRange>;

enum class SelectorKind : std::uint8_t {
    columns,      // col(3), col("age"), cols(0..4), cols(0, 2, "age"): `columns`
    category,     // category(c): codes in sorted order; parts[0] is one column
    one_hot,      // one_hot(category(c)): parts[0] is a category, or a column of texts or numbers
    equals,       // equals(c, v): 1 or 0; parts[0] is one column, the value is `text`
    standardize,  // standardize(s): parts[0]
    concat,       // s ++ s: parts, side by side
};

struct FieldSelector {
    SelectorKind kind = SelectorKind::columns;
    std::vector<ColumnReference> columns;
    std::string text;  // equals: the value as it stands in the file; numbers compare as numbers
    std::vector<FieldSelector> parts;
    Span span;
};

// inline(x = [[0, 0], [0, 1]]): a nested list, row-major; the first dimension counts the samples.
// The frontend has refused ragged lists.
struct InlineValues {
    std::vector<std::int64_t> shape;
    std::vector<double> values;
    bool integers = true;  // no number has a decimal point
};

// What of a sample goes into a field, where the source itself knows.
enum class FieldPart : std::uint8_t {
    columns,    // csv, series: `selector`
    current,    // text: this(), the tokens of the window
    following,  // text: the tokens one further; series: following(n), the `ahead` next rows
    folder,     // images, series: the number of the folder's name among all, in byte order
    image,      // cifar, images: the pixels, channels first
    label,      // cifar
};

// How an image comes to the size of the input.
enum class ImageStepKind : std::uint8_t { resize, center_crop, random_crop, random_flip };
struct ImageStep {
    ImageStepKind kind = ImageStepKind::resize;
    // resize: of the result, or with width 0 of the shorter side; crops: of the result.
    std::int64_t height = 0, width = 0;
    std::int64_t pad = 0;      // random_crop: zeros around first
    double probability = 0.5;  // random_flip
};

// What one field of the model or one target is filled with.
struct SourceField {
    std::string name;        // of the input or target
    std::string path;        // idx, npy: its file; npz: the array's name
    FieldSelector selector;  // csv, series
    InlineValues values;     // inline
    Span span;
    FieldPart part = FieldPart::columns;
    std::int64_t ahead = 1;             // following(n)
    std::vector<ImageStep> steps = {};  // images
};

enum class SourceKind : std::uint8_t {
    inline_values,
    csv,
    idx,
    npy,
    xor_gate,
    circles,
    gauss,
    spiral,
    moons,
    digits,
    function,
    npz,
    images,
    text,
    series,
    cifar,
};

enum class HeaderPolicy : std::uint8_t { automatic, present, absent };
enum class MissingPolicy : std::uint8_t { error, drop, mean, value };

// function(e, over = ...): the target values for one sample of inputs.
using SampleFunction = std::function<Result<std::vector<double>>(std::span<const double> sample)>;

struct DataSource {
    SourceKind kind = SourceKind::inline_values;
    std::string
        path;  // csv, npz, text: a file; images: a folder; series, cifar: a file or a pattern
    std::vector<std::string> paths;   // cifar: further ones
    std::vector<SourceField> fields;  // files and inline; generators fill `x` and `y`

    // csv
    HeaderPolicy header = HeaderPolicy::automatic;
    std::int64_t skip = 0;          // lines before the header
    std::optional<char> delimiter;  // automatic: comma, semicolon, tab, or spaces
    MissingPolicy missing = MissingPolicy::error;
    double missing_value = 0;

    // text, series: how many tokens or rows a sample has, and how far the next one starts behind it.
    std::int64_t window = 0;
    std::int64_t stride = 0;
    bool byte_tokens = false;  // text: a token is a byte, not a character

    bool skip_unreadable = false;  // images: on_error = skip

    // Every source. Scale, offset and standardize concern inputs of real type, never targets.
    std::optional<double> scale, offset;
    bool standardize = false;
    std::optional<std::int64_t> limit;  // the first rows, after `shuffle`
    bool shuffle = false;               // the rows once, by `seed`

    // Generators
    std::int64_t count = 1000;    // n
    std::optional<double> noise;  // unset: the generator's own default
    std::uint64_t seed = 0;
    SampleFunction function;
    std::vector<std::pair<double, double>> over;  // a range per input of the function

    Span span;
};

// Whether the model has state `NAME.scale` and `NAME.offset`, and `NAME.mean` and `NAME.deviation`,
// for an input of real type.
inline bool is_scaled(const DataSource& source) {
    return source.scale.has_value() || source.offset.has_value();
}
inline bool has_standardize(const FieldSelector& selector) {
    if (selector.kind == SelectorKind::standardize) return true;
    for (const FieldSelector& part : selector.parts) {
        if (has_standardize(part)) return true;
    }
    return false;
}
inline bool is_standardized(const DataSource& source, std::string_view input) {
    if (source.standardize) return true;
    for (const SourceField& field : source.fields) {
        if (field.name == input) return has_standardize(field.selector);
    }
    return false;
}

enum class SplitKind : std::uint8_t { random, last, fold };
struct SplitSpec {
    SplitKind kind = SplitKind::random;
    double train = 0.8, valid = 0.2, test = 0;  // random: fractions; last: `valid`
    std::string stratify, group;                // random: names of fields; empty: none
    std::int64_t folds = 5, fold = 0;           // fold(k, i): part i of k is held out
    std::uint64_t seed = 0;
    Span span;
};

// How values are bound to the inputs and targets of a section.
enum class FieldRole : std::uint8_t { input, target };

}  // namespace netc
