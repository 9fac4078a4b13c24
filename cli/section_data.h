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

// `trained`: statistics stored with weights, which then are used instead of the data's own.
Result<SectionData> load_section_data(const Model& model, const TrainSection& section,
                                      const Program& program, const Options& options,
                                      const DataStatistics* trained);

}  // namespace netc
