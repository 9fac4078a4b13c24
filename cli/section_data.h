// The data of a train section, loaded and split.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/workbench.h"
#include "runtime/data/dataset.h"

namespace netc {

struct SectionData {
    Dataset train;
    std::optional<Dataset> valid, test;  // of sources of their own
    std::vector<std::int64_t> train_rows, valid_rows, test_rows;

    const Dataset* valid_data() const { return valid ? &*valid : &train; }
    const Dataset* test_data() const { return test ? &*test : &train; }
    std::vector<std::string> warnings() const;
};

// The numbers of a field of one int, for these rows.
std::vector<std::int64_t> classes_of(const Dataset& data, const std::string& field,
                                     const std::vector<std::int64_t>& rows);

// The file of a run directory that says which rows are in which part.
inline constexpr const char* kRowsFile = "rows.txt";
// The text of it that lies beside weights; nothing where there is none.
Result<std::optional<std::string>> read_kept_rows(const std::string& weights);

// "`y`: 120 of class 0, 80 of class 1": how often the classes of the training data occur, a line for
// each target that has some.
std::vector<std::string> class_counts(const Dataset& data);

// `kept_rows`: of the run that the weights are from, instead of splitting anew. `trained`: statistics stored with weights, which then are used instead of the data's own.
Result<SectionData> load_section_data(const Model& model, const TrainSection& section,
                                      const Program& program, const Options& options,
                                      const DataStatistics* trained,
                                      const std::string* kept_rows = nullptr);

}  // namespace netc
