// What loading learns from the training rows of a field, and the checks that every value passes.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ir/data_spec.h"
#include "ir/result.h"
#include "runtime/data/csv_source.h"
#include "runtime/data/dataset.h"

namespace netc {

using PlaceOfRow = std::function<std::optional<FilePlace>(std::int64_t row)>;

// Fills field.statistics from the training rows, or takes it from `trained`. Mean and deviation are
// in double, over raw * scale + offset; a sample of rank 2 or more (channels first) has one pair
// per channel, repeated over its elements.
// Samples that are read for it may fail.
Status learn_statistics(const DataSource& source, const FieldRequest& request,
                        std::span<const std::int64_t> training_rows, const DataStatistics* trained,
                        LoadedField& loaded);

// Ints of a known range lie in it, floats are finite; the error names field, row, value and range,
// and says whether labels seem to start at 1. `origin` is the file or generator.
Status check_values(const FieldRequest& request, const Field& field, const std::string& origin,
                    const PlaceOfRow& place);

// A sentence when the values lie far outside what training saw.
std::optional<std::string> warn_far_outside(const Field& field);
std::optional<std::string> warn_far_outside(const FieldStatistics& known, double low, double high);
// A sentence when one class has more than ten times the samples of another.
std::optional<std::string> warn_imbalance(const Field& field);

// Over shapes, dtypes and values of all fields.
std::string fingerprint_of(const std::vector<Field>& fields);

}  // namespace netc
