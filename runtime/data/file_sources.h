// Sources that are more than one array in a file: a text, a folder of images, tables of measurements
// over time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ir/data_spec.h"
#include "ir/result.h"
#include "runtime/data/csv_source.h"
#include "runtime/data/dataset.h"

namespace netc {

struct LoadedSource {
    std::vector<LoadedField> fields;
    std::vector<std::int64_t> groups;  // a number per row; equal ones stay in one part of a split
    std::vector<std::string> warnings;
};

// Windows of `source.window` tokens, each `source.stride` behind the last. The vocabulary, the
// characters in byte order, is learned here or comes from `trained`.
Result<std::vector<LoadedField>> read_text(const DataSource& source,
                                           const std::vector<FieldRequest>& wanted,
                                           const std::string& root, const DataStatistics* trained);

// A sample per image file; the files are decoded when samples are asked for. Classes are the names
// of the folders, in byte order.
Result<LoadedSource> read_images(const DataSource& source, const std::vector<FieldRequest>& wanted,
                                 const std::string& root, const DataStatistics* trained);

// Windows of rows of tables, [channels, time]; none crosses a file, and a file is a group.
Result<LoadedSource> read_series(const DataSource& source, const std::vector<FieldRequest>& wanted,
                                 const std::string& root, const DataStatistics* trained);

// What training learned as the categories `column` of a field; empty where it is not there.
std::vector<std::string> trained_categories(const DataStatistics* trained, const std::string& field,
                                            const std::string& column);

}  // namespace netc
