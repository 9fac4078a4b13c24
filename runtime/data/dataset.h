// Samples in memory: one array per input and target, in the dtype they have in the file, so that
// 60,000 images of bytes take 47 MB and not 188. `gather` converts to the model's dtype, a batch at
// a time.
//
//     Result<Dataset> data = load(section.data, requests,
//                                 {.root = directory, .split = &*section.split});
//     gather(data->fields[0], rows, buffer);
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/data_spec.h"
#include "ir/dtype.h"
#include "ir/program.h"
#include "ir/result.h"

namespace netc {

// What the section wants: an input of the model or a target.
struct FieldRequest {
    std::string name;
    DType dtype = DType::f32;
    std::vector<std::int64_t> sample_shape;  // without the batch; empty: one number per sample
    FieldRole role = FieldRole::input;
    std::optional<std::int64_t> classes;         // ints must lie in 0 .. classes - 1,
    std::int64_t ignored = 0;                    // or be this one
    std::vector<Entry::IndexRange> ranges = {};  // the same of some elements of a sample
};

// What the training rows taught about a column of a csv file; stored with the weights.
struct ColumnStatistics {
    std::string column;                   // "3", or its name
    std::vector<std::string> categories;  // sorted; the code is the position
    std::optional<double> fill;           // for missing values: the mean
};

// What was learned from the training rows of a field; stored with the weights.
struct FieldStatistics {
    std::string name;
    bool scaled = false;  // then the model has state `name.scale`, `name.offset`
    double scale = 1, offset = 0;
    bool standardized = false;  // then it has `name.mean`, `name.deviation`:
    std::vector<double> mean,
        deviation;  // a number per element of a sample; a deviation of 0 is 1 here
    double raw_min = 0, raw_max = 0;         // over the training rows, before scaling
    std::vector<std::int64_t> class_counts;  // of targets with classes
    std::vector<ColumnStatistics> columns;
};
using DataStatistics = std::vector<FieldStatistics>;

// What decides the random changes of training samples, together with the row; a resumed run draws
// the same again.
struct Drawing {
    std::uint64_t seed = 0, epoch = 0;
};

// Samples that are made when they are asked for, such as images in files. Reading is safe from
// several threads.
class SampleReader {
public:
    virtual ~SampleReader() = default;
    virtual std::int64_t rows() const = 0;
    // One sample in the field's stored dtype; without `drawing` nothing about it is random.
    virtual Status read(std::int64_t row, const Drawing* drawing, std::byte* out) const = 0;
    // The same with these rows only, in this order.
    virtual std::shared_ptr<const SampleReader>
    select(std::span<const std::int64_t> rows) const = 0;
    // Changes when the samples do, as far as that is seen without reading them.
    virtual std::string fingerprint() const = 0;
};

struct Field {
    std::string name;
    DType dtype = DType::f32;   // what the model takes, and gather() writes
    DType stored = DType::f32;  // what `values` or `reader` holds
    std::vector<std::int64_t> sample_shape;
    std::vector<std::byte> values;               // row-major [rows, sample_shape...], raw
    std::shared_ptr<const SampleReader> reader;  // instead of `values`
    FieldStatistics statistics;

    std::int64_t sample_size() const {
        std::int64_t size = 1;
        for (const std::int64_t extent : sample_shape) size *= extent;
        return size;
    }
    std::int64_t sample_bytes() const { return sample_size() * size_of(dtype); }
    std::int64_t stored_bytes() const { return sample_size() * size_of(stored); }
    std::int64_t rows() const {
        if (reader) return reader->rows();
        const std::int64_t bytes = stored_bytes();
        return bytes == 0 ? 0 : static_cast<std::int64_t>(values.size()) / bytes;
    }
};

// The rows of the parts. Without a split all rows are in `train`.
struct Split {
    std::vector<std::int64_t> train, valid, test;
    friend bool operator==(const Split&, const Split&) = default;
};

struct Dataset {
    std::int64_t rows = 0;
    std::vector<Field> fields;  // in the order of the requests
    Split split;
    std::string fingerprint;  // hash of all values and shapes; a resumed run must find the same
    std::vector<std::string> warnings;  // for people, one sentence each
};

struct LoadOptions {
    std::string root =
        ".";  // relative paths start here: the folder of the .net file, or --data DIR
    const SplitSpec* split = nullptr;
    // From the training data or the weights, for held-out sources, eval and predict: categories,
    // fill-in means and normalization are taken from here and not computed again.
    const DataStatistics* trained = nullptr;
    bool inputs_only = false;  // predict --rows new.csv: targets need not be there
    // The rows that a run kept (split_to_text); they win over `split`.
    const std::string* kept_split = nullptr;
};

Result<Dataset> load(const DataSource& source, const std::vector<FieldRequest>& wanted,
                     const LoadOptions& options);

// Loads only the rows of a table that is not the section's own: `predict --rows new.csv` applies
// the section's selectors to another file.
Result<Dataset> load_rows(DataSource source, const std::string& path,
                          const std::vector<FieldRequest>& wanted, const LoadOptions& options);

// Writes the samples of `rows` one after the other, row-major, in field.dtype or, where given, in `dtype`: rows.size() *
// sample_size() elements. Only for fields in memory.
void gather(const Field& field, std::span<const std::int64_t> rows, std::byte* out,
            std::optional<DType> dtype = {});

// The same for every field; samples with a reader are made now, by several threads.
Status read_samples(const Field& field, std::span<const std::int64_t> rows, const Drawing* drawing,
                    std::byte* out, std::optional<DType> dtype = {});

// The value of one element as a number, of any stored dtype.
double element(const Field& field, std::int64_t row, std::int64_t index);

const Field* find_field(const Dataset& dataset, std::string_view name);

DataStatistics statistics_of(const Dataset& dataset);
// Text for the metadata of a weights file, and back.
std::string statistics_to_json(const DataStatistics& statistics);
Result<DataStatistics> statistics_from_json(std::string_view text);

}  // namespace netc
